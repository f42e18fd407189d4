"""Strategies: any conversation that OpenAI's API allows, and any options beside it."""

import base64
from itertools import chain

from hypothesis import strategies as st

from gateway.dialects.openai_chat.reply.encoders import Sound, wav_header
from gateway.simulator.answers.media import pcm, png

MODELS = st.sampled_from(
    [
        "gemini-2.5-flash",
        "gemini-2.5-pro-thinking",
        "gemini-2.5-flash-lite",
        "gemini-2.5-flash-image",
        "gemini-3-flash-preview",
        "gemini-3.1-pro-preview-low",
        "gemini-3-pro-image",
        "gemini-3.5-flash",
        "gemini-3.8-flash",
    ]
)
LETTERS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
TEXT = LETTERS | st.sampled_from(["", " ", "null", "[1]", '{"$ref":"x"}', "![i](data:image/png;x)"])


def _url(mime: str, data: bytes) -> str:
    return f"data:{mime};base64,{base64.b64encode(data).decode()}"


SOUND = wav_header(Sound(rate=24_000, channels=1), 960) + pcm(1)
IMAGES = st.fixed_dictionaries(
    {
        "type": st.just("image_url"),
        "image_url": st.fixed_dictionaries(
            {"url": st.just(_url("image/png", png()))},
            optional={"detail": st.sampled_from(["low", "high", "auto"])},
        ),
    }
)
AUDIO = st.just(
    {
        "type": "input_audio",
        "input_audio": {"data": base64.b64encode(SOUND).decode(), "format": "wav"},
    }
)
FILES = st.just(
    {
        "type": "file",
        "file": {"filename": "a.pdf", "file_data": _url("application/pdf", b"%PDF-1.4\n")},
    }
)
TEXT_PARTS = st.builds(lambda text: {"type": "text", "text": text}, TEXT)
REFUSALS = st.builds(lambda text: {"type": "refusal", "refusal": text}, TEXT)
NAMES = st.sampled_from(["look", "weather in town", "9lives", "süß", "f" * 64, "undeclared"])
IDS = st.sampled_from(["1", "call_2", "toolu_3", "4__thought__c2ln"])
ARGUMENTS = st.sampled_from(["", "{}", '{"q":"é"}', "[1]", "no JSON", '{"$ref":"#/x"}'])


def parts(*kinds):
    return st.lists(st.one_of(TEXT_PARTS, *kinds), min_size=1, max_size=4)


def message(role, content, **more):
    """Draw a message of *role*; the fields *more* may be absent."""
    return st.fixed_dictionaries({"role": st.just(role), "content": content}, optional=more)


def _function_call(call_id, name, arguments):
    function = {"name": name, "arguments": arguments}
    return {"id": call_id, "type": "function", "function": function}


def _custom_call(call_id, name, text):
    return {"id": call_id, "type": "custom", "custom": {"name": name, "input": text}}


CALLS = st.builds(_function_call, IDS, NAMES, ARGUMENTS) | st.builds(_custom_call, IDS, NAMES, TEXT)
LEGACY = st.builds(lambda name, told: {"name": name, "arguments": told}, NAMES, ARGUMENTS)
SAID = st.none() | TEXT | parts(REFUSALS)
CALLING = {
    "name": st.just("helper"),
    "refusal": st.none() | TEXT,
    "audio": st.none() | st.just({"id": "audio_1"}),
    "tool_calls": st.lists(CALLS, min_size=1, max_size=3, unique_by=lambda call: call["id"]),
    "function_call": st.none() | LEGACY,
}
RESULTS = st.builds(
    lambda call_id, content: {"role": "tool", "tool_call_id": call_id, "content": content},
    IDS,
    TEXT | parts(),
)


@st.composite
def tool_turn(draw) -> list[dict]:
    """Draw calls and their results, in any order, some missing, some of nobody's call."""
    turn = draw(message("assistant", SAID, **CALLING))
    ids = [call["id"] for call in turn.get("tool_calls", ())]
    content = TEXT | parts()
    answered = draw(st.permutations(ids))[: draw(st.integers(0, len(ids)))]
    results = [{"role": "tool", "tool_call_id": one, "content": draw(content)} for one in answered]
    return [turn, *results, *draw(st.lists(RESULTS, max_size=1))]


NAMED = {"name": st.just("Ann")}
ONE = st.one_of(
    message("system", TEXT | parts(), **NAMED),
    message("developer", TEXT | parts(), **NAMED),
    message("user", TEXT | parts(IMAGES, AUDIO, FILES), **NAMED),
    message("assistant", SAID, **CALLING),
    message("function", st.none() | TEXT, name=NAMES).map(lambda one: {"name": "look", **one}),
    RESULTS,
).map(lambda one: [one])
CONVERSATIONS = st.lists(ONE | tool_turn(), min_size=1, max_size=6).map(
    lambda turns: list(chain.from_iterable(turns))
)
SCHEMA = {
    "type": "object",
    "properties": {"q": {"$ref": "#/$defs/Q"}, "rest": {"type": ["array", "null"]}},
    "required": ["q"],
    "additionalProperties": False,
    "$defs": {"Q": {"anyOf": [{"type": "string"}, {"type": "integer"}]}},
}
FUNCTIONS = st.builds(
    lambda name, told: {"name": name, **told},
    NAMES,
    st.fixed_dictionaries(
        {},
        optional={
            "description": TEXT,
            "parameters": st.sampled_from([{}, SCHEMA, {"type": "object", "properties": {}}]),
            "strict": st.booleans(),
        },
    ),
)
TOOLS = st.one_of(
    FUNCTIONS.map(lambda function: {"type": "function", "function": function}),
    st.builds(lambda name: {"type": "custom", "custom": {"name": name}}, NAMES),
    st.sampled_from(
        [
            {"type": "function", "function": {"name": "codeExecution"}},
            {"type": "web_search"},
            {"url_context": {}},
            {"googleMaps": {}},
        ]
    ),
)
FORMATS = st.sampled_from(
    [
        {"type": "text"},
        {"type": "json_object"},
        {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA, "strict": True}},
    ]
)
EFFORTS = ["none", "minimal", "low", "medium", "high", "xhigh", "max"]
OPTIONS = st.fixed_dictionaries(
    {"model": MODELS},
    optional={
        "tools": st.lists(TOOLS, max_size=4),
        "functions": st.lists(FUNCTIONS, min_size=1, max_size=2),
        "tool_choice": st.sampled_from(["none", "auto", "required"]),
        "parallel_tool_calls": st.booleans(),
        "web_search_options": st.just({"search_context_size": "low"}),
        "response_format": FORMATS,
        "reasoning_effort": st.sampled_from(EFFORTS),
        "temperature": st.floats(0, 2),
        "top_p": st.floats(0, 1),
        "presence_penalty": st.floats(-2, 2),
        "frequency_penalty": st.floats(-2, 2),
        "n": st.integers(1, 3),
        "seed": st.integers(-(2**63), 2**63 - 1),
        "stop": st.none() | TEXT | st.lists(TEXT, max_size=4),
        "logprobs": st.booleans(),
        "max_completion_tokens": st.none() | st.integers(1, 100_000),
        "service_tier": st.sampled_from(["auto", "default", "flex", "priority"]),
        "store": st.booleans(),
        "metadata": st.just({"a": "b"}),
        "user": TEXT,
        "logit_bias": st.just({"1": -100}),
    },
)
