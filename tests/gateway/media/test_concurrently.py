import asyncio

import pytest

from gateway.media.concurrently import run_all


async def wait(ended: list[str]) -> None:
    try:
        await asyncio.sleep(3600)
    finally:
        ended.append("wait")


async def test_the_first_fault_ends_the_others_and_is_raised_as_it_is():
    ended: list[str] = []

    async def fail() -> None:
        await asyncio.sleep(0)
        raise KeyError("fault")

    with pytest.raises(KeyError, match="fault"):
        await run_all([wait(ended), fail()])
    assert ended == ["wait"]


async def test_who_cancels_cancels_all():
    ended: list[str] = []
    running = asyncio.create_task(run_all([wait(ended), wait(ended)]))
    await asyncio.sleep(0.01)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert ended == ["wait", "wait"]
