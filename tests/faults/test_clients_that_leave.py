"""Clients that leave or do not read: upstream is cut, memory is bounded, nobody else notices."""

import asyncio
import json
import signal
import socket
import struct

import pytest
import structlog

from gateway.keys import DATABASE, DRAIN, LEDGER, METRICS, STATE, UPSTREAM
from gateway.ledger.report import Selection, sums
from tests.faults.processes import gateway_process
from tests.faults.scripted import (
    LAST,
    SSE,
    STALL,
    ScriptedUpstream,
    answer,
    chunk,
    data,
    event,
    stream,
)
from tests.running import LICENSE, settings_for

USAGE = {"promptTokenCount": 7, "candidatesTokenCount": 1, "totalTokenCount": 8}
BEGUN = chunk(data({**event("Hello"), "usageMetadata": USAGE}))


@pytest.mark.parametrize(
    ("streaming", "script"),
    [(False, [STALL]), (True, [STALL]), (True, [SSE, STALL]), (True, [SSE, BEGUN, STALL])],
    ids=["whole", "before the head", "before the first event", "in mid-stream"],
)
@pytest.mark.usefixtures("with_and_without_tls")
async def test_a_client_that_leaves_cuts_upstream_within_a_second(running, streaming, script):
    """Reported in new-api#4184, BerriAI/litellm#30075, gemini-balance#280."""
    async with (
        ScriptedUpstream(script) as upstream,
        running(settings_for(upstream.url)) as gateway,
    ):
        asking = asyncio.create_task(gateway.post(stream=streaming).__aenter__())
        while not upstream.seen:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        if asking.done():
            asking.result().close()
        else:
            asking.cancel()
        await asyncio.wait_for(upstream.seen[0].gone.wait(), 1)
        await asyncio.sleep(0.1)
        assert len(upstream.seen) == 1, "nothing is tried again for a client that left"


@pytest.mark.usefixtures("with_and_without_tls")
async def test_a_reader_that_stops_is_held_back_and_cut(running):
    flood = [SSE, *[chunk(data(event("x" * 1000)) * 64)] * 2000, STALL]
    settings = {"server": {"send_timeout_s": 0.5}, "upstream": {"commit_after_s": 0.1}}
    async with (
        ScriptedUpstream(flood) as upstream,
        running(settings_for(upstream.url, **settings)) as gateway,
        gateway.post(stream=True) as response,
    ):
        await response.content.read(10)
        response.connection.transport.pause_reading()
        await asyncio.wait_for(upstream.seen[0].gone.wait(), 10)


async def test_what_a_client_that_left_has_used_is_booked(running):
    """Reported in new-api#4184, new-api#1272, BerriAI/litellm#30075, BerriAI/litellm#33736."""
    async with (
        ScriptedUpstream([SSE, BEGUN, STALL]) as upstream,
        running(settings_for(upstream.url)) as gateway,
    ):
        with structlog.testing.capture_logs() as lines:
            async with gateway.post(stream=True) as response:
                await response.content.readuntil(b"Hello")
                response.close()
            await asyncio.wait_for(upstream.seen[0].gone.wait(), 4)
            async with asyncio.timeout(5):
                while not (asked := [line for line in lines if line["event"] == "request"]):
                    await gateway.tick()
    assert asked[0]["client_gone"] is True
    assert (asked[0]["prompt_tokens"], asked[0]["completion_tokens"]) == (7, 1)


LIMITS = {"concurrent_requests": 4, "tokens_per_day": 1_000_000}


def request_of(body: dict) -> bytes:
    """Return the bytes that ask for *body*."""
    raw = json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}]} | body)
    head = f"Host: x\r\nAuthorization: {LICENSE}\r\nContent-Length: {len(raw)}"
    return f"POST /gemini/v1/chat/completions HTTP/1.1\r\n{head}\r\n\r\n{raw}".encode()


def held(gateway) -> tuple[int, int, int, float]:
    """Count what requests that run hold: their tasks, connections, leases and slots."""
    upstream = gateway.app[UPSTREAM]
    counters = gateway.app[STATE]._counters.get("tester")
    return (
        gateway.app[DRAIN].count,
        len(upstream.session.connector._acquired),
        sum(credential.leases for credential in upstream.pool.credentials),
        counters.meters["concurrent_requests"].used if counters else 0.0,
    )


