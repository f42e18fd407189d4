"""`GET /v1/models`: two protocols at one address, filtered by what the license covers."""

import pytest

from tests.faults.scripted import ScriptedUpstream, answer
from tests.running import LICENSE, settings_for

MODELS = {
    "models": [
        {"name": "models/gemini-2.5-flash", "thinking": True, "displayName": "Flash"},
        {"name": "models/gemini-2.5-pro", "thinking": True},
    ]
}


@pytest.fixture
async def gateway(running):
    licenses = [
        {"id": "all", "key": LICENSE},
        {"id": "flash", "key": "flash-only", "models": ["gemini-2.5-flash*"]},
    ]
    async with (
        ScriptedUpstream(answer(200, MODELS)) as upstream,
        running(settings_for(upstream.url, licenses=licenses)) as one,
    ):
        one.upstream = upstream
        yield one


async def ask(gateway, path, key=LICENSE, header="Authorization"):
    async with gateway.session.get(gateway.url + path, headers={header: key}) as response:
        return response.status, await response.json()


async def test_openais_shape_for_openais_clients(gateway):
    status, body = await ask(gateway, "/v1/models")
    assert (status, body["object"]) == (200, "list")
    ids = {model["id"] for model in body["data"]}
    assert {"gemini-2.5-flash", "gemini-2.5-flash-thinking", "gemini-2.5-pro"} <= ids
    assert all({"id", "object", "created", "owned_by"} <= model.keys() for model in body["data"])


async def test_names_that_were_shut_down_are_listed_with_their_date(gateway):
    _, body = await ask(gateway, "/v1/models")
    old = next(model for model in body["data"] if model["id"] == "gemini-2.0-flash")
    assert old["shutdown_date"] == "2026-06-01"


async def test_geminis_shape_for_geminis_clients(gateway):
    assert await ask(gateway, "/v1/models", header="x-goog-api-key") == (200, MODELS)
    one = await ask(gateway, "/v1/models/gemini-2.5-pro", header="x-goog-api-key")
    assert one == (200, MODELS["models"][1])


async def test_one_model_by_its_id(gateway):
    status, body = await ask(gateway, "/v1/models/gemini-2.5-flash")
    assert (status, body["id"], body["display_name"]) == (200, "gemini-2.5-flash", "Flash")


@pytest.mark.parametrize(
    ("header", "error_body"),
    [("Authorization", {"code": "model_not_found"}), ("x-goog-api-key", {"status": "NOT_FOUND"})],
)
@pytest.mark.parametrize("name", ["nope", "a/b/c", "%00", "x" * 500])
async def test_an_unknown_model_is_a_404_in_the_clients_words(gateway, name, header, error_body):
    status, body = await ask(gateway, f"/v1/models/{name}", header=header)
    assert status == 404
    assert error_body.items() <= body["error"].items()


async def test_a_license_sees_what_it_covers(gateway):
    _, body = await ask(gateway, "/v1/models", key="flash-only")
    assert {m["id"] for m in body["data"]} == {
        "gemini-2.5-flash",
        "gemini-2.5-flash-thinking",
        *[m["id"] for m in body["data"] if m["id"].startswith("gemini-2.5-flash-")],
    }
    assert (await ask(gateway, "/v1/models/gemini-2.5-pro", key="flash-only"))[0] == 404


async def test_the_list_is_asked_for_once_and_needs_a_license(gateway):
    for _ in range(3):
        await ask(gateway, "/v1/models")
    assert len(gateway.upstream.seen) == 1
    assert (await ask(gateway, "/v1/models", key="wrong"))[0] == 401
