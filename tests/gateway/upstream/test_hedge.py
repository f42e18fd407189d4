"""Two attempts side by side: the first success counts, the other one is dropped."""

import asyncio

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
