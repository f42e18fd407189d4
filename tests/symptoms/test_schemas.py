"""Tools, schemas and fields as clients write them: Gemini takes them, and nothing is lost unsaid."""

from typing import Any

import orjson
import pytest

from tests.faults.scripted import refusal
from tests.symptoms.reply import ask, says

OLD, NEW = "gemini-2.5-flash", "gemini-3.7-flash"
# Nothing is known beforehand of what it refuses.
UNKNOWN = "gemini-3.5-flash"
DONE = says({"text": "Done"}, finish="STOP")
SEARCHES = {
    "hosted": {"type": "web_search"},
    "native": {"google_search": {}},
    "as a function": {"type": "function", "function": {"name": "googleSearch"}},
}


def function(parameters: dict) -> dict:
    return {"type": "function", "function": {"name": "look", "parameters": parameters}}


LOOK = function({"type": "object", "properties": {"at": {"type": "string"}}})


def sent_tools(body: dict) -> list[str]:
    """Return the kinds of tools in a request that came upstream."""
    return [name for tool in body["tools"] for name in tool]


@pytest.mark.parametrize("form", SEARCHES)
async def test_a_search_that_the_model_cannot_combine_with_functions_is_named(
    gateway, simulator, streaming, form
):
    """The functions stay, and strict clients can see in the header what is gone.

    Reported in bifrost#5139, litellm, gemini-balance.
    """
    tools = [SEARCHES[form], LOOK]
    reply = await ask(gateway, streaming=streaming, model=OLD, tools=tools)
    assert (reply.status, reply.finish_reason) == (200, "tool_calls")
    assert reply.headers["x-gateway-dropped"] == "tools.googleSearch"
    [received] = simulator.received
    assert sent_tools(received.body) == ["functionDeclarations"]


@pytest.mark.parametrize("form", SEARCHES)
async def test_a_search_goes_up_beside_functions_where_the_model_takes_both(
    gateway, simulator, streaming, form
):
    """Reported in bifrost#5139, litellm, gemini-balance."""
    tools = [SEARCHES[form], LOOK]
    reply = await ask(gateway, streaming=streaming, model=NEW, tools=tools)
    assert reply.status == 200, reply.error
    assert "x-gateway-dropped" not in reply.headers
    [received] = simulator.received
    assert sorted(sent_tools(received.body)) == ["functionDeclarations", "googleSearch"]


TEXT = {"type": "string"}
# What stands in a schema, what goes up, and which keyword the header names as lost.
WRITTEN: dict[str, tuple[dict, dict, str]] = {
    "$schema": ({"$schema": "http://json-schema.org/draft-07/schema#", **TEXT}, TEXT, ""),
    "strict": ({"strict": True, **TEXT}, TEXT, ""),
    "encrypted": ({"encrypted": True, **TEXT}, TEXT, ""),
    "const": ({"const": "a", **TEXT}, {"enum": ["a"], **TEXT}, ""),
    "const of another type": ({"const": 5}, {"enum": [5]}, ""),
    "additionalProperties": (
        {"type": "object", "properties": {"b": TEXT}, "additionalProperties": False},
        {"type": "object", "properties": {"b": TEXT}, "additionalProperties": False},
        "",
    ),
    "additionalProperties with a schema": (
        {"type": "object", "additionalProperties": {"$schema": "x", **TEXT}},
        {"type": "object", "additionalProperties": TEXT},
        "",
    ),
    "a list of types": ({"type": ["string", "null"]}, {"type": ["string", "null"]}, ""),
    "a type in capitals": ({"type": "STRING"}, TEXT, ""),
    "an empty type": ({"type": "", "description": "d"}, {"description": "d"}, "type"),
    "no type in a list": ({"type": [], "description": "d"}, {"description": "d"}, "type"),
    "a type that is none": ({"type": "file", "description": "d"}, {"description": "d"}, "type"),
    "an unknown keyword": ({"if": {}, **TEXT}, TEXT, "if"),
}


