"""Batches: alone at once, under load together, and never longer than the timeout."""

import asyncio
import time
from contextlib import nullcontext, suppress

import pytest

from gateway.state import batcher as batcher_module
from gateway.state.batcher import GRACE_TURNS, Batcher, PatientTimeout
from gateway.state.store import NotDone, StoreDown


class Server:
    """Echoes each command once it is let go, and remembers the batches."""

    def __init__(self):
        self.batches = []
        self.gate = asyncio.Event()
        self.fault = None

    async def send(self, commands):
        self.batches.append(commands)
        await self.gate.wait()
        if self.fault:
            raise self.fault
        return [ValueError("refused") if "bad" in command else command for command in commands]


@pytest.fixture
def server():
    return Server()


async def test_what_is_asked_during_a_batch_makes_the_next(server):
    batcher = Batcher(server.send, 5)
    tasks = [asyncio.ensure_future(batcher.ask(("first",)))]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    tasks += [asyncio.ensure_future(batcher.ask((number,))) for number in range(3)]
    await asyncio.sleep(0)
    batcher.tell(("told",))
    server.gate.set()
    assert await asyncio.gather(*tasks) == [[("first",)], [(0,)], [(1,)], [(2,)]]
    await batcher.close()
    assert server.batches == [[("first",)], [(0,), (1,), (2,), ("told",)]]


async def test_several_commands_are_answered_together(server):
    server.gate.set()
    assert await Batcher(server.send, 5).ask(("a",), ("b",)) == [("a",), ("b",)]


async def test_a_refused_command_fails_its_asker_alone(server):
    server.gate.set()
    batcher = Batcher(server.send, 5)
    good, bad = await asyncio.gather(
        batcher.ask(("good",)), batcher.ask(("fine",), ("bad",)), return_exceptions=True
    )
    assert good == [("good",)]
    assert isinstance(bad, StoreDown)


async def test_at_the_timeout_all_who_wait_fail_together(server):
    batcher = Batcher(server.send, 0.05)
    first = asyncio.ensure_future(batcher.ask(("first",)))
    await asyncio.sleep(0.01)
    second = asyncio.ensure_future(batcher.ask(("second",)))
    failed = await asyncio.gather(first, second, return_exceptions=True)
    # What never left has changed nothing there.
    assert [type(error) for error in failed] == [StoreDown, NotDone]
    assert len(server.batches) == 1


@pytest.mark.parametrize("fault", [None, OSError()])
async def test_what_a_cancelled_future_does_not_take_is_passed_on(server, fault):
    batcher, unclaimed = Batcher(server.send, 5), []
    futures = [batcher.post(("sent",), unclaimed=unclaimed.append)]
    await asyncio.sleep(0)
    futures.append(batcher.post(("queued",), unclaimed=unclaimed.append))
    server.fault = fault
    server.gate.set()
    # The replies come before those who waited know that they are cancelled.
    for future in futures:
        future.cancel()
    await batcher.close()
    await asyncio.sleep(0)
    results = await asyncio.gather(*unclaimed, return_exceptions=True)
    if fault:
        assert [type(error) for error in results] == [StoreDown, NotDone]
    else:
        assert results == [[("sent",)], [("queued",)]]


async def test_what_fails_while_connecting_was_never_sent(server):
    lost = []
    batcher = Batcher(
        server.send,
        0.05,
        connect=lambda: asyncio.sleep(9),
        on_lost=lambda commands, may_be_done: lost.append((commands, may_be_done)),
    )
    batcher.tell(("told",))
    with pytest.raises(NotDone):
        await batcher.ask(("asked",))
    assert lost == [((("told",),), False)]
    assert server.batches == []


async def test_an_answer_that_came_while_this_process_was_busy_counts(server):
    batcher = Batcher(server.send, 0.02)
    waiting = asyncio.ensure_future(batcher.ask(("first",)))
    await asyncio.sleep(0.01)
    server.gate.set()
    time.sleep(0.1)
    assert await waiting == [("first",)]


async def test_a_process_that_stood_still_has_time_for_several_answers():
    async def send(commands):
        await asyncio.sleep(0)
        time.sleep(0.5)
        for _ in range(5):
            await asyncio.sleep(0.001)
        return commands

    assert await Batcher(send, 0.4).ask(("first",)) == [("first",)]


async def test_a_batcher_that_is_ended_does_not_take_it_for_a_timeout(server):
    batcher = Batcher(server.send, 5)
    waiting = asyncio.ensure_future(batcher.ask(("first",)))
    await asyncio.sleep(0)
    batcher._task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await batcher._task
    waiting.cancel()


async def test_who_is_cancelled_at_the_time_of_the_timeout_is_cancelled():
    async def work():
        limits.append(PatientTimeout(10))
        with limits[0]:
            await asyncio.sleep(60)

    limits = []
    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    limits[0]._give_up(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_fault_at_the_time_of_the_timeout_is_told_as_it_is():
    limit = PatientTimeout(10)
    limit._give_up(0)
    with suppress(asyncio.CancelledError):
        await asyncio.sleep(60)
    # It raises nothing of its own.
    limit.__exit__(LookupError, LookupError(), None)


@pytest.mark.parametrize(("turns", "is_over"), [(GRACE_TURNS - 1, False), (GRACE_TURNS + 3, True)])
async def test_what_comes_a_few_turns_after_the_time_counts(turns, is_over):
    limit = PatientTimeout(10)
    with pytest.raises(StoreDown) if is_over else nullcontext(), limit:
        limit._begin_slice(0)
        for _ in range(turns):
            await asyncio.sleep(0)


async def test_after_a_fault_the_next_command_is_tried(server):
    server.gate.set()
    server.fault = StoreDown("gone")
    batcher = Batcher(server.send, 5)
    batcher.tell(("lost",))
    with pytest.raises(StoreDown, match="gone"):
        await batcher.ask(("a",))
    server.fault = None
    assert await batcher.ask(("b",)) == [("b",)]


async def test_an_asker_that_leaves_harms_nobody(server):
    batcher = Batcher(server.send, 5)
    leaver = asyncio.ensure_future(batcher.ask(("leaver",)))
    stayer = asyncio.ensure_future(batcher.ask(("stayer",)))
    await asyncio.sleep(0)
    leaver.cancel()
    server.gate.set()
    assert await stayer == [("stayer",)]


async def test_what_nobody_waits_for_is_dropped_beyond_a_bound(server, monkeypatch):
    monkeypatch.setattr(batcher_module, "MAX_QUEUE", 3)
    batcher = Batcher(server.send, 5)
    for number in range(10):
        batcher.tell((number,))
    server.gate.set()
    await batcher.close()
    assert server.batches == [[(0,), (1,), (2,)]]


async def test_nobody_waits_for_ever_when_sending_fails_in_an_unheard_of_way():
    async def send(commands):
        raise RecursionError

    batcher = Batcher(send, 10)
    with pytest.raises(StoreDown, match="RecursionError"):
        await asyncio.wait_for(batcher.ask(("PING",)), 5)
    await batcher.close()
