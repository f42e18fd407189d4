"""Calls over a path that dies without a word: the client is in this network, upstream in another.

Run by `test_namespace.py` inside `unshare --net`. The limits are the shortest that the kernel has. What runs on the connections of some calls is dropped where upstream would take it in and let
it out: neither end is told, new connections get through. Prints a JSON object: for each call what
came of it, how many attempts were made and the seconds that it took.
"""

import asyncio
import json
import re
import subprocess
import sys
import time
from contextlib import contextmanager
from unittest.mock import patch

from gateway.errors import GatewayError
from gateway.exchange import Notes, Outcome, UpstreamCall
from gateway.network import sockets
from gateway.settings import Models, Upstream
from gateway.upstream.client import GeminiUpstream
from gateway.upstream.credential import Credential
from gateway.upstream.credentials import CredentialPool
from gateway.upstream.names import ModelNames
from tests.faults.scripted import END, LAST, SSE, answer, chunk, data, event

HERE, THERE = "10.9.0.2", "10.9.0.1"
LIMITS = {"TCP_KEEPIDLE": 1, "TCP_KEEPINTVL": 1, "TCP_KEEPCNT": 1}
DEAD_AFTER_S = 1.2
# What runs on its connection is lost from then on.
CUT_AT_S = 0.5
# Longer than the limit, for who lives.
LONG_S = 1.5
PIECES = 50
BODY = {"text": "x" * 20_000_000}
CALLS = {
    "whole": ("think", False, {}),
    "stream": ("think", True, {}),
    "begun": ("begin", True, {}),
    "upload": ("sip", False, BODY),
    "living": ("think", True, {}),
    "living upload": ("sip", False, BODY),
}


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer one request: think long, begin and be silent, or read the body slowly."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    model, left = re.search(r"/models/(\w+):", head)[1], int(re.search(r"gth: (\d+)", head)[1])
    piece = left // PIECES + 1
    while left:
        left -= len(await reader.readexactly(min(left, piece)))
        if model == "sip":
            await asyncio.sleep(LONG_S / PIECES)
    if model == "begin":
        writer.write(SSE + chunk(data(event("begun"))))
    if model != "sip":
        await asyncio.sleep(LONG_S)
    if model == "think" and "stream" in head:
        writer.write(SSE)
    writer.write(chunk(data(LAST)) + END if "stream" in head else answer(200, LAST)[0])


async def upstream() -> None:
    await asyncio.start_server(serve, THERE, 80)
    print("ready", flush=True)
    await asyncio.Event().wait()


def run(*words: str, inside: int = 0) -> None:
    enter = ["nsenter", "--target", str(inside), "--net"] if inside else []
    subprocess.run([*enter, "ip", *words], check=True)


@contextmanager
def other_network():
    """Yield a process in a network where upstream listens, joined to this one."""
    program = [sys.executable, "-m", __spec__.name, "upstream"]
    start = f"ip link set lo up; read _; exec {' '.join(program)}"
    process = subprocess.Popen(
        ["unshare", "--net", "sh", "-c", start],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        _join(process.pid)
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.stdout.readline() == "ready\n"
        yield process.pid
    finally:
        process.kill()
        process.wait()


def _join(pid: int) -> None:
    time.sleep(0.2)
    run("link", "set", "lo", "up")
    run("link", "add", "here", "type", "veth", "peer", "name", "there")
    run("link", "set", "there", "netns", str(pid))
    for device, address, inside in (("here", HERE, 0), ("there", THERE, pid)):
        run("address", "add", f"{address}/24", "dev", device, inside=inside)
        run("link", "set", device, "up", inside=inside)
    # What is dropped must be asked about before what is local.
    run("rule", "add", "pref", "10", "lookup", "local", inside=pid)
    run("rule", "del", "pref", "0", inside=pid)


def cut(port: int, pid: int) -> None:
    tcp = ("pref", "5", "ipproto", "tcp")
    run("rule", "add", "iif", "there", *tcp, "sport", str(port), "blackhole", inside=pid)
    run("rule", "add", "to", HERE, *tcp, "dport", str(port), "blackhole", inside=pid)


async def gemini() -> GeminiUpstream:
    clock = asyncio.get_running_loop().time
    made = GeminiUpstream(
        Upstream(base_url=f"http://{THERE}"),
        CredentialPool([Credential("c1", "key-1")], clock=clock),
        ModelNames(Models(), clock),
        None,
        clock,
    )
    await made.start()
    return made


async def call(client: GeminiUpstream, name: str) -> tuple[str, int, float]:
    model, is_stream, body = CALLS[name]
    outcome, began_at = Outcome(), time.monotonic()
    try:
        opening = client.open(UpstreamCall(model, body, stream=is_stream), outcome, Notes())
        async with opening as batches:
            count = sum([len(batch) async for batch in batches])
        result = f"{count} events"
    except GatewayError as error:
        result = error.message
    return result, outcome.attempts, time.monotonic() - began_at


async def main(pid: int) -> None:
    results, tasks = {}, {}
    clients = {name: await gemini() for name in CALLS}
    for name, client in clients.items():
        tasks[name] = asyncio.create_task(call(client, name))
    await asyncio.sleep(CUT_AT_S)
    for name, client in clients.items():
        if "living" not in name:
            (connection,) = client.session.connector._acquired
            cut(connection.transport.get_extra_info("sockname")[1], pid)
    for name, task in tasks.items():
        results[name] = await task
        await clients[name].close()
    print(json.dumps(results))


if __name__ == "__main__":
    if sys.argv[1:] == ["upstream"]:
        asyncio.run(upstream())
    else:
        with (
            other_network() as pid,
            patch.object(sockets, "_LIVENESS", LIMITS),
            patch.object(sockets, "DEAD_AFTER_S", DEAD_AFTER_S),
        ):
            asyncio.run(main(pid))
