"""Imports libraries without others that they only use if these are installed."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without(name: str) -> Iterator[None]:
    """Let the module *name* seem not installed inside the context, unless it is imported already.

    A process needs several MB, and its start a tenth of a second, for such a library.
    """
    if name in sys.modules:
        yield
        return
    # So the import system marks what cannot be imported.
    sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[name]
