"""Fetching media from servers that mean no good."""

import asyncio
import socket
import time
import tracemalloc
from contextlib import closing, nullcontext

import pytest

from gateway.errors import InvalidMedia, RateLimited
from gateway.media.fetch import Budget, Fetcher, Slots
from gateway.media.resolver import Guard
from gateway.media.spool import Spool
from gateway.media.web_url import UNREACHABLE
from gateway.network.lookup import resolved
from gateway.settings import Media
from tests.gateway.media import web
from tests.gateway.media.samples import sample
from tests.gateway.media.web import Web, answer, redirect, running
from tests.patience import HANGING_S

MB = 1_000_000


async def nowhere(host: str, port: int) -> list[str]:
    raise OSError("no such host")


def lookup(**table: list[str]):
    async def find(host: str, port: int) -> list[str]:
        return table[host.partition(".")[0]]

    return find


async def fetch(server, path: str, *, lookup=nowhere, limit: int = 1 * MB, **options) -> bytes:
    settings = Media(allow_hosts=(f"127.0.0.1:{server.port}",), max_item_bytes=limit, **options)
    with closing(Spool(limit)) as spool:
        url = path if "://" in path else f"http://127.0.0.1:{server.port}{path}"
        await Fetcher(settings, lookup).fetch(url, "alice", Budget(60 * MB), spool)
        return (await spool.window())[:]


async def test_a_picture_is_fetched_with_a_request_that_tells_nothing_of_us():
    async with running({"/a.png": answer(sample("png"))}) as server:
        assert await fetch(server, "/a.png?x=%2Fa+b%20c") == sample("png")
    first, *lines = server.seen[0].rstrip().split("\r\n")
    assert first == "GET /a.png?x=%2Fa+b%20c HTTP/1.1"
    headers = dict(line.lower().split(": ") for line in lines)
    assert headers.pop("host") == f"127.0.0.1:{server.port}"
    assert headers.pop("accept").endswith("*/*;q=0.5")
    assert headers == {
        "accept-encoding": "identity",
        "user-agent": "gateway-media/1",
        "connection": "close",
    }


async def test_no_proxy_that_the_environment_names_is_asked(monkeypatch, unused_tcp_port):
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{unused_tcp_port}")
    async with running({"/a.png": answer(sample("png"))}) as server:
        assert await fetch(server, "/a.png") == sample("png")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_up_to_three_redirects_are_followed(status: int):
    paths = {
        "/1": redirect("/2", status),
        "/2": redirect("3?a=%2fb+%e4", status),
        "/4": answer(b"here"),
    }
    async with running(paths) as server:
        paths["/3"] = redirect(f"//127.0.0.1:{server.port}/4?ü", status)
        assert await fetch(server, "/1") == b"here"
        targets = [head.split()[1] for head in server.seen]
    assert targets == ["/1", "/2", "/3?a=%2fb+%e4", "/4?%C3%BC"]


async def test_a_fourth_redirect_is_not_followed():
    async with running({"/": redirect("/")}) as server:
        with pytest.raises(InvalidMedia):
            await fetch(server, "/")
        assert len(server.seen) == 4


async def test_other_ports_are_asked_where_the_operator_allows_them():
    async with running({"/": answer(b"here")}) as server:
        settings = Media(allow_hosts=("127.0.0.0/8",), allow_ports=(server.port,))
        with closing(Spool(MB)) as spool:
            url = f"http://a.test:{server.port}/"
            await Fetcher(settings, lookup(a=["127.0.0.1"])).fetch(url, "alice", Budget(MB), spool)
            assert await spool.window() == b"here"


async def test_no_socket_is_made_for_an_address_that_was_not_checked(monkeypatch):
    async def unchecked(_self, host: str, port: int = 0, family: int = 0):
        return resolved(host, port, ["127.0.0.1"])

    monkeypatch.setattr(Guard, "resolve", unchecked)
    async with running({"/": answer(b"secret")}) as server:
        with pytest.raises(InvalidMedia):
            await fetch(server, f"http://a.test:{server.port}/", allow_ports=(server.port,))
        assert not server.connections


async def test_a_server_that_takes_no_connection_is_left_early():
    with socket.socket() as full, socket.socket() as first, socket.socket() as second:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for filling in (first, second):
            filling.setblocking(False)
            filling.connect_ex(full.getsockname())
        server = Web({})
        server.port = full.getsockname()[1]
        async with asyncio.timeout(HANGING_S):
            with pytest.raises(InvalidMedia, match="too slow"):
                await fetch(server, "/", connect_timeout_s=0.05, timeout_s=600)


