"""A gateway process with streams in flight: told to stop, told to reload, without a working log."""

import asyncio
import resource
import signal
import socket
from functools import partial
from pathlib import Path

import aiohttp
import pytest

from tests.faults.processes import gateway_process
from tests.faults.scripted import (
    END,
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
from tests.patience import HANGING_S
from tests.running import Gateway, streamed

LICENSE = "fault-license"
BEGUN = [SSE, chunk(data(event("begun "))), STALL]
HELD = [*BEGUN, chunk(data(LAST)), END]
BODY = b'{"model": "gemini-2.5-flash", "messages": [{"role": "user", "content": "hi"}]}'
STREAMED = b'{"stream": true, ' + BODY[1:]


@pytest.fixture
def gateway(tmp_path):
    """Run a gateway process in front of an upstream; gives it and a client."""
    return partial(gateway_process, tmp_path)


async def read(client: Gateway, begun: asyncio.Event) -> bytes:
    """Read one stream to its end; *begun* is set at its first text."""
    body = b""
    async with client.post(stream=True) as response:
        assert response.status == 200
        async for piece in response.content.iter_any():
            body += piece
            if b"begun" in body:
                begun.set()
    return body


async def begin(client: Gateway, count: int) -> list[asyncio.Task]:
    begun = [asyncio.Event() for _ in range(count)]
    reading = [asyncio.create_task(read(client, one)) for one in begun]
    async with asyncio.timeout(HANGING_S):
        await asyncio.gather(*(one.wait() for one in begun))
    return reading


async def test_told_to_stop_it_finishes_a_hundred_streams(gateway):
    async with ScriptedUpstream(HELD) as upstream, gateway(upstream) as (process, client):
        reading = await begin(client, 100)
        process.send(signal.SIGTERM)
        await process.line("draining")
        status, refusal, _ = await client.whole()
        assert (status, refusal["error"]["code"]) == (503, "unavailable")
        upstream.release.set()
        for body in await asyncio.gather(*reading):
            whole = streamed(body)
            assert (whole.text, whole.finish_reasons, whole.done) == ("begun end", ["stop"], True)
        assert await process.ended() == 0
        assert b"not-to-be-told" not in process.log
        assert LICENSE.encode() not in process.log


async def test_a_proxy_sees_the_end_of_a_stream_and_of_its_connection_at_once(gateway):
    """In between it would send another request, which nobody reads any more."""

    def read_to_the_end() -> bytes:
        answer = b""
        while not answer.endswith(END):
            answer += client.recv(65_536)
        return client.recv(1, socket.MSG_DONTWAIT)

    async with ScriptedUpstream(HELD) as upstream, gateway(upstream) as (process, one):
        host, port = one.url.removeprefix("http://").split("/")[0].split(":")
        with socket.create_connection((host, int(port))) as client:
            client.sendall(
                b"POST /gemini/v1/chat/completions HTTP/1.1\r\nHost: x\r\n"
                b"Authorization: %b\r\nContent-Type: application/json\r\n"
                b"Content-Length: %d\r\n\r\n%b" % (LICENSE.encode(), len(STREAMED), STREAMED)
            )
            reading = asyncio.create_task(asyncio.to_thread(read_to_the_end))
            while not upstream.seen:
                await one.tick()
            process.send(signal.SIGTERM)
            await process.line("draining")
            upstream.release.set()
            assert await asyncio.wait_for(reading, HANGING_S) == b""
        assert await process.ended() == 0


async def test_a_request_that_is_still_arriving_when_told_to_stop_is_answered(gateway):
    async with (
        ScriptedUpstream(answer(200, LAST)) as upstream,
        gateway(upstream) as (process, client),
    ):

        async def slowly():
            yield BODY[:10]
            await asyncio.sleep(0.2)
            process.send(signal.SIGTERM)
            await process.line("draining")
            # More than the end takes once nothing runs.
            await asyncio.sleep(2.5)
            yield BODY[10:]

        async with client.session.post(
            f"{client.url}/v1/chat/completions",
            data=slowly(),
            headers={"Authorization": LICENSE, "Content-Type": "application/json"},
        ) as response:
            assert response.status == 200
            assert (await response.json())["choices"][0]["message"]["content"] == "end"
        assert await process.ended() == 0


async def test_who_has_asked_when_it_is_told_to_stop_is_answered(gateway):
    """A hundred clients ask while it stands still: some are connected, the others wait for that."""
    async with (
        ScriptedUpstream(answer(200, LAST)) as upstream,
        gateway(upstream) as (process, client),
    ):

        async def ask(session: aiohttp.ClientSession, asked: asyncio.Event) -> int:
            async def body():
                asked.set()
                yield BODY

            async with session.post(
                f"{client.url}/v1/chat/completions",
                data=body(),
                headers={"Authorization": LICENSE, "Content-Length": str(len(BODY))},
            ) as response:
                return response.status

        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as session:
            asked = [asyncio.Event() for _ in range(100)]
            process.send(signal.SIGSTOP)
            answers = [asyncio.create_task(ask(session, one)) for one in asked]
            await asyncio.gather(*(one.wait() for one in asked))
            process.send(signal.SIGTERM)
            process.send(signal.SIGCONT)
            assert set(await asyncio.gather(*answers)) <= {200, 503}
        assert await process.ended() == 0


@pytest.mark.parametrize("again", [False, True])
async def test_at_the_bound_streams_end_with_an_error_and_no_false_stop(gateway, again):
    server = f"drain_timeout_s = {3600 if again else 0.3}"
    async with ScriptedUpstream(HELD) as upstream, gateway(upstream, server) as (process, client):
        reading = await begin(client, 10)
        process.send(signal.SIGTERM)
        await process.line("draining")
        if again:
            process.send(signal.SIGTERM)
        for body in await asyncio.gather(*reading):
            cut = streamed(body)
            assert (cut.text, cut.finish_reasons, cut.done) == ("begun ", [], True)
            assert cut.error["code"] == "unavailable"
        assert await process.ended() == 0


async def test_twenty_reloads_disturb_no_stream_and_new_licenses_hold_at_once(gateway):
    async with ScriptedUpstream(HELD) as upstream, gateway(upstream) as (process, client):
        reading = await begin(client, 100)
        good = process.config.read_text()
        for number in range(20):
            broken = number % 2
            more = f'\n[[licenses]]\nid = "new"\nkey = "new-license-{number}"'
            process.config.write_text("[server]\nprot = 1" if broken else good + more)
            process.send(signal.SIGHUP)
            await process.line("reload_refused" if broken else "reloaded")
        upstream.release.set()
        for body in await asyncio.gather(*reading):
            assert (streamed(body).text, streamed(body).done) == ("begun end", True)
        body = {"model": "gemini-2.5-flash", "messages": [{"role": "user", "content": "x"}]}
        for key, status in [("new-license-18", 200), ("new-license-16", 401)]:
            async with client.session.post(
                f"{client.url}/v1/chat/completions",
                json=body | {"stream": True},
                headers={"Authorization": key},
            ) as response:
                assert response.status == status


async def test_a_full_disk_under_the_log_harms_no_request(gateway):
    with Path("/dev/full").open("wb") as full:
        async with (
            ScriptedUpstream(stream(LAST)) as upstream,
            gateway(upstream, stderr=full) as (process, client),
        ):
            client.url = await _url_of(process.process.pid)
            for _ in range(20):
                assert (await client.stream()).text == "end"
            process.send(signal.SIGTERM)
            assert await process.ended() == 0


async def test_a_log_that_nobody_reads_any_more_harms_no_request(gateway):
    async with ScriptedUpstream(stream(LAST)) as upstream, gateway(upstream) as (process, client):
        process.process._transport.get_pipe_transport(2).close()
        for _ in range(20):
            assert (await client.stream()).text == "end"
        process.send(signal.SIGTERM)
        assert await process.ended() == 0


async def _url_of(pid: int) -> str:
    """Find the port on which the process *pid* listens, in the kernel's table."""
    async with asyncio.timeout(HANGING_S):
        while True:
            inodes = set()
            for link in Path(f"/proc/{pid}/fd").glob("*"):
                try:
                    inodes.add(str(link.readlink()))
                except OSError:
                    continue
            for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == "0A" and f"socket:[{fields[9]}]" in inodes:
                    return f"http://127.0.0.1:{int(fields[1].split(':')[1], 16)}/gemini"
            await asyncio.sleep(0.05)


async def test_with_few_descriptors_it_sheds_load_and_comes_back(gateway):
    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))

    async with (
        ScriptedUpstream(stream(LAST)) as upstream,
        gateway(upstream, preexec_fn=limited) as (process, client),
    ):
        port = int(client.url.split(":")[2].split("/")[0])
        idle = []
        for _ in range(100):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            idle.append(writer)
        with pytest.raises((aiohttp.ClientError, AssertionError)):
            assert (await client.stream()).status == 200
        for writer in idle:
            writer.close()
        async with asyncio.timeout(10):
            while True:
                try:
                    if (await client.stream()).text == "end":
                        break
                except aiohttp.ClientError:
                    await asyncio.sleep(0.05)
        process.send(signal.SIGTERM)
        assert await process.ended() == 0
        assert len(process.log) < 20_000
