import asyncio

import pytest

from gateway.drain import Drain
from gateway.errors import Unavailable


async def running(drain: Drain, go_on: asyncio.Event) -> str:
    try:
        task = drain.enter()
        try:
            await go_on.wait()
        finally:
            drain.leave(task)
    except asyncio.CancelledError:
        return "told to end" if drain.over else "cancelled"
    return "finished"


async def test_requests_that_run_are_waited_for():
    drain, go_on = Drain(), asyncio.Event()
    assert await drain.finished(0)
    task = asyncio.create_task(running(drain, go_on))
    await asyncio.sleep(0)
    drain.begin()
    assert (drain.begun, drain.over, drain.count) == (True, False, 1)
    assert not await drain.finished(0.01)
    go_on.set()
    assert await drain.finished(5)
    assert await task == "finished"


async def test_the_last_of_them_is_waited_for():
    drain, events = Drain(), [asyncio.Event(), asyncio.Event()]
    tasks = [asyncio.create_task(running(drain, go_on)) for go_on in events]
    await asyncio.sleep(0)
    finished = asyncio.create_task(drain.finished(5))
    for go_on, task in zip(events, tasks, strict=True):
        assert not finished.done()
        go_on.set()
        await task
        await asyncio.sleep(0)
    assert await finished


async def test_connections_that_end_still_have_their_requests_admitted():
    drain = Drain()
    drain.leave_connections()
    drain.leave(drain.enter())
    assert (drain.leaving, drain.begun, drain.over) == (True, False, False)


async def test_once_begun_nobody_new_is_let_in():
    drain = Drain()
    drain.begin()
    with pytest.raises(Unavailable) as caught:
        drain.enter()
    assert caught.value.retry_after == 0.25


async def test_what_runs_already_may_enter_again_and_is_counted_once():
    drain = Drain()
    task = drain.enter()
    drain.begin()
    again = drain.enter()
    assert (again, drain.count) == (None, 1)
    drain.leave(again)
    assert drain.count == 1
    drain.leave(task)
    assert drain.count == 0


async def test_at_the_end_the_running_ones_are_told():
    drain, go_on = Drain(), asyncio.Event()
    tasks = [asyncio.create_task(running(drain, go_on)) for _ in range(3)]
    await asyncio.sleep(0)
    drain.end()
    assert await asyncio.gather(*tasks) == ["told to end"] * 3
    assert drain.count == 0


async def test_a_client_that_leaves_is_no_end_of_the_drain():
    drain, go_on = Drain(), asyncio.Event()
    task = asyncio.create_task(running(drain, go_on))
    await asyncio.sleep(0)
    task.cancel()
    assert await task == "cancelled"
