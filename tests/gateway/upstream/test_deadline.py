"""A bound on time, as `asyncio.timeout_at` would keep it."""

import asyncio

import pytest

from gateway.upstream.deadline import Deadline


def in_seconds(seconds):
    loop = asyncio.get_running_loop()
    return Deadline(loop, loop.time() + seconds)


@pytest.mark.parametrize("seconds", [-1, 0, 0.01])
async def test_what_takes_longer_is_ended(seconds):
    with pytest.raises(TimeoutError), in_seconds(seconds):
        await asyncio.sleep(60)
    # The task itself goes on, and may be cancelled again.
    assert asyncio.current_task().cancelling() == 0
    await asyncio.sleep(0)


async def test_what_is_done_in_time_is_left_alone():
    with in_seconds(0.02):
        await asyncio.sleep(0)
    await asyncio.sleep(0.05)


async def test_an_error_of_its_own_passes():
    with pytest.raises(KeyError), in_seconds(10):
        raise KeyError


async def test_who_is_cancelled_by_others_is_cancelled():
    async def work():
        with in_seconds(10):
            await asyncio.sleep(60)

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_who_is_cancelled_by_others_at_the_same_time_is_cancelled():
    deadline = in_seconds(10)

    async def work():
        with deadline:
            await asyncio.sleep(60)

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    deadline._expire()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_expired_bound_whose_work_ended_all_the_same_raises_nothing():
    async def stubborn():
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            return "done"

    with in_seconds(0):
        assert await stubborn() == "done"
    assert asyncio.current_task().cancelling() == 0