@pytest.mark.parametrize("model", [OLD, NEW])
@pytest.mark.parametrize("name", WRITTEN)
async def test_keywords_that_gemini_does_not_know_cost_no_request(gateway, simulator, name, model):
    """What says something is told in other words, and what cannot be told is named.

    Reported in CLIProxyAPI#97, CLIProxyAPI#5064, zed#44875, promptfoo#6902, gitlab-mcp#166.
    """
    written, wanted, lost = WRITTEN[name]
    whole = {"type": "object", "properties": {"at": written}}
    shaped = {"type": "json_schema", "json_schema": {"name": "n", "strict": True, "schema": whole}}
    asked: dict[str, dict] = {
        "tools[0].function.parameters": {"tools": [function(whole)]},
        "response_format.json_schema.schema": {"response_format": shaped},
    }
    for path, fields in asked.items():
        got = await ask(gateway, streaming=False, model=model, **fields)
        assert got.status == 200, got.error
        named = f"{path}=without_{lost};reason=schema" if lost else None
        assert got.headers.get("x-gateway-adjusted") == named
    assert [one.status for one in simulator.received] == [200, 200]
    by_tool, by_format = (one.body for one in simulator.received)
    [declared] = by_tool["tools"][0]["functionDeclarations"]
    assert declared["parametersJsonSchema"]["properties"]["at"] == wanted
    assert by_format["generationConfig"]["responseJsonSchema"]["properties"]["at"] == wanted


NODE = {
    "type": "object",
    "properties": {
        "name": TEXT,
        "children": {"type": "array", "items": {"$ref": "#/$defs/Node"}},
    },
}
REFERENCE = {"$ref": "#/$defs/Node"}
MEANT = {"type": "object", "properties": {"tree": REFERENCE}, "$defs": {"Node": NODE}}
OLDER = {**NODE, "properties": {**NODE["properties"]}}
OLDER["properties"]["children"] = {"type": "array", "items": {"$ref": "#/definitions/Node"}}
REFERRING = {
    "as of today": MEANT,
    "as it was called before": {
        "type": "object",
        "properties": {"tree": {"$ref": "#/definitions/Node"}},
        "definitions": {"Node": OLDER},
    },
    "in a list of one": {**MEANT, "properties": {"tree": {"allOf": [REFERENCE]}}},
}


@pytest.mark.parametrize("model", [OLD, NEW])
@pytest.mark.parametrize("name", REFERRING)
async def test_references_and_what_they_refer_to_go_up(gateway, simulator, name, model):
    """A schema may refer to itself.

    Reported in DEEIX#546, gcli2api#374, opencode#12295, gemini-cli#13326, LibreChat#13845.
    """
    reply = await ask(gateway, streaming=False, model=model, tools=[function(REFERRING[name])])
    assert reply.status == 200, reply.error
    assert "x-gateway-adjusted" not in reply.headers
    [received] = simulator.received
    assert received.body["tools"] == [
        {"functionDeclarations": [{"name": "look", "parametersJsonSchema": MEANT}]}
    ]


@pytest.mark.parametrize("model", [OLD, NEW])
async def test_what_stands_beside_a_reference_holds_too(gateway, simulator, model):
    """Reported in DEEIX#546, gcli2api#374, opencode#12295, gemini-cli#13326."""
    beside = {**REFERENCE, "description": "The root", "required": ["name"]}
    parameters = {**MEANT, "properties": {"tree": beside}}
    reply = await ask(gateway, streaming=False, model=model, tools=[function(parameters)])
    assert reply.status == 200, reply.error
    assert "x-gateway-adjusted" not in reply.headers
    [received] = simulator.received
    [declared] = received.body["tools"][0]["functionDeclarations"]
    sent = declared["parametersJsonSchema"]
    merged = {**NODE, "description": "The root", "required": ["name"]}
    assert sent["properties"]["tree"] == merged
    assert sent["$defs"] == {"Node": NODE}


