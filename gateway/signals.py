"""Signals to a process that serves: until somebody handles them they wait.

The kernel keeps them, whatever the process does meanwhile, and a process that is started inherits
that. So a reload that is asked for during the start is made when that is over, and kills nobody.
"""

import signal
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from contextlib import contextmanager

ENDING = frozenset({signal.SIGINT, signal.SIGTERM})
RELOAD = frozenset({signal.SIGHUP})


def hold(numbers: AbstractSet[signal.Signals] = ENDING | RELOAD) -> None:
    """Let those of *numbers* wait."""
    signal.pthread_sigmask(signal.SIG_BLOCK, numbers)


def let_through(numbers: AbstractSet[signal.Signals] = ENDING | RELOAD) -> None:
    """Let those of *numbers* come, those that waited at once."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)


@contextmanager
def handled() -> Iterator[None]:
    """Let all of them come while inside, where they have handlers.

    Behind it those that end a process end it, and a reload that was held before is held again.
    """
    before = signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING | RELOAD)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, set(before) - ENDING)
