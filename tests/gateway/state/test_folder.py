"""The folder of one machine's workers: theirs alone, and not left behind for good."""

import errno
import os
import stat
import subprocess
import sys
import time

import pytest

from gateway.settings import ConfigError
from gateway.state import folder
from gateway.state.folder import PREFIX, folder_in_memory

OWNER = """
import sys
from gateway.settings import ConfigError
from gateway.state import folder
from pathlib import Path
folder.MEMORY = Path(sys.argv[1])
with folder.folder_in_memory() as own:
    (own / "counters").write_bytes(b"1")
    print(own, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setattr(folder, "MEMORY", tmp_path)
    return tmp_path


def aged(path):
    an_hour_ago = time.time() - 3_600
    os.utime(path, (an_hour_ago, an_hour_ago), follow_symlinks=False)


def test_it_is_for_its_owner_only_and_goes_with_the_block(place):
    with folder_in_memory() as own:
        assert own.parent == place
        assert stat.S_IMODE(own.stat().st_mode) == 0o700
    assert not list(place.iterdir())


def test_where_memory_cannot_be_written_it_is_among_the_temporary_ones(place, monkeypatch):
    monkeypatch.setattr(folder, "MEMORY", place / "nowhere")
    monkeypatch.setattr(folder, "gettempdir", lambda: str(place))
    with folder_in_memory() as own:
        assert own.parent == place


def test_one_of_a_killed_process_is_removed_and_one_in_use_is_not(place):
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, place],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        own = place / process.stdout.readline().strip()
        aged(own)
        with folder_in_memory():
            assert own.exists()
        process.kill()
    assert own.exists()
    with folder_in_memory():
        assert not own.exists()


def test_what_is_young_or_no_folder_is_left_alone(place):
    (place / f"{PREFIX}young").mkdir()
    (place / "precious").mkdir()
    (place / f"{PREFIX}link").symlink_to(place / "precious")
    aged(place / f"{PREFIX}link")
    with folder_in_memory() as own:
        names = {path.name for path in place.iterdir()} - {own.name}
    assert names == {f"{PREFIX}young", "precious", f"{PREFIX}link"}


def test_no_place_for_one_is_a_clear_error(place, monkeypatch):
    monkeypatch.setattr(folder, "MEMORY", place / "nowhere")
    monkeypatch.setattr(folder, "gettempdir", lambda: str(place / "gone"))
    with pytest.raises(ConfigError, match=rf"in {place / 'gone'}: No such file"):
        folder_in_memory().__enter__()


def test_no_folder_for_temporary_files_at_all_is_a_clear_error(place, monkeypatch):
    def none_usable():
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr(folder, "MEMORY", place / "nowhere")
    monkeypatch.setattr(folder, "gettempdir", none_usable)
    with pytest.raises(ConfigError, match="the workers: No usable temporary directory"):
        folder_in_memory().__enter__()