async def test_a_reference_that_leads_nowhere_is_named_before_anything_goes_up(gateway, simulator):
    """Reported in gemini-cli#13326."""
    reply = await ask(gateway, streaming=False, tools=[function({**MEANT, "$defs": {}})])
    assert reply.status == 400
    assert reply.error["param"] == "tools[0].function.parameters"
    assert "#/$defs/Node" in reply.error["message"]
    assert not simulator.received


# By model and field: what upstream gets of it, and the header that names what it does not get.
REFUSED_BY_GOOGLE: list[tuple[str, dict, dict, str, str]] = [
    (OLD, {"store": True}, {}, "x-gateway-dropped", "store"),
    (OLD, {"top_k": 5}, {"topK": 5}, "", ""),
    (NEW, {"top_k": 5}, {}, "x-gateway-adjusted", "top_k=dropped;reason=model"),
    (
        NEW,
        {"frequency_penalty": 1},
        {},
        "x-gateway-adjusted",
        "frequency_penalty=dropped;reason=model",
    ),
    (
        OLD,
        {"reasoning": {"effort": "low"}},
        {"thinkingConfig": {"includeThoughts": True, "thinkingBudget": 1024}},
        "",
        "",
    ),
    (
        NEW,
        {"reasoning": {"effort": "minimal"}},
        {"thinkingConfig": {"includeThoughts": True, "thinkingLevel": "LOW"}},
        "x-gateway-adjusted",
        "reasoning.effort=low;reason=model",
    ),
]


@pytest.mark.parametrize(("model", "fields", "config", "header", "named"), REFUSED_BY_GOOGLE)
async def test_fields_that_google_refuses_have_their_effect_or_are_named(
    gateway, simulator, streaming, model, fields, config, header, named
):
    """Google's own layer for OpenAI's clients answers 400 to each.

    Reported in openhanako#394, SkyrimNet#77.
    """
    reply = await ask(gateway, streaming=streaming, model=model, **fields)
    assert reply.status == 200, reply.error
    assert reply.text
    headers = {
        name: reply.headers.get(name) for name in ("x-gateway-dropped", "x-gateway-adjusted")
    }
    assert {name: value for name, value in headers.items() if value} == (
        {header: named} if header else {}
    )
    [received] = simulator.received
    assert received.body.get("generationConfig", {}) == config
    assert received.body.keys() <= {"contents", "generationConfig", "safetySettings"}


NATIVE: dict[str, tuple[Any, Any]] = {
    "topK": (5, 5),
    "stopSequences": (["a"], ["a"]),
    "seed": (0, 0),
    "mediaResolution": ("MEDIA_RESOLUTION_LOW", "MEDIA_RESOLUTION_LOW"),
    "thinkingConfig": (
        {"include_thoughts": True, "thinking_budget": 900},
        {"includeThoughts": True, "thinkingBudget": 900},
    ),
}
SAFETY = [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "BLOCK_ONLY_HIGH"}]


def snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


@pytest.mark.parametrize("at_the_top", [False, True], ids=["in extra_body", "at the top"])
@pytest.mark.parametrize("spelled", [str, snake], ids=["camelCase", "snake_case"])
async def test_native_fields_arrive_in_either_spelling(
    gateway, simulator, streaming, spelled, at_the_top
):
    """OpenAI's clients put what they find in `extra_body` at the top, others send it as it is.

    Reported in gemini-balance#143.
    """
    google = {spelled(name): reply for name, (reply, _) in NATIVE.items()}
    google |= {spelled("safetySettings"): SAFETY, "tools": [{spelled("urlContext"): {}}]}
    fields = {"google": google} if at_the_top else {"extra_body": {"google": google}}
    reply = await ask(gateway, streaming=streaming, model=OLD, **fields)
    assert reply.status == 200, reply.error
    assert not reply.headers.keys() & {"x-gateway-dropped", "x-gateway-adjusted"}
    [received] = simulator.received
    assert received.body["generationConfig"] == {name: sent for name, (_, sent) in NATIVE.items()}
    assert SAFETY[0] in received.body["safetySettings"]
    assert received.body["tools"] == [{"urlContext": {}}]