async def leave_after(gateway, request: bytes, steps: int) -> None:
    """Send *request* and reset the connection when the loop has turned *steps* times."""
    host, port = gateway.url.removeprefix("http://").split("/")[0].split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    writer.write(request)
    for _ in range(steps):
        await asyncio.sleep(0)
    client = writer.get_extra_info("socket")
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@pytest.mark.parametrize(
    "body", [{}, {"stream": True}, {"stream": True, "n": 3}], ids=["whole", "streamed", "copies"]
)
async def test_a_client_may_leave_at_any_step(running, body):
    """Nothing remains held, and limits, ledger and metrics count the same."""
    script = stream(event("fine "), LAST) if body else answer(200, LAST)
    licenses = [{"id": "tester", "key": LICENSE, **LIMITS}]
    async with (
        ScriptedUpstream(script) as upstream,
        running(settings_for(upstream.url, licenses=licenses)) as gateway,
    ):
        async with gateway.post(body) as response:
            await response.read()
        tasks = asyncio.all_tasks() - upstream._tasks
        for steps in range(1, 50):
            await leave_after(gateway, request_of(body), steps)
            async with asyncio.timeout(5):
                while any(held(gateway)) or asyncio.all_tasks() - upstream._tasks != tasks:
                    await asyncio.sleep(0)
        await gateway.app[LEDGER].flush()
        (booked,) = await sums(gateway.app[DATABASE], Selection(0), ())
        metrics = (await gateway.app[METRICS].render()).decode().splitlines()
        counts = [float(line.split()[-1]) for line in metrics if "gateway_requests_total{" in line]
        used = gateway.app[STATE]._counters["tester"].meters["tokens_per_day"].used
        assert (booked.requests, booked.total) == (sum(counts), used)
        assert 20 < booked.requests <= 50


async def ask_and_never_read(gateway, connections: list) -> None:
    """Ask for a stream on a connection of one's own, and leave the answer where it is.

    A stream of asyncio would read once before it stops, up to 256 KB of what is there by then.
    """
    host, port = gateway.url.removeprefix("http://").split("/")[0].split(":")
    loop, client = asyncio.get_running_loop(), socket.socket()
    client.setblocking(False)
    connections.append(client)
    await loop.sock_connect(client, (host, int(port)))
    body = {"stream": True, "messages": [{"role": "user", "content": "hold"}]}
    await loop.sock_sendall(client, request_of(body))


async def all_held_back(upstream, count: int) -> None:
    """Wait until the gateway takes nothing more of *count* streams."""
    taken, still = 0, 0
    async with asyncio.timeout(60):
        while still < 3:
            await asyncio.sleep(0.2)
            before, taken = taken, sum(seen.taken for seen in upstream.seen)
            held = sum(seen.marker == "hold" for seen in upstream.seen)
            still = still + 1 if before == taken and held == count else 0


@pytest.mark.serial
@pytest.mark.parametrize("letters", [20, 100])
async def test_two_hundred_readers_that_stop_cost_256_kb_each_and_others_are_served(
    tmp_path, letters
):
    """The gateway alone is measured, by its own process; text that was sent is kept besides."""
    count = 200
    facts = {"usageMetadata": USAGE, "modelVersion": "gemini-2.5-flash", "responseId": "x" * 16}
    batch = chunk(data({**event("x" * letters), **facts})) * 100
    flood = [SSE, *[batch] * (24_000_000 // len(batch)), STALL]
    good = stream(event("fine "), LAST)

    def script(seen, _number):
        return flood if seen.marker == "hold" else good

    held = []
    async with (
        ScriptedUpstream(script) as upstream,
        gateway_process(tmp_path, upstream, more="idle_timeout_s = 600.0") as (process, gateway),
    ):
        reading = asyncio.create_task(process.ended())
        # As many at once as there will be: what they leave behind is no part of what is asked.
        for _ in range(2):
            answers = await asyncio.gather(*(gateway.stream() for _ in range(count)))
            assert {answer.text for answer in answers} == {"fine end"}
        before = process.memory()
        for _ in range(count):
            await ask_and_never_read(gateway, held)
        await all_held_back(upstream, count)
        assert (await gateway.stream()).text == "fine end"
        grown = process.memory() - before
        for client in held:
            client.close()
        process.send(signal.SIGTERM)
        assert await reading == 0
    assert max(seen.taken for seen in upstream.seen) < 24_000_000
    assert grown / count < 256 * 1024
