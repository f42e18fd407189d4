"""A thread holds what it works on until it ends, whoever has left meanwhile."""

import asyncio
import threading

import pytest

from gateway.process.threads import in_thread


async def test_the_result_is_returned():
    assert await in_thread(int, "11", base=2) == 3


async def test_a_failure_is_raised():
    with pytest.raises(ValueError, match="invalid literal"):
        await in_thread(int, "x")


@pytest.mark.parametrize("fails", [False, True])
async def test_who_is_cancelled_ends_with_the_work(fails):
    def work():
        begun.set()
        assert go_on.wait(10)
        done.append(1 / (not fails))

    begun, go_on, done = threading.Event(), threading.Event(), []
    task = asyncio.create_task(in_thread(work))
    while not begun.is_set():
        await asyncio.sleep(0)
    for _ in range(2):
        task.cancel()
        await asyncio.sleep(0.01)
        assert not task.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done == ([] if fails else [1])