# What Google says, what was asked for, and what the header tells.
REFUSALS: dict[str, tuple[str, dict, str | None]] = {
    "penalty": (
        "Penalty is not enabled for models/gemini-3.5-flash",
        {"presence_penalty": 1},
        "presence_penalty=dropped;reason=model",
    ),
    "candidates": ("Multiple candidates is not enabled for this model", {"n": 2}, None),
    "sampling": (
        "Sampling parameter temperature is not enabled for this model",
        {"temperature": 1, "top_p": 1},
        "temperature=dropped;reason=model, top_p=dropped;reason=model",
    ),
    "sampling of its own kind": (
        "Sampling parameter top_k is not enabled for this model",
        {"top_k": 5},
        "top_k=dropped;reason=model",
    ),
    "least thinking": (
        "Thinking level MINIMAL is not supported for this model.",
        {"reasoning_effort": "minimal"},
        "thinking=LOW;reason=model",
    ),
}


async def test_json_that_is_asked_for_in_words_beside_functions_comes(gateway, streaming):
    """OpenAI's agents and the AI SDK ask so: functions first, at the end an answer of a type."""
    kind = {"type": "object", "properties": {"sky": {"enum": ["blue"]}}, "required": ["sky"]}
    fields = {
        "model": OLD,
        "tools": [LOOK],
        "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": kind}},
    }
    ask_first = {"role": "user", "content": "look"}
    first = await ask(gateway, streaming=streaming, messages=[ask_first], **fields)
    [call] = first.calls
    result = {"role": "tool", "tool_call_id": call["id"], "content": "ok"}
    history = [ask_first, {"role": "assistant", "content": None, "tool_calls": [call]}, result]
    last = await ask(gateway, streaming=streaming, messages=history, **fields)
    assert last.headers["x-gateway-adjusted"] == "response_format=emulated;reason=model"
    assert orjson.loads(last.text) == {"sky": "blue"}


@pytest.mark.parametrize("name", REFUSALS)
async def test_what_a_model_refuses_is_found_out_by_the_first_request(scripted, streaming, name):
    """The client sees a 200 each time, and upstream one refusal in all.

    Reported in openai-gemini#63, vercel/ai#8943, litellm#4333, oh-my-pi#10543, vellum#32687,
    kiss-translator#1051.
    """
    message, fields, header = REFUSALS[name]
    refused = tuple(refusal(400, "INVALID_ARGUMENT", message))
    copies = fields.get("n", 1)
    async with scripted(refused, [DONE]) as (gateway, upstream):
        for calls in (1 + copies, 1 + 2 * copies):
            reply = await ask(gateway, streaming=streaming, model=UNKNOWN, **fields)
            assert (reply.status, reply.headers.get("x-gateway-adjusted")) == (200, header)
            assert len(upstream.seen) == calls
    bodies = [one.body for one in upstream.seen]
    assert bodies[0] not in bodies[1:]
    assert all(body == bodies[1] for body in bodies[1:])


async def test_a_model_newer_than_the_gateway_is_asked_right_at_once(gateway, simulator, streaming):
    """Its kind refuses all of this, so that nobody has to find it out.

    Reported in oh-my-pi#10543, bolna#956.
    """
    fields = {"presence_penalty": 1, "temperature": 1, "reasoning_effort": "minimal", "n": 2}
    reply = await ask(gateway, streaming=streaming, model="gemini-4-argon", **fields)
    assert reply.status == 200, reply.error
    assert reply.headers["x-gateway-adjusted"].count("reason=model") == 3
    assert [one.status for one in simulator.received] == [200, 200]
