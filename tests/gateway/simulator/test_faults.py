import asyncio

import aiohttp
import pytest

from gateway.simulator import HTML, Fault
from gateway.simulator.faults import Script
from tests.gateway.simulator.wire import ask, raw_stream, stream

STORY = "story of 4 chunks"


async def test_a_status_replaces_the_answer_for_the_next_requests_only(simulator):
    simulator.script(Fault(status=503, body={"error": {"code": 503}}), times=2)
    assert [(await ask(simulator, "a"))[0] for _ in range(3)] == [503, 503, 200]


async def test_a_fault_waits_for_a_request_that_fits(simulator):
    simulator.script(Fault(status=429, body={}), key="one", times=None)
    simulator.script(Fault(status=500, body={}), model="gemini-2.5-pro", action="generateContent")
    assert (await ask(simulator, "a", key="two"))[0] == 200
    assert (await ask(simulator, "a", "gemini-2.5-pro", key="two"))[0] == 500
    assert [(await ask(simulator, "a", key="one"))[0] for _ in range(2)] == [429, 429]
    simulator.reset()
    assert (await ask(simulator, "a", key="one"))[0] == 200


async def test_pages_and_empty_answers_are_sent_as_they_are(simulator):
    simulator.script(Fault(status=502, body=HTML, headers={"X-Seen": "yes"}))
    simulator.script(Fault(body=b""))
    simulator.script(Fault(body="a text"))
    async with aiohttp.ClientSession() as session:
        answers = []
        for _ in range(3):
            async with session.get(f"{simulator.url}/v1beta/models?key=k") as response:
                answers.append((response.status, response.content_type, await response.read()))
    assert answers == [
        (502, "text/html", HTML),
        (200, "application/json", b""),
        (200, "application/json", b"a text"),
    ]


async def test_an_answer_can_be_cut_at_any_byte(simulator):
    usual = await raw_stream(simulator, STORY)
    for size in (1, 7, len(usual) - 1):
        simulator.script(Fault(cut_at=size, then="end"))
        assert await raw_stream(simulator, STORY) == usual[:size]


async def test_an_answer_in_pieces_is_the_same(simulator):
    usual = await raw_stream(simulator, STORY)
    simulator.script(Fault(piece=3, gap_s=0.001, delay_s=0.001))
    assert await raw_stream(simulator, STORY) == usual


async def test_a_whole_answer_can_be_cut_too(simulator):
    simulator.script(Fault(cut_at=10))
    with pytest.raises(aiohttp.ClientPayloadError):
        await ask(simulator, "a")


@pytest.mark.parametrize("then", ["close", "reset"])
async def test_a_connection_can_end_after_some_events(simulator, then):
    simulator.script(Fault(after=2, then=then))
    with pytest.raises((aiohttp.ClientPayloadError, ConnectionResetError)):
        await raw_stream(simulator, STORY)


async def test_an_error_can_come_in_mid_stream_as_event_or_bare(simulator):
    simulator.script(Fault(after=2, then="error"))
    simulator.script(Fault(after=1, then="tail", error={"error": {"code": 500}}))
    events = await stream(simulator, STORY)
    assert [("error" in event) for event in events] == [False, False, True]
    assert (await raw_stream(simulator, STORY)).endswith(b'\r\n\r\n{"error":{"code":500}}\r\n\r\n')


async def test_a_stalled_answer_ends_when_the_peer_leaves_and_is_noted(simulator):
    simulator.script(Fault(after=1, then="stall"))
    reading = asyncio.create_task(raw_stream(simulator, STORY))
    async with asyncio.timeout(5):
        while not simulator.received:
            await asyncio.sleep(0.01)
    assert not (await asyncio.wait([reading], timeout=0.2))[0]
    reading.cancel()
    (received,) = simulator.received
    await asyncio.wait_for(received.done.wait(), 5)
    assert received.cancelled


def test_a_script_without_lines_has_no_fault():
    assert Script().take(None) is None
