"""Large media through the whole gateway: which key they go up with, and what keys do to them."""

import asyncio
import json
from base64 import b64encode

import pytest
from msgspec.structs import replace

from gateway.keys import UPSTREAM
from gateway.simulator import Simulator
from gateway.simulator.faults import Fault
from tests.gateway.media.samples import sample
from tests.running import LICENSE, SECRET, settings_for, streamed

pytestmark = pytest.mark.usefixtures("impatient")
KEYS = ("key-1", "key-2", "key-3")
VIDEO = sample("mp4") + bytes(300_000)
OURS = "cachedContents/ours"
MODEL = "gemini-2.5-flash"


@pytest.fixture
async def simulator():
    async with Simulator() as simulator:
        yield simulator


def settings(simulator: Simulator, keys=KEYS, **sections):
    return settings_for(simulator.url, keys=keys, media={"upload_above_bytes": 100_000}, **sections)


def showing(*parts: dict, **more) -> dict:
    return {
        "messages": [{"role": "user", "content": [{"type": "text", "text": "?"}, *parts]}]
    } | more


def video(data: bytes = VIDEO) -> dict:
    return {"type": "video_url", "video_url": {"url": b64encode(data).decode()}}


def named(name: str) -> dict:
    return {"type": "file", "file": {"file_id": name}}


def building_on(name: str) -> dict:
    return {"google": {"cached_content": name}}


def put(simulator: Simulator, key: str, name: str) -> str:
    """Put a file where a client's own key would; give its id."""
    upload = simulator.files.begin({"file": {"name": f"files/{name}"}}, "image/png", SECRET + key)
    simulator.files.finalize(upload, simulator.url)
    return f"files/{name}"


def announced(simulator: Simulator) -> list[str]:
    """Return the keys that uploads were announced with."""
    return [
        one.key.removeprefix(SECRET)
        for one in simulator.received
        if one.path.startswith("/upload/") and "upload_id" not in one.query
    ]


def generated(simulator: Simulator) -> list[str]:
    return [one.key.removeprefix(SECRET) for one in simulator.received if one.action]


@pytest.mark.parametrize(
    ("standing", "reason"),
    [("bad", "key_invalid"), ("suspended", "key_dead"), ("region", "region")],
)
async def test_a_key_that_the_files_api_refuses_is_out_for_all(
    running, simulator, standing, reason
):
    simulator.keys[f"{SECRET}key-1"] = standing
    async with running(settings(simulator)) as gateway:
        assert (await gateway.whole(**showing(video())))[0] == 200
        assert announced(simulator) == ["key-1", "key-2"]
        [out] = [one for one in gateway.app[UPSTREAM].pool.states() if one["state"] == "out"]
        assert (out["name"], out["reason"]) == ("c1", reason)
        for _ in KEYS:
            assert (await gateway.whole())[0] == 200
        assert "key-1" not in generated(simulator)


@pytest.mark.parametrize("standing", ["minute", "day"])
async def test_a_key_that_is_spent_rests_and_the_next_one_uploads(running, simulator, standing):
    simulator.keys[f"{SECRET}key-1"] = standing
    async with running(settings(simulator)) as gateway:
        for number in range(3):
            assert (await gateway.whole(**showing(video(VIDEO + bytes([number])))))[0] == 200
        # Once it was tried.
        assert announced(simulator).count("key-1") == 1
        first = gateway.app[UPSTREAM].pool.states()[0]
        assert (first["state"], list(first["resting"])) == ("ready", ["the Files API"])


@pytest.mark.parametrize(
    ("standing", "status", "code"),
    [
        ("bad", 503, "upstream_auth_error"),
        ("suspended", 503, "upstream_auth_error"),
        ("minute", 429, "rate_limit_exceeded"),
        ("day", 429, "insufficient_quota"),
    ],
)
async def test_no_key_that_uploads_is_never_the_clients_fault(
    running, simulator, standing, status, code
):
    simulator.keys |= {SECRET + key: standing for key in KEYS}
    async with running(settings(simulator)) as gateway:
        answer = await gateway.whole(**showing(video()))
        assert (answer[0], answer[1]["error"]["code"]) == (status, code)
        assert announced(simulator) == list(KEYS)
        assert SECRET not in str(answer)


def failing(status: int) -> Fault:
    body = {"error": {"code": status, "message": "It failed.", "status": "X"}}
    return Fault(status=status, body=body)


