"""The memory that a process may fill: as the machine, or the container, permits."""

import os

import pytest

from gateway.process import memory_room
from gateway.process.memory_room import available_bytes, buffered_bytes, kept_bytes, server_bytes

MACHINE = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
MB = 1 << 20


@pytest.fixture
def limited(tmp_path):
    """Return what is available to a process with this list of groups and these files."""

    def measure(own: str, files: dict[str, str]) -> int:
        (tmp_path / "own").write_text(own)
        for path, text in files.items():
            file = tmp_path / "cgroup" / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        return available_bytes(tmp_path / "own", tmp_path / "cgroup")

    return measure


@pytest.mark.parametrize(
    ("own", "files", "available"),
    [
        # In a container, of both versions of control groups.
        ("0::/\n", {"memory.max": "268435456\n"}, 256 * MB),
        (
            "5:cpu:/\n4:memory:/docker/1f\n0::/docker/1f\n",
            {"memory/memory.limit_in_bytes": "67108864\n"},
            64 * MB,
        ),
        # A unit with MemoryHigh= in a slice with MemoryMax=.
        (
            "0::/system.slice/gateway.service\n",
            {
                "system.slice/memory.max": "536870912\n",
                "system.slice/gateway.service/memory.max": "max\n",
                "system.slice/gateway.service/memory.high": "134217728\n",
            },
            128 * MB,
        ),
        # No limit.
        ("0::/\n", {"memory.max": "max\n"}, MACHINE),
        ("4:memory:/\n", {"memory/memory.limit_in_bytes": "9223372036854771712\n"}, MACHINE),
        ("1:cpu:/a\n", {"memory/memory.limit_in_bytes": "67108864\n"}, MACHINE),
        ("nonsense\n", {}, MACHINE),
    ],
)
def test_the_lowest_limit_counts(limited, own, files, available):
    assert limited(own, files) == available


def test_other_systems_have_the_memory_of_the_machine(tmp_path):
    assert available_bytes(tmp_path / "missing", tmp_path) == MACHINE


@pytest.mark.parametrize("workers", [1, 2, 8])
@pytest.mark.parametrize("megabytes", [512, 1_024, 4_096, 65_536])
def test_what_may_be_filled_fits(monkeypatch, megabytes, workers):
    monkeypatch.setattr(memory_room, "available_bytes", lambda: megabytes * MB)
    # Bodies exist up to two and a half times.
    one = 70 * MB + 2.5 * buffered_bytes(workers) + kept_bytes(workers)
    parent = 70 * MB + server_bytes(workers) if workers > 1 else 0
    if megabytes / (workers + 1) > 100:
        assert workers * one + parent <= megabytes * MB


def test_large_machines_change_nothing_and_tiny_ones_have_a_little(monkeypatch):
    monkeypatch.setattr(memory_room, "available_bytes", lambda: 1 << 40)
    assert (buffered_bytes(4), kept_bytes(4)) == (1_024 * MB, 128 * MB)
    monkeypatch.setattr(memory_room, "available_bytes", lambda: 64 * MB)
    assert (buffered_bytes(4), kept_bytes(4)) == (8 * MB, 8 * MB)