async def test_a_server_that_falls_silent_is_left_early():
    async with running({"/": web.silence}) as server, asyncio.timeout(HANGING_S):
        with pytest.raises(InvalidMedia, match="too slow"):
            await fetch(server, "/", idle_timeout_s=0.05, timeout_s=600)


@pytest.mark.parametrize(("size", "is_taken"), [(1000, True), (1001, False)])
async def test_an_item_of_no_announced_length_is_not_larger_than_the_limit(size, is_taken):
    async with running({"/": web.closing_after(bytes(size))}) as server:
        with nullcontext() if is_taken else pytest.raises(InvalidMedia, match="limit of 1000"):
            assert len(await fetch(server, "/", limit=1000)) == size


@pytest.mark.parametrize("coding", ["", "identity", "Identity "])
async def test_a_body_that_is_not_coded_is_read_whatever_is_said_of_it(coding: str):
    handler = answer(b"here", headers=f"Content-Encoding: {coding}\r\n")
    async with running({"/": handler}) as server:
        assert await fetch(server, "/") == b"here"


FAULTS = {
    "a redirect loop": (redirect("/"), "redirects more than 3 times"),
    "a redirect to nowhere": (answer(b"", status="302 Found"), UNREACHABLE),
    "a redirect to half an address": (redirect("http://[::1/"), UNREACHABLE),
    "a redirect to another scheme": (redirect("file:///etc/passwd"), UNREACHABLE),
    "a redirect to a private host": (redirect("http://127.0.0.1/"), UNREACHABLE),
    "a redirect to a private address by name": (redirect("http://inside.test/"), UNREACHABLE),
    "a redirect with a user": (redirect("http://a@example.com/"), UNREACHABLE),
    "a redirect with a backslash": (redirect("http:\\\\example.com/"), UNREACHABLE),
    "a redirect with backslashes only": (redirect("\\\\example.com/ü"), UNREACHABLE),
    "a redirect to a name beyond ASCII": (redirect("http://bücher.test/"), UNREACHABLE),
    "a 403": (answer(b"secret", status="403 Forbidden"), "status 403"),
    "a 404": (answer(b"secret", status="404 Not Found"), "status 404"),
    "a 500": (answer(b"secret", status="500 Oops"), "status 500"),
    "a part of it": (answer(b"secret", status="206 Partial"), "status 206"),
    "1 GB announced": (web.announce, "larger than the limit of 1000000 bytes"),
    "an endless body": (web.flood(web.ENDLESS), "larger than the limit of 1000000 bytes"),
    "an endless body in crumbs": (web.flood(web.CHUNKED, b"1\r\nx\r\n" * 500), "too small pieces"),
    "a slow drip": (web.drip, "too slow"),
    "silence": (web.silence, "too slow"),
    "a gzip bomb": (answer(web.BOMB, headers="Content-Encoding: gzip\r\n"), "compresses"),
    "an unknown coding": (answer(b"a", headers="Content-Encoding: zz\r\n"), "compresses"),
    "interim answers without end": (web.flood(b"", web.INTERIM * 500), UNREACHABLE),
    "no HTTP": (answer(b"", status="abc\r\nSSH-2.0-x"), UNREACHABLE),
    "two lengths": (answer(b"a", headers="Content-Length: 5\r\n"), UNREACHABLE),
    "a cut body": (web.cut, "broke off its answer"),
}


@pytest.mark.parametrize("name", FAULTS)
async def test_a_bad_server_is_left_in_time_and_with_flat_memory(name: str):
    handler, message = FAULTS[name]
    # What is not about time gets enough of it, also where tracing makes everything slow.
    timeout_s = 1 if message == "too slow" else 4
    async with running({"/": handler}) as server:
        tracemalloc.start()
        started = time.monotonic()
        try:
            with pytest.raises(InvalidMedia) as caught:
                await fetch(
                    server,
                    "/",
                    timeout_s=timeout_s,
                    idle_timeout_s=timeout_s / 2,
                    lookup=lookup(inside=["10.0.0.1"]),
                )
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        # The limit of the item is 1 MB; a spool may grow by half while it does.
        assert peak < 4 * MB
        assert time.monotonic() - started < 5
        assert message in caught.value.message
        assert "secret" not in caught.value.message
        async with asyncio.timeout(5):
            await server.idle.wait()
        # What the kernel buffers on both sides of loopback, not what is read.
        assert server.sent < 24 * MB