@pytest.mark.parametrize(
    "fault", [failing(500), failing(503), Fault(status=502), Fault(status=504)]
)
async def test_an_upload_that_fails_once_is_tried_again(running, simulator, fault):
    async with running(settings(simulator)) as gateway:
        simulator.script(fault, times=1)
        assert (await gateway.whole(**showing(video())))[0] == 200


@pytest.mark.parametrize(
    ("fault", "status", "tries"),
    [
        (failing(500), 502, 2),
        (failing(503), 503, 3),
        (failing(504), 504, 2),
        (Fault(status=404), 502, 2),
        (Fault(status=302), 502, 1),
        (Fault(status=405), 502, 2),
        (Fault(body="{}"), 502, 2),
    ],
)
async def test_an_upload_that_goes_on_failing_is_upstreams_fault(
    running, simulator, fault, status, tries
):
    async with running(settings(simulator)) as gateway:
        simulator.script(fault, times=None)
        answer = await gateway.whole(**showing(video()))
        assert (answer[0], answer[1]["error"]["type"]) == (status, "server_error")
        assert len(announced(simulator)) == tries


async def test_uploads_that_go_on_failing_are_not_tried_for_a_while(running, simulator):
    async with running(settings(simulator)) as gateway:
        simulator.script(failing(503), times=None)
        for _ in range(3):
            status, body, headers = await gateway.whole(**showing(video()))
            assert status == 503
        assert len(announced(simulator)) == 5
        assert "repeatedly" in body["error"]["message"]
        assert "retry-after" in headers
        simulator.reset()
        # The models go on.
        assert (await gateway.whole())[0] == 200


async def test_what_is_uploaded_goes_where_the_cached_content_is(running, simulator):
    simulator.caches[OURS] = f"{SECRET}key-2"
    async with running(settings(simulator)) as gateway:
        for number in range(3):
            shown = showing(video(VIDEO + bytes([number])), **building_on(OURS))
            assert (await gateway.whole(**shown))[0] == 200
        assert announced(simulator) == ["key-2"] * 3
        assert generated(simulator) == ["key-2"] * 3
        looked = [one.key for one in simulator.received if one.path == f"/v1beta/{OURS}"]
        # Who has it is known from then on.
        assert looked == [f"{SECRET}key-1", f"{SECRET}key-2"]


async def test_what_is_there_for_one_key_goes_up_anew_beside_another_ones(running, simulator):
    simulator.caches[OURS] = f"{SECRET}key-2"
    async with running(settings(simulator)) as gateway:
        assert (await gateway.whole(**showing(video())))[0] == 200
        assert (await gateway.whole(**showing(video(), **building_on(OURS))))[0] == 200
        assert announced(simulator) == ["key-1", "key-2"]


async def test_what_is_uploaded_goes_where_the_clients_own_file_is(running, simulator):
    mine = named(put(simulator, "key-3", "mine"))
    async with running(settings(simulator)) as gateway:
        assert (await gateway.whole(**showing(mine, video())))[0] == 200
        assert announced(simulator) == ["key-3"]


async def test_nothing_is_looked_up_where_all_keys_are_of_one_project(running, simulator):
    simulator.caches[OURS] = None
    async with running(settings(simulator, keys=("key-1",))) as gateway:
        assert (await gateway.whole(**showing(video(), **building_on(OURS))))[0] == 200
        assert [one.path for one in simulator.received if "cachedContents" in one.path] == []


@pytest.mark.parametrize("has_upload", [True, False])
async def test_two_that_no_key_has_both_of_are_named(running, simulator, has_upload):
    simulator.caches[OURS] = f"{SECRET}key-2"
    mine = named(put(simulator, "key-3", "mine"))
    more = (video(),) if has_upload else ()
    async with running(settings(simulator)) as gateway:
        for _ in range(2):
            status, body, _ = await gateway.whole(**showing(mine, *more, **building_on(OURS)))
            error = body["error"]
            if has_upload:
                assert (status, error["code"]) == (400, "different_projects")
                assert error["param"] == "messages[0].content[1].file"
                assert error["message"].startswith("google.cached_content and messages[0]")
            else:
                assert (status, error["code"]) == (404, "not_found")
                assert "the File mine" in error["message"]
                assert "CachedContent not found" in error["message"]
        assert announced(simulator) == []


