"""Signals to a serving process: blocked until there is a handler for them.

The kernel keeps blocked signals pending, and a child process inherits the mask. So a reload
requested during the start happens after it, and kills nobody.
"""

import signal
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager

ENDING = frozenset({signal.SIGINT, signal.SIGTERM})
RELOAD = frozenset({signal.SIGHUP})


def hold(numbers: AbstractSet[signal.Signals] = ENDING | RELOAD) -> None:
    """Block *numbers*."""
    signal.pthread_sigmask(signal.SIG_BLOCK, numbers)


def let_through(numbers: AbstractSet[signal.Signals] = ENDING | RELOAD) -> None:
    """Unblock *numbers*; pending ones arrive at once."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)


@contextmanager
def handled() -> Iterator[None]:
    """Unblock all of them inside the context, where they have handlers.

    Afterwards those that end a process do so, and a reload that was blocked before is blocked
    again.
    """
    before = signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING | RELOAD)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, set(before) - ENDING)
