"""Addresses: asked for now and then, known while the name server fails, the good one first."""

import asyncio
import socket

import pytest

from gateway.upstream import pool
from gateway.upstream import resolver as module
from gateway.upstream.resolver import Resolver
from tests.faults.scripted import LAST, ScriptedUpstream, stream
from tests.gateway.upstream.test_transport import CALL, ask

HOST = ("gemini.example", 443)


class NameServer:
    """Gives *addresses*, or raises them; while *hangs* is set nobody gets an answer."""

    def __init__(self, *addresses: str) -> None:
        self.addresses: list[str] | OSError = [*addresses]
        self.hangs = False
        self.asked = 0

    async def lookup(self, host: str, port: int, flags: int) -> list[str]:
        self.asked += 1
        while self.hangs:
            await asyncio.sleep(0.001)
        if isinstance(self.addresses, OSError):
            raise self.addresses
        return self.addresses


@pytest.fixture
def names(monkeypatch):
    names = NameServer("192.0.2.1")
    monkeypatch.setattr(module, "system_lookup", names.lookup)
    monkeypatch.setattr(module, "PATIENCE_S", 0.02)
    return names


async def found(resolver: Resolver) -> list[str]:
    return [result["host"] for result in await resolver.resolve(*HOST)]


async def test_all_ask_once_a_minute(names):
    resolver = Resolver()
    names.hangs = True
    asking = [asyncio.create_task(found(resolver)) for _ in range(5)]
    await asyncio.sleep(0.03)
    names.hangs = False
    assert await asyncio.gather(*asking, found(resolver)) == [["192.0.2.1"]] * 6
    assert names.asked == 1


@pytest.mark.parametrize("hangs", [True, False])
async def test_what_was_known_serves_while_the_name_server_fails(names, monkeypatch, hangs):
    monkeypatch.setattr(module, "FRESH_S", 0.0)
    resolver = Resolver()
    await found(resolver)
    names.hangs, names.addresses = hangs, socket.gaierror("no answer")
    for _ in range(3):
        assert await found(resolver) == ["192.0.2.1"]
    # It is left alone for a while.
    assert names.asked == 2
    await resolver.close()


async def test_an_answer_that_comes_late_is_taken(names, monkeypatch):
    monkeypatch.setattr(module, "FRESH_S", 0.0)
    resolver = Resolver()
    await found(resolver)
    names.hangs, names.addresses = True, ["192.0.2.2"]
    assert await found(resolver) == ["192.0.2.1"]
    late = resolver._names[HOST].asking
    names.hangs = False
    await late
    names.hangs = True
    assert await found(resolver) == ["192.0.2.2"]
    await resolver.close()


async def test_a_name_that_was_never_known_is_an_error(names):
    names.addresses = socket.gaierror("no such name")
    for _ in range(2):
        with pytest.raises(socket.gaierror):
            await found(Resolver())


async def test_families_take_turns_and_the_address_that_was_reached_is_first(names):
    names.addresses = ["2001:db8::1", "2001:db8::2", "192.0.2.1", "192.0.2.2"]
    resolver = Resolver()
    assert await found(resolver) == ["2001:db8::1", "192.0.2.1", "2001:db8::2", "192.0.2.2"]
    resolver.reached(*HOST, "192.0.2.2")
    resolver.reached(*HOST, "192.0.2.99")
    assert (await found(resolver))[:2] == ["192.0.2.2", "2001:db8::1"]
    # It stays so when the name is asked about anew.
    resolver.failed(*HOST, 0.0)
    assert (await found(resolver))[0] == "192.0.2.2"
    assert names.asked == 2


async def test_those_that_fail_side_by_side_go_on_to_the_same_address(names):
    names.addresses = ["192.0.2.1", "192.0.2.2"]
    resolver, now = Resolver(), asyncio.get_running_loop().time
    await found(resolver)
    for began_at in [now()] * 4:
        resolver.failed(*HOST, began_at)
    assert await found(resolver) == ["192.0.2.2", "192.0.2.1"]


async def test_an_address_where_connections_come_to_nothing_is_gone_round(gemini, monkeypatch):
    async def silent(reader, writer):
        await reader.read()
        writer.close()

    async with ScriptedUpstream(stream(LAST)) as scripted:
        port = int(scripted.url.rpartition(":")[2])
        async with await asyncio.start_server(silent, "127.0.0.2", port):
            names = NameServer("127.0.0.2", "127.0.0.1")
            monkeypatch.setattr(module, "system_lookup", names.lookup)
            upstream = await gemini(f"https://gemini.example:{port}", connect_timeout_s=0.2)
            plain = upstream.session.connector._wrap_create_connection

            async def without_tls(*args, addr_infos, **more):
                # The first address begins TLS and says nothing; the second one is a plain server.
                if addr_infos[0][4][0] == "127.0.0.1":
                    more["ssl"] = more["server_hostname"] = None
                return await plain(*args, addr_infos=addr_infos, **more)

            monkeypatch.setattr(upstream.session.connector, "_wrap_create_connection", without_tls)
            for _ in range(2):
                assert await ask(upstream, CALL) == [LAST]


@pytest.mark.parametrize(("suspect_after_s", "first"), [(60, "127.0.0.1"), (0, "127.0.0.2")])
async def test_a_caller_that_leaves_at_once_says_nothing_of_the_address(
    gemini, monkeypatch, suspect_after_s, first
):
    async def hanging(*_args, **_more):
        connecting.set()
        await asyncio.sleep(60)

    connecting = asyncio.Event()
    names = NameServer("127.0.0.1", "127.0.0.2")
    monkeypatch.setattr(module, "system_lookup", names.lookup)
    monkeypatch.setattr(pool, "SUSPECT_AFTER_S", suspect_after_s)
    upstream = await gemini("http://gemini.example:80", connect_timeout_s=200.0)
    monkeypatch.setattr(upstream.session.connector, "_wrap_create_connection", hanging)
    leaver = asyncio.create_task(ask(upstream, CALL))
    await connecting.wait()
    leaver.cancel()
    await asyncio.wait({leaver})
    resolver = upstream.session.connector._resolver
    assert (await resolver.resolve("gemini.example", 80))[0]["host"] == first