@pytest.mark.parametrize(
    ("name", "looked"),
    [
        ("cachedContents/gone", {"/v1beta/cachedContents/gone"}),
        # What is no name is not asked for: Gemini says what it thinks of it.
        ("cachedContents/../models", set()),
        ("odd name", set()),
    ],
)
async def test_cached_content_that_nobody_has_is_told_before_anything_goes_up(
    running, simulator, name, looked
):
    async with running(settings(simulator)) as gateway:
        status, body, _ = await gateway.whole(**showing(video(), **building_on(name)))
        assert (status, body["error"]["param"]) == (404, "google.cached_content")
        asked = {one.path for one in simulator.received if one.method == "GET"}
        assert {path for path in asked if "/files/" not in path} == looked
        assert bool(announced(simulator)) == (not looked)


async def test_a_file_moves_when_its_key_cannot_serve_the_model_any_more(running, simulator):
    async with running(settings(simulator)) as gateway:
        assert (await gateway.whole(**showing(video())))[0] == 200
        simulator.keys[f"{SECRET}key-1"] = "day"
        # Found out by a call without media, or by this one: then it is told, once.
        for _ in KEYS:
            await gateway.whole()
        assert (await gateway.whole(**showing(video())))[0] == 200
        assert announced(simulator)[0] == "key-1"
        assert announced(simulator)[1] in {"key-2", "key-3"}
        assert len(announced(simulator)) == 2


async def test_a_file_goes_up_with_a_key_that_can_serve_the_model(running, simulator):
    async with running(settings(simulator)) as gateway:
        spent = Fault(status=429, body=DAY)
        simulator.script(spent, times=None, key=f"{SECRET}key-1", model=MODEL)
        for _ in KEYS:
            assert (await gateway.whole())[0] == 200
        for number in range(4):
            assert (await gateway.whole(**showing(video(VIDEO + bytes([number])))))[0] == 200
        assert "key-1" not in announced(simulator)


DAY = {
    "error": {
        "code": 429,
        "message": "You exceeded your current quota.",
        "status": "RESOURCE_EXHAUSTED",
        "details": [
            {
                "@type": "type.googleapis.com/google.rpc.QuotaFailure",
                "violations": [{"quotaId": "GenerateRequestsPerDayPerProjectPerModel"}],
            }
        ],
    }
}


async def test_a_lost_file_is_nobodys_fault_when_many_ask_for_it_at_once(running, simulator):
    async with running(settings(simulator, keys=("key-1",))) as gateway:
        assert (await gateway.whole(**showing(video())))[0] == 200
        simulator.files._files.clear()
        # All of them are there before the first one hears of it.
        simulator.script(Fault(delay_s=0.5), times=4, action="generateContent")
        answers = await asyncio.gather(*(gateway.whole(**showing(video())) for _ in range(4)))
        assert [answer[0] for answer in answers] == [503] * 4
        assert (await gateway.whole(**showing(video())))[0] == 200
        assert len(announced(simulator)) == 2


async def test_a_stream_is_kept_alive_while_gemini_processes_a_file(running, simulator):
    simulator.files._polls = 30
    pace = {"upstream": {"commit_after_s": 0.05, "keepalive_s": 0.05}}
    async with running(settings(simulator, **pace)) as gateway:
        # Once the head is sent a call is tried again as it is before.
        simulator.script(failing(503), times=1, action="streamGenerateContent")
        seen = await gateway.stream(**showing(video()))
        deltas = [one["choices"][0]["delta"] for one in seen.chunks]
        assert deltas[0] == {"role": "assistant", "content": ""}
        assert deltas[1:4] == [{}, {}, {}]
        assert (seen.finish_reasons, seen.done) == (["stop"], True)
        assert len(generated(simulator)) == 2


@pytest.mark.parametrize("fails", [False, True])
async def test_a_stream_is_kept_alive_while_a_file_is_uploaded(running, simulator, fails):
    pace = {"upstream": {"commit_after_s": 0.05, "keepalive_s": 0.05}}
    async with running(settings(simulator, **pace)) as gateway:
        simulator.script(Fault(status=400 if fails else None, delay_s=0.3), times=1)
        seen = await gateway.stream(**showing(video()))
        deltas = [one["choices"][0]["delta"] for one in seen.chunks]
        assert deltas[0] == {"role": "assistant", "content": ""}
        assert deltas[1:4] == [{}, {}, {}]
        if fails:
            error = seen.error
            assert (error["code"], error["param"]) == (
                "media_not_processed",
                "messages[0].content[1].video_url",
            )
        else:
            assert (seen.finish_reasons, seen.done) == (["stop"], True)


