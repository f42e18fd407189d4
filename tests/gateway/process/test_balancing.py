import asyncio
import errno
import os
import socket

import pytest
import structlog
from aiohttp import web

from gateway.network.sockets import listen
from gateway.process import balancing
from gateway.process.balancing import LEAD, BalancedSite, ConnectionShare, shared_counts


@pytest.fixture
def counts():
    """Return a maker of shares: of any worker, all in the same file."""
    descriptor = shared_counts(3)
    yield lambda worker: ConnectionShare(descriptor, worker)
    os.close(descriptor)


@pytest.fixture
async def workers():
    """Return a maker of servers at one port, each like one of its workers."""
    (port,) = listen("127.0.0.1", 0)
    runners, clients = [], []

    async def worker(share: ConnectionShare) -> web.ServerRunner:
        runner = web.ServerRunner(web.Server(lambda _: asyncio.sleep(0)))
        runners.append(runner)
        await runner.setup()
        await BalancedSite(runner, port.dup(), share).start()
        return runner

    def connect(number: int) -> None:
        for _ in range(number):
            clients.append(client := socket.socket())
            client.setblocking(False)
            client.connect_ex(port.getsockname())

    yield worker, connect
    for client in clients:
        client.close()
    for runner in runners:
        await runner.cleanup()
    port.close()


async def _until(condition) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


def _open(runner: web.ServerRunner) -> int:
    return len(runner.server.connections)


def test_a_worker_grows_with_the_one_that_has_the_fewest_connections(counts):
    first, second, third = shares = [counts(1), counts(2), counts(3)]
    for share in shares:
        share.join()
    second.add(LEAD)
    third.add(LEAD + 1)
    assert [share.may_grow() for share in shares] == [True, True, False]
    third.add(-1)
    assert third.may_grow()
    third.add(1)
    first.leave()
    first.add(-1)
    assert third.may_grow()
    first.join()
    assert not third.may_grow()


def test_among_many_connections_a_few_more_do_not_matter(counts):
    first, second = counts(1), counts(2)
    first.join()
    second.join()
    first.add(3200)
    second.add(3300 + LEAD)
    assert second.may_grow()
    second.add(1)
    assert not second.may_grow()


async def test_connections_that_arrive_at_once_are_spread(counts, workers):
    worker, connect = workers
    one, other = await worker(counts(1)), await worker(counts(2))
    for expected in (30, 60):
        connect(30)
        await _until(lambda expected=expected: _open(one) + _open(other) == expected)
        assert abs(_open(one) - _open(other)) <= LEAD + 1


async def test_what_others_do_not_take_is_taken(counts, workers):
    counts(2).join()
    worker, connect = workers
    only = await worker(counts(1))
    connect(20)
    await _until(lambda: _open(only) == 20)


async def test_who_is_not_listening_is_not_waited_for(counts, workers, monkeypatch):
    monkeypatch.setattr(balancing, "PAUSE_S", 3600.0)
    gone = counts(2)
    gone.join()
    gone.leave()
    worker, connect = workers
    only = await worker(counts(1))
    connect(20)
    await _until(lambda: _open(only) == 20)


async def test_a_stopped_site_takes_nothing_and_publishes_so(counts, workers):
    worker, connect = workers
    one, other = await worker(counts(1)), await worker(counts(2))
    connect(10)
    await _until(lambda: _open(one) + _open(other) == 10)
    before = _open(one)
    for site in list(one.sites):
        await site.stop()
    connect(10)
    await _until(lambda: _open(one) + _open(other) == 20)
    assert _open(one) == before


async def test_without_descriptors_it_waits_and_says_so_once(counts, workers, monkeypatch):
    monkeypatch.setattr(balancing, "EXHAUSTED_PAUSE_S", 0.01)
    refusals = [OSError(errno.EMFILE, os.strerror(errno.EMFILE)) for _ in range(5)]
    accept = socket.socket.accept

    def refuse_at_first(sock: socket.socket):
        if refusals:
            raise refusals.pop()
        return accept(sock)

    monkeypatch.setattr(socket.socket, "accept", refuse_at_first)
    worker, connect = workers
    only = await worker(counts(1))
    with structlog.testing.capture_logs() as lines:
        connect(1)
        await _until(lambda: _open(only) == 1)
    assert [(line["event"], line["reason"]) for line in lines] == [
        ("accept_failed", "Too many open files")
    ]
