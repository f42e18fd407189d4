"""How long tests wait, on a machine that may be busy with others."""

import time
from pathlib import Path

# Whoever waits longer for another process waits in vain.
HANGING_S = 100.0


def own_clock() -> float:
    """Return seconds that go on while this thread runs or sleeps, not while it is kept waiting.

    A thread that is ready to run waits for a processor while others have them.
    """
    waiting_ns = int(Path("/proc/thread-self/schedstat").read_text().split()[1])
    return time.monotonic() - waiting_ns / 1e9
