"""What holds up the event loop is named."""

import asyncio
import time

import structlog

from gateway.process.loop_watch import watched

LOOK_S = 0.05


def hold_up(seconds: float) -> None:
    time.sleep(seconds)


async def test_what_holds_up_the_loop_is_named_once_and_its_end_told():
    with structlog.testing.capture_logs() as lines, watched(asyncio.get_running_loop(), LOOK_S):
        hold_up(8 * LOOK_S)
        async with asyncio.timeout(5):
            while len(lines) < 2:
                await asyncio.sleep(LOOK_S)
    held, over = lines
    assert held["event"] == "loop_held_up"
    here = hold_up.__code__
    assert held["at"].startswith(f"{here.co_filename}:{here.co_firstlineno + 1} < ")
    assert over["event"] == "loop_goes_on"
    assert over["seconds"] >= 4 * LOOK_S


async def test_a_loop_that_runs_is_not_told_of():
    loop = asyncio.get_running_loop()
    with structlog.testing.capture_logs() as lines, watched(loop, 4 * LOOK_S):
        for _ in range(60):
            hold_up(LOOK_S / 10)
            await asyncio.sleep(LOOK_S / 10)
    assert lines == []


async def test_nothing_is_left_behind():
    loop = asyncio.get_running_loop()
    with structlog.testing.capture_logs() as lines:
        with watched(loop, LOOK_S):
            pass
        hold_up(8 * LOOK_S)
    assert lines == []
