"""The timer of silence: when it fires, and when it does not."""

import asyncio
import socket
import time

from gateway.upstream.idle_timer import IdleTimer


async def test_the_idle_timer_fires_after_silence_only():
    fired = asyncio.Event()
    loop = asyncio.get_running_loop()
    timer = IdleTimer(loop, 0.4, fired.set)
    for _ in range(12):
        await asyncio.sleep(0.05)
        timer.touch()
    assert not fired.is_set()
    await asyncio.wait_for(fired.wait(), 5)


async def test_a_stopped_timer_never_fires():
    fired = asyncio.Event()
    IdleTimer(asyncio.get_running_loop(), 0.01, fired.set).stop()
    await asyncio.sleep(0.05)
    assert not fired.is_set()


async def test_what_came_while_the_process_was_busy_is_no_silence():
    """Who reads wakes a turn of the loop after the socket was read: a timer is quicker."""
    loop = asyncio.get_running_loop()
    fired: list[int] = []
    timer = IdleTimer(loop, 0.3, lambda: fired.append(1))
    free = asyncio.Event()
    reader, writer = socket.socketpair()
    reader.setblocking(False)

    def read() -> None:
        reader.recv(1)
        loop.call_soon(timer.touch)

    def block() -> None:
        writer.send(b"x")
        time.sleep(0.4)
        free.set()

    loop.add_reader(reader, read)
    loop.call_later(0.05, block)
    await free.wait()
    await asyncio.sleep(0.02)
    assert not fired
    async with asyncio.timeout(5):
        while not fired:
            await asyncio.sleep(0.02)
    loop.remove_reader(reader)
    reader.close()
    writer.close()
