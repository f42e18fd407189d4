"""Two attempts side by side: the first success counts, the other one is dropped."""

import asyncio
import gc
from contextlib import suppress

import pytest

from gateway.upstream.hedge import hedged


class Attempts:
    """Each attempt waits for its own future and gives its result."""

    def __init__(self) -> None:
        self.made = []
        self.discarded = []

    async def __call__(self):
        future = asyncio.get_running_loop().create_future()
        self.made.append(future)
        return await future

    def start(self, *, allowed: bool = True, after_s: float = 0.02):
        return asyncio.create_task(
            hedged(self, after_s=after_s, allowed=lambda: allowed, discard=self.discarded.append)
        )

    async def until(self, count: int) -> None:
        while len(self.made) < count:
            await asyncio.sleep(0.001)


async def test_an_answer_in_time_needs_no_second_attempt():
    attempts = Attempts()
    task = attempts.start(after_s=5)
    await attempts.until(1)
    attempts.made[0].set_result("first")
    assert await task == "first"
    assert len(attempts.made) == 1


async def test_a_silent_attempt_gets_a_second_beside_it_and_the_faster_wins():
    attempts = Attempts()
    task = attempts.start()
    await attempts.until(2)
    attempts.made[1].set_result("second")
    assert await task == "second"
    assert attempts.made[0].cancelled()


async def test_without_budget_there_is_no_second():
    attempts = Attempts()
    task = attempts.start(allowed=False)
    await asyncio.sleep(0.1)
    assert len(attempts.made) == 1
    attempts.made[0].set_result("first")
    assert await task == "first"


async def test_one_failure_leaves_the_other_its_chance():
    attempts = Attempts()
    task = attempts.start()
    await attempts.until(2)
    attempts.made[0].set_exception(ValueError("first"))
    await asyncio.sleep(0.01)
    attempts.made[1].set_result("second")
    assert await task == "second"


async def test_two_failures_raise_the_last():
    attempts = Attempts()
    task = attempts.start()
    await attempts.until(2)
    attempts.made[0].set_exception(ValueError("first"))
    await asyncio.sleep(0.01)
    attempts.made[1].set_exception(KeyError("second"))
    with pytest.raises(KeyError):
        await task


async def test_two_successes_at_once_discard_one():
    attempts = Attempts()
    task = attempts.start()
    await attempts.until(2)
    for number, future in enumerate(attempts.made):
        future.set_result(number)
    winner = await task
    assert attempts.discarded == [1 - winner]


async def test_leaving_cancels_both():
    attempts = Attempts()
    task = attempts.start()
    await attempts.until(2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert all(future.cancelled() for future in attempts.made)


async def test_leaving_again_while_the_loser_ends_loses_no_success():
    discarded, began = [], []

    async def attempt():
        began.append(None)
        if len(began) == 1:
            try:
                await asyncio.sleep(5)
            finally:
                await asyncio.sleep(0.05)
        return "second"

    hedging = hedged(attempt, after_s=0.01, allowed=lambda: True, discard=discarded.append)
    task = asyncio.create_task(hedging)
    while len(began) < 2:
        await asyncio.sleep(0.001)
    task.cancel()
    with suppress(asyncio.CancelledError):
        discarded.append(await task)
    assert discarded == ["second"]


async def test_a_success_after_leaving_is_discarded():
    discarded, began, noted = [], [], []

    async def attempt():
        began.append(None)
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(5)
        await asyncio.sleep(0.01)
        return "late"

    async def call():
        try:
            await hedged(attempt, after_s=0.01, allowed=lambda: True, discard=discarded.append)
        finally:
            # What they have cost is settled next.
            noted.extend(discarded)

    task = asyncio.create_task(call())
    while len(began) < 2:
        await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with asyncio.timeout(5):
        while len(discarded) < 2:
            await asyncio.sleep(0.001)
    assert discarded == noted == ["late", "late"]


@pytest.mark.parametrize("end", ["cancelled", "failed", "late"])
async def test_however_the_loser_ends_nothing_but_a_success_is_left_of_it(end):
    faults = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: faults.append(context))
    made = []
    discarded = []

    async def attempt():
        made.append(None)
        if len(made) > 1:
            return "second"
        try:
            await loop.create_future()
        except asyncio.CancelledError:
            if end == "late":
                return end
            if end == "failed":
                raise ConnectionError from None
            raise

    winner = await hedged(attempt, after_s=0.001, allowed=lambda: True, discard=discarded.append)
    assert winner == "second"
    for _ in range(3):
        await asyncio.sleep(0)
    gc.collect()
    assert discarded == (["late"] if end == "late" else [])
    assert faults == []