async def test_what_is_refused_by_the_gateway_is_not_uploaded(running, simulator):
    async with running(settings(simulator)) as gateway:
        body = {"model": MODEL, "logit_bias": {"1": 1}} | showing(video())
        headers = {"Authorization": LICENSE, "x-gateway-strict": "true"}
        url = f"{gateway.url}/v1/chat/completions"
        async with gateway.session.post(url, json=body, headers=headers) as response:
            assert (await response.json())["error"]["code"] == "strict_mode"
        assert not simulator.received


@pytest.mark.parametrize("commit_after_s", [0.05, 5.0])
async def test_a_file_that_takes_too_long_gets_through_at_a_later_try(
    running, simulator, commit_after_s
):
    simulator.files._polls = 1_000_000
    limits = settings(simulator, upstream={"commit_after_s": commit_after_s})
    limits = replace(limits, media=replace(limits.media, upload_timeout_s=0.2))
    async with running(limits) as gateway:
        async with gateway.post(stream=True, **showing(video())) as response:
            body = (await response.read()).decode()
        if commit_after_s < 1:
            error = streamed(body.encode()).error
        else:
            assert (response.status, response.headers["retry-after"]) == (504, "10")
            error = json.loads(body)["error"]
        assert (error["code"], error["param"]) == (
            "upstream_timeout",
            "messages[0].content[1].video_url",
        )
        [file] = simulator.files._files.values()
        file.polls_left = 3
        assert (await gateway.stream(**showing(video()))).finish_reasons == ["stop"]
        assert announced(simulator) == ["key-1"]


async def test_a_file_is_looked_at_once_for_all_its_parts(running, simulator):
    simulator.files._polls = 3
    async with running(settings(simulator)) as gateway:
        assert (await gateway.whole(**showing(video(), video())))[0] == 200
    assert len([one for one in simulator.received if "/files/" in one.path]) == 4


@pytest.mark.parametrize("stream", [False, True])
async def test_a_file_that_is_lost_while_it_is_processed_goes_up_anew(running, simulator, stream):
    simulator.files._polls = 1_000_000
    async with running(settings(simulator)) as gateway:
        ask = gateway.stream if stream else gateway.whole
        asking = asyncio.create_task(ask(**showing(video())))
        while not simulator.files._files:
            await asyncio.sleep(0.01)
        simulator.files._files.clear()
        simulator.files._polls = 1
        first = await asking
        assert (first.status if stream else first[0]) == 503
        assert (await gateway.whole(**showing(video())))[0] == 200
        assert len(announced(simulator)) == 2


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("standing", ["minute", "day", "bad"])
async def test_a_key_that_is_spent_with_the_answer_keeps_the_file_no_longer(
    running, simulator, stream, standing
):
    async with running(settings(simulator, keys=("key-1", "key-2"))) as gateway:
        assert (await gateway.whole(**showing(video())))[0] == 200
        simulator.keys[f"{SECRET}key-1"] = standing
        ask = gateway.stream if stream else gateway.whole
        first = await ask(**showing(video()))
        status, error = (first.status, first.error) if stream else (first[0], first[1]["error"])
        # SDKs ask again, and so get their answer.
        assert (status, error["code"]) == (503, "unavailable")
        assert (await gateway.whole(**showing(video())))[0] == 200
        assert announced(simulator) == ["key-1", "key-2"]


@pytest.mark.parametrize("bound", [True, False])
async def test_where_no_other_key_would_do_the_rest_is_told(running, simulator, bound):
    simulator.caches[OURS] = f"{SECRET}key-1"
    more = building_on(OURS) if bound else {}
    keys = ("key-1", "key-2") if bound else ("key-1",)
    async with running(settings(simulator, keys=keys)) as gateway:
        assert (await gateway.whole(**showing(video(), **more)))[0] == 200
        simulator.keys[f"{SECRET}key-1"] = "minute"
        status, _, headers = await gateway.whole(**showing(video(), **more))
        assert (status, int(headers["retry-after"]) > 30) == (429, True)
