"""Reads the cost of processes from /proc, and chooses their cores. Linux only."""

import os
from collections.abc import Iterator
from pathlib import Path

PROC = Path("/proc")
TICKS = os.sysconf("SC_CLK_TCK")
# Of a connection in `/proc/net/tcp`.
_ESTABLISHED = "01"


def parent(pid: int) -> int:
    """Return the parent of *pid*."""
    text = (PROC / str(pid) / "stat").read_text()
    return int(text[text.rindex(")") + 2 :].split()[1])


def tree(root: int) -> list[int]:
    """Return *root* and all its descendants."""
    children: dict[int, list[int]] = {}
    for entry in PROC.iterdir():
        if entry.name.isdigit():
            try:
                children.setdefault(parent(int(entry.name)), []).append(int(entry.name))
            except (FileNotFoundError, ProcessLookupError):
                continue
    pids = [root]
    for pid in pids:
        pids += children.get(pid, [])
    return pids


def cpu_s(pids: list[int]) -> float:
    """Return the CPU seconds of all threads of *pids*, to the nanosecond.

    The clock of `stat` ticks a hundred times a second, too coarse for a server that idles between
    chunks; the scheduler's own accounting is exact.
    """
    return sum(_thread_ns(task) for pid in pids for task in _tasks(pid)) / 1e9


def _tasks(pid: int) -> Iterator[Path]:
    try:
        yield from (PROC / str(pid) / "task").iterdir()
    except FileNotFoundError:
        return


def _thread_ns(task: Path) -> int:
    try:
        return int((task / "schedstat").read_text().split()[0])
    except (FileNotFoundError, ProcessLookupError):
        return 0


def busy_s() -> float:
    """Return the CPU seconds that the whole machine has been busy, steal included."""
    with (PROC / "stat").open() as file:
        user, nice, system, _idle, _wait, irq, soft, steal = map(int, file.readline().split()[1:9])
    return (user + nice + system + irq + soft + steal) / TICKS


def _kib(pids: list[int], file: str, field: str) -> int:
    total = 0
    for pid in pids:
        for line in (PROC / str(pid) / file).read_text().splitlines():
            if line.startswith(field):
                total += int(line.split()[1])
    return total


def pss_kib(pids: list[int]) -> int:
    """Return the memory of *pids*, with shared memory divided among its users."""
    return _kib(pids, "smaps_rollup", "Pss:")


def rss_kib(pids: list[int]) -> int:
    """Return the resident memory of *pids*."""
    return _kib(pids, "status", "VmRSS:")


def peak_kib(pids: list[int]) -> int:
    """Return the highest resident memory of *pids* since `reset_peak`."""
    return _kib(pids, "status", "VmHWM:")


def reset_peak(pids: list[int]) -> None:
    """Restart the peak of resident memory."""
    for pid in pids:
        (PROC / str(pid) / "clear_refs").write_text("5")


def connections(pids: list[int], port: int) -> list[int]:
    """Return how many connections at the local *port* each of *pids* has open."""
    lines = [line.split() for line in (PROC / "net/tcp").read_text().splitlines()[1:]]
    sockets = {
        f"socket:[{inode}]"
        for _, local, _, state, *_, inode in (line[:10] for line in lines)
        if local.endswith(f":{port:04X}") and state == _ESTABLISHED
    }
    return [sum(link in sockets for link in _descriptors(pid)) for pid in pids]


def _descriptors(pid: int) -> Iterator[str]:
    for descriptor in (PROC / str(pid) / "fd").iterdir():
        try:
            yield str(descriptor.readlink())
        except FileNotFoundError:
            continue


def cores() -> tuple[set[int], set[int]]:
    """Return the cores for the server under test and for the load: one each if there are two."""
    usable = sorted(os.sched_getaffinity(0))
    return {usable[0]}, {usable[-1]}
