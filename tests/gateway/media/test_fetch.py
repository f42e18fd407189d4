"""Fetching media from servers that mean no good."""

import asyncio
import time
import tracemalloc
from contextlib import closing

import pytest

from gateway.errors import InvalidMedia, RateLimited
from gateway.media.fetch import Budget, Fetcher, Slots
from gateway.media.spool import Spool
from gateway.media.web_url import UNREACHABLE
from gateway.settings import Media
from tests.gateway.media import web
from tests.gateway.media.samples import sample
from tests.gateway.media.web import answer, redirect, running

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
    head = server.seen[0].lower()
    assert head.startswith("get /a.png?x=%2fa+b%20c http/1.1\r\n")
    names = {line.partition(":")[0] for line in head.split("\r\n")[1:] if line}
    assert names <= {"host", "accept", "accept-encoding", "user-agent", "connection"}
    assert "accept-encoding: identity" in head


async def test_no_proxy_that_the_environment_names_is_asked(monkeypatch, unused_tcp_port):
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{unused_tcp_port}")
    async with running({"/a.png": answer(sample("png"))}) as server:
        assert await fetch(server, "/a.png") == sample("png")


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_up_to_three_redirects_are_followed(status: int):
    paths = {
        "/1": redirect("/2", status),
        "/2": redirect("3?a=b", status),
        "/3": redirect("//127.0.0.1:{port}/4", status),
        "/4": answer(b"here"),
    }
    async with running(paths) as server:
        paths["/3"] = redirect(f"//127.0.0.1:{server.port}/4", status)
        assert await fetch(server, "/1") == b"here"
        assert [head.split()[1] for head in server.seen] == ["/1", "/2", "/3?a=b", "/4"]


@pytest.mark.parametrize("coding", ["", "identity", "Identity "])
async def test_a_body_that_is_not_coded_is_read_whatever_is_said_of_it(coding: str):
    handler = answer(b"here", headers=f"Content-Encoding: {coding}\r\n")
    async with running({"/": handler}) as server:
        assert await fetch(server, "/") == b"here"


FAULTS = {
    "a redirect loop": (redirect("/"), "redirects more than 3 times"),
    "a redirect to nowhere": (answer(b"", status="302 Found"), UNREACHABLE),
    "a redirect to another scheme": (redirect("file:///etc/passwd"), UNREACHABLE),
    "a redirect to a private host": (redirect("http://127.0.0.1/"), UNREACHABLE),
    "a redirect to a private address by name": (redirect("http://inside.test/"), UNREACHABLE),
    "a redirect with a user": (redirect("http://a@example.com/"), UNREACHABLE),
    "a redirect with a backslash": (redirect("http:\\\\example.com/"), UNREACHABLE),
    "a 403": (answer(b"secret", status="403 Forbidden"), "status 403"),
    "a 404": (answer(b"secret", status="404 Not Found"), "status 404"),
    "a 500": (answer(b"secret", status="500 Oops"), "status 500"),
    "a part of it": (answer(b"secret", status="206 Partial"), "status 206"),
    "1 GB announced": (web.flood(web.HUGE), "larger than the limit of 1000000 bytes"),
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
        with pytest.raises(RateLimited):
            async with slots.take("alice", 0.01):
                pass
        async with slots.take("bob", 1):
            pass


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
