"""What belongs to the project of one key is looked for under all of them, once."""

import asyncio

import pytest

from gateway.exchange import UpstreamCall
from gateway.keys import UPSTREAM
from gateway.simulator import Simulator
from gateway.upstream.owners import KEEP_S, MAX_OWNED, Owners
from tests.running import SECRET, settings_for

# More of them than attempts are allowed.
KEYS = tuple(f"key-{n}" for n in range(1, 7))
OURS = {"google": {"cached_content": "cachedContents/ours"}}
GONE = "You do not have permission to access the File theirs or it may not exist."


@pytest.fixture
async def simulator():
    async with Simulator(caches={"cachedContents/ours": f"{SECRET}key-4"}) as simulator:
        yield simulator


def asked(simulator: Simulator) -> list[str]:
    """Return the keys of the requests so far, and forget them."""
    keys = [one.key.removeprefix(SECRET) for one in simulator.received]
    simulator.received.clear()
    return keys


def upload(simulator: Simulator, key: str) -> str:
    """Put a file where a client's own key would; give its address."""
    files = simulator.files
    upload = files.begin({"file": {"name": "files/theirs"}}, "image/png", SECRET + key)
    return str(files.finalize(upload, simulator.url)["uri"])


def showing(uri: str) -> dict:
    part = {"type": "image_url", "image_url": {"url": uri}}
    return {"messages": [{"role": "user", "content": [part, {"type": "text", "text": "?"}]}]}


@pytest.mark.parametrize("stream", [False, True])
async def test_cached_content_is_found_and_stays_found(running, simulator, stream):
    async with running(settings_for(simulator.url, keys=KEYS)) as gateway:
        ask = gateway.stream if stream else gateway.whole
        for _ in KEYS:
            # Whoever did not have it serves others as before.
            await gateway.whole()
        asked(simulator)
        assert (await gateway.whole(**OURS))[0] == 200
        assert asked(simulator) == ["key-1", "key-2", "key-3", "key-4"]
        for _ in KEYS:
            answer = await ask(**OURS)
            assert (answer.status if stream else answer[0]) == 200
        assert asked(simulator) == ["key-4"] * len(KEYS)


async def test_a_file_is_found_and_stays_found(running, simulator):
    async with running(settings_for(simulator.url, keys=KEYS)) as gateway:
        file = showing(upload(simulator, "key-5"))
        for _ in range(3):
            assert (await gateway.whole(**file))[0] == 200
        assert asked(simulator) == [*KEYS[:5], "key-5", "key-5"]


async def test_a_native_request_finds_it_too(running, simulator):
    uri = upload(simulator, "key-3")
    turn = {"parts": [{"text": "?"}, {"file_data": {"file_uri": uri, "mime_type": "image/png"}}]}
    async with running(settings_for(simulator.url, keys=KEYS)) as gateway:
        url = f"{gateway.url}/v1beta/models/gemini-2.5-flash:generateContent"
        for _ in range(2):
            headers = {"x-goog-api-key": "fault-license"}
            async with gateway.session.post(
                url, json={"contents": [turn]}, headers=headers
            ) as answer:
                assert answer.status == 200
        assert asked(simulator) == [*KEYS[:3], "key-3"]


async def test_what_nobody_has_is_a_404_that_names_it(running, simulator):
    async with running(settings_for(simulator.url, keys=KEYS)) as gateway:
        status, body, _ = await gateway.whole(**showing(f"{simulator.url}/v1beta/files/theirs"))
        assert (status, body["error"]["message"]) == (404, GONE)
        assert sorted(asked(simulator)) == list(KEYS)
        assert (await gateway.whole())[0] == 200


async def test_it_is_looked_for_anew_when_it_is_gone(running, simulator):
    async with running(settings_for(simulator.url, keys=KEYS)) as gateway:
        await gateway.whole(**OURS)
        simulator.caches["cachedContents/ours"] = f"{SECRET}key-6"
        asked(simulator)
        assert (await gateway.whole(**OURS))[0] == 200
        assert (first := asked(simulator))[0] == "key-4"
        assert first[-1] == "key-6"
        assert (await gateway.whole(**OURS))[0] == 200
        assert asked(simulator) == ["key-6"]


async def test_keys_of_one_project_are_asked_once(running, simulator):
    members = [
        {"name": key, "key": SECRET + key} | ({"project": "first"} if key < "key-4" else {})
        for key in KEYS
    ]
    settings = settings_for(simulator.url, upstream={"credentials": members})
    async with running(settings) as gateway:
        assert (await gateway.whole(**OURS))[0] == 200
        assert asked(simulator) == ["key-1", "key-4"]


async def test_what_one_machine_found_the_others_know(running, simulator, valkey):
    settings = settings_for(simulator.url, keys=KEYS, state={"url": valkey.url})
    async with running(settings) as one, running(settings) as other:
        assert (await one.whole(**OURS))[0] == 200
        asked(simulator)
        async with asyncio.timeout(10):
            while other.app[UPSTREAM].owners.of("cachedContents/ours") is None:
                await asyncio.sleep(0.05)
        assert (await other.whole(**OURS))[0] == 200
        assert asked(simulator) == ["key-4"]


def call(**body) -> UpstreamCall:
    return UpstreamCall("m", {"contents": [], **body}, stream=False)


def test_others_hear_what_is_learned_and_what_is_forgotten():
    one, other = Owners(lambda: 0.0), Owners(lambda: 0.0)
    one.share(other.hear)
    ours = call(cachedContent="ours")
    one.learn(ours, "main")
    assert (one.of_call(ours), other.of_call(ours)) == ("main", "main")
    one.forget(ours)
    one.forget(call(cachedContent="unknown"))
    assert (one.of_call(ours), other.of_call(ours)) == (None, None)


def test_what_is_learned_holds_for_a_day_and_is_bounded():
    now = 0.0
    owners = Owners(lambda: now)
    for number in range(MAX_OWNED + 1):
        owners.learn(call(cachedContent=str(number)), "main")
    assert (owners.of("0"), owners.of("1")) == (None, "main")
    now = KEEP_S
    assert owners.of("1") is None


@pytest.mark.parametrize(
    "body",
    [
        {"cached_content": "it"},
        {"contents": [{"parts": [{"text": "a"}, {"fileData": {"fileUri": "it"}}]}]},
        {"contents": [{"parts": [{"file_data": {"file_uri": "it"}}]}]},
        {"generateContentRequest": {"cachedContent": "it"}},
    ],
)
def test_every_spelling_is_read(body):
    owners = Owners(lambda: 0.0)
    owners.learn(call(cachedContent="it"), "main")
    assert owners.of_call(UpstreamCall("m", body, stream=False, verbatim=True)) == "main"


@pytest.mark.parametrize(
    "body",
    [
        {"contents": "text", "cachedContent": {"a": 1}},
        {"contents": ["text", {"parts": "text"}, {"parts": ["text", {"fileData": 1}]}]},
        {"contents": [{"parts": [{"fileData": {"fileUri": ["it"]}}]}]},
        {"generateContentRequest": [1]},
    ],
)
def test_what_has_another_form_names_nothing(body):
    owners = Owners(lambda: 0.0)
    owners.learn(call(cachedContent="it"), "main")
    assert owners.of_call(UpstreamCall("m", body, stream=False, verbatim=True)) is None
