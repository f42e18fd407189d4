"""How much memory a process may fill with what it could refuse, or forget, instead.

A container or a service may have far less memory than the machine; whoever exceeds its limit is
killed by the kernel, with all requests.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Final

# What a process takes before its first request, with some room for small requests.
IDLE_BYTES: Final = 80 << 20
# Of what is left. Up to 2.5 copies of a body exist at once, besides what the kernel holds of it.
BUFFERED_SHARE: Final = 5
KEPT_SHARE: Final = 8
# The private state server is in the share of the workers' parent, which needs no more than it does
# when idle.
SERVER_SHARE: Final = 2
MOST_BUFFERED_BYTES: Final = 1 << 30
MOST_KEPT_BYTES: Final = 128 << 20
MOST_SERVER_BYTES: Final = 1 << 30
# With less nothing works.
LEAST_BYTES: Final = 8 << 20

_CGROUPS: Final = Path("/sys/fs/cgroup")
_LIMITS: Final = ("memory.max", "memory.high")
_LIMITS_V1: Final = ("memory.limit_in_bytes",)


def buffered_bytes(workers: int) -> int:
    """Return how many bytes of bodies each of *workers* may hold."""
    return _share(workers, BUFFERED_SHARE, MOST_BUFFERED_BYTES)


def kept_bytes(workers: int) -> int:
    """Return how much each of *workers* may remember of conversations."""
    return _share(workers, KEPT_SHARE, MOST_KEPT_BYTES)


def server_bytes(workers: int) -> int:
    """Return how much the private state server of *workers* may remember of conversations."""
    return _share(workers, SERVER_SHARE, MOST_SERVER_BYTES)


def _share(workers: int, share: int, most: int) -> int:
    # Several have a parent.
    processes = workers + 1 if workers > 1 else 1
    free = available_bytes() // processes - IDLE_BYTES
    return max(LEAST_BYTES, min(most, free // share))


def available_bytes(own: Path = Path("/proc/self/cgroup"), root: Path = _CGROUPS) -> int:
    """Return the memory of the machine, or the lowest limit on this process if that is less.

    *own* names its control groups, whose files are below *root*.
    """
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min((machine, *_limits(own, root)))


def _limits(own: Path, root: Path) -> Iterator[int]:
    """Yield the limits of the control groups that this process is in, and of those around them."""
    for base, group, names in _groups(own, root):
        # In a container the path may be the host's; then the limits are at the top.
        for folder in (group, *group.parents):
            for name in names:
                # "max" is no limit.
                with suppress(OSError, ValueError):
                    yield int((base / folder / name).read_text())


def _groups(own: Path, root: Path) -> Iterator[tuple[Path, PurePosixPath, tuple[str, ...]]]:
    """Yield for each hierarchy its folder, the group's path in it, and the names of limits."""
    lines: list[str] = []
    # Other systems than Linux have no such file.
    with suppress(OSError):
        lines = own.read_text().splitlines()
    for line in lines:
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        group = PurePosixPath(path.lstrip("/"))
        if not controllers:
            yield root, group, _LIMITS
        elif "memory" in controllers.split(","):
            yield root / "memory", group, _LIMITS_V1
