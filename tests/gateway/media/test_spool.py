"""Bytes stay in memory while they are few, and are the same from either place."""

import os
import tracemalloc
from contextlib import closing

import pytest

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


async def test_a_large_item_left_half_way_is_forgotten():
    spool = Spool(10)
    await spool.write(bytes(2 * MB))
    spool.close()
    spool.close()
