"""Lines are written by a thread of its own, dropped and counted where they cannot be."""

import fcntl
import os
import select
import threading
import time

from gateway.log import sink as sink_module
from gateway.log.sink import Sink


def test_a_closed_pipe_drops_lines_and_counts_them():
    read, write = os.pipe()
    os.close(read)
    sink = Sink(write)
    for _ in range(3):
        sink.put(b"lost\n")
    sink.flush()
    assert sink.dropped == 3
    os.close(write)


def test_a_full_disk_drops_lines_and_counts_them():
    fd = os.open("/dev/full", os.O_WRONLY)
    sink = Sink(fd)
    sink.put(b"lost\n")
    sink.flush()
    assert sink.dropped == 1
    os.close(fd)


def test_a_line_that_is_cut_where_the_room_ends_is_completed_when_there_is_room_again(pipe):
    fcntl.fcntl(pipe[1], fcntl.F_SETPIPE_SZ, 4_096)
    os.set_blocking(pipe[1], False)
    sink = Sink(pipe[1])
    with sink._writing:
        for number in range(50):
            sink.put(b"%099d\n" % number)
    sink.flush()
    sink.put(b"no room\n")
    sink.flush()
    read = os.read(pipe[0], 4_096)
    sink.put(b"next\n")
    sink.flush()
    *lines, told = (read + os.read(pipe[0], 4_096)).splitlines()
    assert lines == [*(b"%099d" % number for number in range(41)), b"next"]
    assert told == b'{"event":"log_lines_dropped","count":10}'


def test_a_pipe_that_nobody_reads_holds_nobody_up(pipe, monkeypatch):
    monkeypatch.setattr(sink_module, "MAX_QUEUED_LINES", 100)
    sink = Sink(pipe[1])
    done = threading.Event()

    def speak():
        for _ in range(2_000):
            sink.put(b"x" * 1_000 + b"\n")
        done.set()

    threading.Thread(target=speak, daemon=True).start()
    assert done.wait(10)
    assert sink.dropped > 0
    # Let the writer go: it stands in `write`.
    while threading.active_count() and os.read(pipe[0], 1 << 20):
        if not sink._lines and sink._writing.acquire(timeout=0.2):
            break


def test_the_number_of_lost_lines_is_told_in_the_log(pipe):
    sink = Sink(pipe[1])
    sink.dropped = 7
    sink.put(b"next\n")
    sink.flush()
    assert os.read(pipe[0], 100) == b'next\n{"event":"log_lines_dropped","count":7}\n'


def test_the_writer_rests_while_there_is_nothing_and_wakes_for_a_line(pipe, monkeypatch):
    monkeypatch.setattr(sink_module, "BATCH_S", 0.005)
    monkeypatch.setattr(sink_module, "TURNS_BEFORE_SLEEP", 2)
    sink = Sink(pipe[1])
    for line in (b"one\n", b"two\n"):
        deadline = time.monotonic() + 10
        while not sink._is_asleep and time.monotonic() < deadline:
            time.sleep(0.005)
        assert sink._is_asleep
        sink.put(line)
        assert select.select([pipe[0]], [], [], 10)[0]
        assert os.read(pipe[0], 100) == line
