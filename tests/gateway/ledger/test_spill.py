"""Files of rows that wait: what is told to be kept is found by whoever comes next."""

import fcntl

from gateway.exchange import Usage
from gateway.ledger import spill as spill_module
from gateway.ledger.row import LedgerRow, to_row
from gateway.ledger.spill import Spill, locked, read_rows

ROW = to_row("k", LedgerRow(1, "id", "l", None, None, None, Usage(), None, 1, 200, None, None))


def rows_in(folder):
    found = []
    for path in Spill(folder, "reader").leftover_files():
        with locked(path) as file:
            found += read_rows(file, 10) or []
    return found


def test_rows_are_read_back_once_they_are_let_go_of(tmp_path):
    spill = Spill(tmp_path / "s", "me")
    assert spill.leftover_files() == []
    spill.write([ROW])
    with locked(spill.leftover_files()[0]) as file:
        assert file is None
    spill.seal()
    assert rows_in(tmp_path / "s") == [ROW]


def test_no_row_is_written_into_a_file_that_another_process_has_just_taken_away(
    tmp_path, monkeypatch
):
    taken_away = []

    class Late:
        """The system's locks, held a moment after another process has looked at the file."""

        LOCK_EX = fcntl.LOCK_EX

        @staticmethod
        def flock(file, how):
            if not taken_away:
                for path in tmp_path.iterdir():
                    path.unlink()
                    taken_away.append(path)
            fcntl.flock(file, how)

    spill = Spill(tmp_path, "me")
    monkeypatch.setattr(spill_module, "fcntl", Late)
    spill.write([ROW])
    monkeypatch.undo()
    spill.seal()
    assert len(taken_away) == 1
    assert rows_in(tmp_path) == [ROW]
