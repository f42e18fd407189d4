"""The descriptors 0, 1 and 2, which whoever starts the gateway may have closed."""

import os

_STANDARD_ERROR = 2


def open_closed() -> None:
    """Open those of them that are closed, on nothing.

    Else the next socket or database gets the number, and log lines are written into it.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= _STANDARD_ERROR:
        # For child processes as well.
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
