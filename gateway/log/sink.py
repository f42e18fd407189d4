"""Writes lines in a separate thread: nobody who logs waits for a disk or a pipe."""

import os
import threading
import time
from collections import deque

MAX_QUEUED_LINES = 10_000
# Lines wait this long for others, so that a busy second costs few writes.
BATCH_S = 0.1
# After this many turns without a line the writer sleeps until one comes.
TURNS_BEFORE_SLEEP = 20


class Sink:
    """Writes lines to a file descriptor in a separate thread; never raises, never waits."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._lines: deque[bytes] = deque()
        self._is_asleep = False
        self._wake = threading.Event()
        self._writing = threading.Lock()
        self.dropped = 0
        self._dropped_reported = 0
        # What is left of a line of which only the beginning could be written.
        self._rest = b""
        threading.Thread(target=self._run, name="log", daemon=True).start()

    def put(self, line: bytes) -> None:
        """Queue *line*, which ends in a newline."""
        if len(self._lines) >= MAX_QUEUED_LINES:
            self.dropped += 1
            return
        self._lines.append(line)
        if self._is_asleep:
            self._wake.set()

    def flush(self) -> None:
        """Write what is queued now, unless the writer is stuck."""
        if self._writing.acquire(timeout=1.0):
            try:
                self._drain()
            finally:
                self._writing.release()

    def _run(self) -> None:
        # A thread that wakes takes the interpreter from the caller: while lines come now and then,
        # this one looks for them at its own pace.
        turns = 0
        while True:
            time.sleep(BATCH_S)
            if self._lines:
                with self._writing:
                    self._drain()
                turns = 0
            elif (turns := turns + 1) >= TURNS_BEFORE_SLEEP:
                self._sleep()
                turns = 0

    def _sleep(self) -> None:
        """Sleep until there is a line."""
        self._wake.clear()
        self._is_asleep = True
        # A line that came just before would not wake it.
        if not self._lines:
            self._wake.wait()
        self._is_asleep = False

    def _drain(self) -> None:
        lines: list[bytes] = []
        while self._lines:
            lines.append(self._lines.popleft())
        lost = self._write(b"".join(lines))
        self.dropped += lost
        dropped = self.dropped
        if lost or dropped == self._dropped_reported:
            return
        if not self._write(b'{"event":"log_lines_dropped","count":%d}\n' % dropped):
            self._dropped_reported = dropped

    def _write(self, lines: bytes) -> int:
        """Write *lines*; return how many are lost. The rest of one that is cut is written later."""
        data = self._rest + lines
        try:
            while data:
                written = os.write(self._fd, data)
                is_cut = data[written - 1 : written] != b"\n"
                data = data[written:]
                self._rest = data[: data.find(b"\n") + 1] if is_cut else b""
        except OSError:
            return data.count(b"\n") - bool(self._rest)
        return 0
