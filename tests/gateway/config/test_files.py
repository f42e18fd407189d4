import os

import pytest

from gateway.config.files import content


def test_a_file_is_read_as_it_is(tmp_path):
    (tmp_path / "a").write_bytes(b"\xff\r\n")
    assert content(tmp_path / "a") == b"\xff\r\n"


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="it is a pipe or a device"):
        content(tmp_path / "pipe")