async def test_a_body_in_many_pieces_is_read_while_they_are_worth_it():
    pieces = [bytes([n % 256]) * (15 if n < 1000 else 16) for n in range(3000)]
    body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)

    async def send(_web, writer: asyncio.StreamWriter) -> None:
        writer.write(web.CHUNKED + body + b"0\r\n\r\n")
        await writer.drain()

    async with running({"/": send}) as server:
        assert await fetch(server, "/") == b"".join(pieces)


async def test_leaving_closes_the_connection_at_once():
    async with running({"/": web.silence}) as server:
        task = asyncio.create_task(fetch(server, "/"))
        while not server.seen:
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(2):
            await server.idle.wait()


async def test_all_items_of_a_request_have_one_budget():
    async with running({"/": answer(bytes(600))}) as server:
        settings = Media(allow_hosts=(f"127.0.0.1:{server.port}",))
        fetcher, budget = Fetcher(settings, nowhere), Budget(1000)
        url = f"http://127.0.0.1:{server.port}/"
        await fetcher.fetch(url, "alice", budget, Spool(MB))
        with pytest.raises(InvalidMedia, match="media of this request") as caught:
            await fetcher.fetch(url, "alice", budget, Spool(MB))
    assert caught.value.code == "media_too_large"


async def test_a_license_has_four_fetches_at_once_and_all_have_thirty_two():
    slots = Slots(32, 4)
    held: dict[str, int] = {}
    most: dict[str, int] = {}

    async def use(license_id: str) -> None:
        async with slots.take(license_id, 5):
            for name in (license_id, "all"):
                held[name] = held.get(name, 0) + 1
                most[name] = max(most.get(name, 0), held[name])
            await asyncio.sleep(0.01)
            for name in (license_id, "all"):
                held[name] -= 1

    await asyncio.gather(*(use("alice") for _ in range(12)))
    assert most == {"alice": 4, "all": 4}
    await asyncio.gather(*(use(f"license {n % 12}") for n in range(120)))
    assert most["all"] == 32
    assert not slots._of_license


async def test_who_waits_too_long_for_a_slot_is_told_to_come_again():
    slots = Slots(32, 1)
    async with slots.take("alice", 1):
        with pytest.raises(RateLimited) as caught:
            async with slots.take("alice", 0.01):
                pass
        assert caught.value.retry_after
        async with slots.take("bob", 1):
            pass


async def test_who_waits_for_a_slot_of_its_license_keeps_none_from_others():
    slots = Slots(2, 1)

    async def take(license_id: str) -> None:
        async with slots.take(license_id, 5):
            pass

    async with slots.take("alice", 1):
        waiting = asyncio.create_task(take("alice"))
        await asyncio.sleep(0)
        async with slots.take("bob", 0.01):
            pass
    await waiting


async def test_a_lookup_that_hangs_after_another_keeps_the_slot_too():
    asked, answered = asyncio.Event(), asyncio.Event()

    async def find(host: str, port: int) -> list[str]:
        if host == "hanging.test":
            asked.set()
            await answered.wait()
        return ["127.0.0.1"]

    async with running({"/": redirect("http://hanging.test/")}) as server:
        fetcher = Fetcher(Media(allow_hosts=(f"a.test:{server.port}",), timeout_s=HANGING_S), find)
        with closing(Spool(MB)) as spool:
            url = f"http://a.test:{server.port}/"
            task = asyncio.create_task(fetcher.fetch(url, "alice", Budget(MB), spool))
            await asked.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
    assert fetcher._slots._of_license
    answered.set()
    while fetcher._slots._of_license:
        await asyncio.sleep(0)


async def test_a_lookup_that_hangs_keeps_the_slot_of_its_license_and_no_more():
    """Its thread cannot be stopped: one license would come to hold all of them."""
    asked, answered = [], asyncio.Event()

    async def hanging(host: str, port: int) -> list[str]:
        asked.append(host)
        await answered.wait()
        raise OSError("no such host")

    fetcher = Fetcher(Media(timeout_s=0.05, max_fetches=2, max_fetches_per_license=1), hanging)

    async def fetch(host: str, license_id: str) -> None:
        with closing(Spool(MB)) as spool:
            await fetcher.fetch(f"http://{host}/", license_id, Budget(MB), spool)

    with pytest.raises(InvalidMedia, match="too slow"):
        await fetch("a.example", "alice")
    with pytest.raises(RateLimited):
        await fetch("b.example", "alice")
    with pytest.raises(InvalidMedia, match="too slow"):
        await fetch("c.example", "bob")
    assert asked == ["a.example", "c.example"]
    answered.set()
    await asyncio.sleep(0)
    with pytest.raises(InvalidMedia, match="does not lead"):
        await fetch("d.example", "alice")
    assert not fetcher._slots._of_license
