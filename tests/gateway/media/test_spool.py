"""Bytes stay in memory while they are few, and are the same from either place."""

import asyncio
import os
import threading
import tracemalloc
from contextlib import closing
from pathlib import Path

import pytest

from gateway.errors import Unavailable
from gateway.media import spool
from gateway.media.spool import Spool

MB = 1_000_000


@pytest.mark.parametrize("size", [0, 1, 999_999, MB, MB + 1, 5 * MB])
async def test_what_goes_in_comes_out(size: int):
    data = os.urandom(size)
    with closing(Spool(MB)) as spool:
        for at in range(0, size, 65_536):
            await spool.write(data[at : at + 65_536])
        window = await spool.window()
        assert (spool.size, len(window), spool.is_large) == (size, size, size > MB)
        assert window[:] == data
        assert window[size // 2 : size // 2 + 10] == data[size // 2 : size // 2 + 10]
        assert window[size + 5 : size + 9] == b""


async def test_a_large_item_takes_no_more_memory_than_a_small_one():
    piece = os.urandom(65_536)
    with closing(Spool(MB)) as spool:
        tracemalloc.start()
        try:
            for _ in range(800):
                await spool.write(piece)
            await spool.window()
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert spool.size > 50 * MB
        assert peak < 4 * MB


async def test_what_is_in_memory_is_counted():
    held = [0]
    with closing(Spool(MB, held.append)) as spool:
        await spool.write(bytes(400_000))
        await spool.write(bytes(600_000))
        assert sum(held) == MB
        await spool.write(bytes(MB))
        await spool.window()
        assert sum(held) == 0


async def test_a_large_item_left_half_way_is_forgotten():
    spool = Spool(10)
    await spool.write(bytes(2 * MB))
    spool.close()
    spool.close()


def no_folder(**_options):
    raise FileNotFoundError(2, "No usable temporary directory found")


def full_disk(**_options):
    return Path("/dev/full").open("w+b", buffering=4096)


@pytest.mark.parametrize("disk", [no_folder, full_disk])
async def test_a_disk_that_takes_nothing_is_the_gateways_fault(monkeypatch, disk):
    monkeypatch.setattr(spool.tempfile, "TemporaryFile", disk)

    async def write(one: Spool) -> None:
        for _ in range(20):
            await one.write(bytes(100_001))
        await one.window()

    with closing(Spool(1000)) as one, pytest.raises(Unavailable) as caught:
        await write(one)
    assert caught.value.retry_after
    assert "dev" not in caught.value.message


async def test_whoever_leaves_while_it_is_written_leaves_nothing(monkeypatch):
    begun, goes_on, files = threading.Event(), threading.Event(), []
    temporary = spool.tempfile.TemporaryFile

    def slow(**options):
        begun.set()
        goes_on.wait(5)
        files.append(temporary(**options))
        return files[-1]

    monkeypatch.setattr(spool.tempfile, "TemporaryFile", slow)
    one = Spool(1000)
    with closing(one):
        task = asyncio.create_task(one.write(bytes(2 * MB)))
        await asyncio.to_thread(begun.wait, 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    goes_on.set()
    async with asyncio.timeout(5):
        while not files or not files[0].closed:
            await asyncio.sleep(0.01)
