"""The whole payload as the call that goes up."""

import pytest

from gateway.dialects.openai_chat import DIALECT, turns
from gateway.dialects.openai_chat.names import wire_name
from gateway.errors import BadRequest
from gateway.exchange import Blob, Known, Notes
from tests.gateway.dialects.openai_chat.asking import (
    OBJECT,
    ask,
    assistant,
    body,
    call,
    function,
    user,
)

WEATHER = {
    "type": "object",
    "properties": {
        "location": {"type": "string", "description": "The city and state"},
        "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
    },
    "required": ["location"],
}


def seeing(text):
    return [{"type": "text", "text": text}, {"type": "image_url", "image_url": {"url": "base64"}}]


@pytest.mark.parametrize(
    ("model", "content", "tools", "blob", "parts", "more"),
    [
        ("gemini-2.0-flash", "你是什么模型", None, None, [{"text": "你是什么模型"}], {}),
        (
            "gemini-2.0-flash-exp-image-generation",
            "画小猫",
            None,
            None,
            [{"text": "画小猫"}],
            {"generationConfig": {"responseModalities": ["TEXT", "IMAGE"]}},
        ),
        *(
            (
                "gemini-2.0-flash",
                seeing("里面有什么"),
                None,
                Blob(mime, "AAAA"),
                [{"text": "里面有什么"}, {"inlineData": {"mimeType": mime, "data": "AAAA"}}],
                {},
            )
            for mime in ("image/png", "audio/wav", "video/mp4")
        ),
        (
            "gemini-2.0-flash",
            "What is the weather like in Boston today?",
            [function("get_current_weather", WEATHER, description="Get the weather")],
            None,
            [{"text": "What is the weather like in Boston today?"}],
            {
                "tools": [
                    {
                        "functionDeclarations": [
                            {
                                "name": "get_current_weather",
                                "description": "Get the weather",
                                "parametersJsonSchema": WEATHER,
                            }
                        ]
                    }
                ]
            },
        ),
        (
            "gemini-2.0-flash",
            "What is the sum of the first 50 prime numbers?",
            [function("codeExecution")],
            None,
            [{"text": "What is the sum of the first 50 prime numbers?"}],
            {"tools": [{"codeExecution": {}}]},
        ),
    ],
    ids=["chat", "image", "see", "hear", "watch", "call", "compute"],
)
def test_the_seven_examples_of_the_original_document(model, content, tools, blob, parts, more):
    payload = {"messages": [user(content)], "model": model, "stream": True}
    if tools:
        payload["tools"] = tools
    call, notes = ask(payload, media={(0, 1): blob} if blob else {})
    body = dict(call.body)
    assert body.pop("contents") == [{"role": "user", "parts": parts}]
    assert {one["threshold"] for one in body.pop("safetySettings")} == {"OFF"}
    assert body == more
    assert (call.model, call.stream, call.copies) == (model, True, 1)
    assert (notes.adjusted, notes.dropped) == ({}, {})


def test_whether_google_stores_a_request_is_the_clients_native_setting_alone():
    call, notes = ask(google={"store": False}, store=True)
    assert call.body["store"] is False
    assert list(notes.dropped) == ["store"]
    with pytest.raises(BadRequest) as caught:
        ask(google={"store": "no"})
    assert caught.value.param == "google.store"


def test_fields_without_counterpart_never_go_up_and_are_named():
    call, notes = ask(
        user="u",
        metadata={"a": 1},
        store=True,
        logit_bias={"1": 1},
        prediction=None,
        telepathy=False,
        extra_body={"top_k": 1, "google": {}},
    )
    assert call.body.keys() == {"contents", "safetySettings"}
    assert set(notes.dropped) == {
        "user",
        "metadata",
        "store",
        "logit_bias",
        "telepathy",
        "extra_body.top_k",
    }


def test_values_that_ask_for_nothing_are_not_named():
    _, notes = ask(store=False, metadata={}, user="", logit_bias={})
    assert notes.dropped == {}


def test_top_k_and_penalties_are_no_errors():
    """openhanako#394: other layers answer 400 to each of these."""
    call, _ = ask(store=True, top_k=3, frequency_penalty=1, reasoning={"effort": "low"})
    assert call.body["generationConfig"]["topK"] == 3


def test_cached_content_brings_its_own_instruction_and_tools():
    call, notes = ask(
        messages=[{"role": "system", "content": "s"}, user("Hi")],
        tools=[function("f", OBJECT)],
        tool_choice="auto",
        google={"cached_content": "cachedContents/1"},
    )
    assert call.body.keys() == {"contents", "safetySettings", "cachedContent"}
    assert set(notes.adjusted) == {"system", "tools", "tool_choice"}


def test_what_is_asked_for_in_words_goes_with_cached_content():
    """Gemini refuses an instruction beside it."""
    call, notes = ask(
        model="gemma-3-27b-it",
        response_format={"type": "json_object"},
        google={"cached_content": "cachedContents/1"},
    )
    assert "systemInstruction" not in call.body
    words, question = call.body["contents"][0]["parts"]
    assert "JSON" in words["text"]
    assert question == {"text": "Hi"}
    assert notes.adjusted == {"response_format": "emulated;reason=model"}


def test_native_fields_at_the_top_count_before_those_in_extra_body():
    call, notes = ask(google={"topK": 1}, extra_body={"google": {"top_k": 2, "seed": 3}})
    assert call.body["generationConfig"] == {"topK": 1, "seed": 3}
    assert list(notes.dropped) == ["google.top_k"]


def test_an_alias_goes_up_and_its_own_abilities_count():
    payload = {"model": "fast-thinking", "messages": [user("Hi")]}
    known = Known(exchange_id="x", model="gemini-2.5-flash")
    call = DIALECT.call(payload, known, Notes())
    assert call.model == "gemini-2.5-flash"
    assert call.body["generationConfig"]["thinkingConfig"]["thinkingBudget"] == -1


def test_what_was_learned_of_a_model_holds_from_the_first_attempt_on():
    call, notes = ask(presence_penalty=1, refusals=frozenset({"penalties", "unheard_of"}))
    assert "generationConfig" not in call.body
    assert notes.adjusted == {"presence_penalty": "dropped;reason=model"}


def test_strict_mode_refuses_what_was_dropped_by_its_name():
    _, notes = ask(logit_bias={"1": 1})
    with pytest.raises(BadRequest) as caught:
        notes.refuse_if_any()
    assert caught.value.param == "logit_bias"


def test_what_may_be_remembered_is_asked_for_by_ids_and_text_then_by_the_place_of_calls():
    legacy = {"role": "assistant", "function_call": {"name": "f", "arguments": '{"a":1}'}}
    custom = {"id": "5", "type": "custom", "custom": {"name": "c", "input": "free"}}
    messages = [
        user("Hi"),
        assistant("Yes ", call("1__thought__s", "f"), call("2", "f")),
        legacy,
        assistant(None, {"function": {"name": "g"}}),
        assistant(None, {"function": {"name": "get weather!"}}, custom),
        assistant("![image](data:image/png;base64,AAAA)"),
    ]
    payload = {"messages": messages}
    image = turns.image_key("AAAA")
    assert DIALECT.memory_keys(payload, {}) == [
        turns.call_key("1"),
        turns.call_key("2"),
        turns.text_key("Yes", question="Hi"),
        turns.call_key("5"),
        turns.text_key("", [image]),
        image,
    ]
    places = [
        (1, 1, "f", {}),
        (2, 0, "f", {"a": 1}),
        (3, 0, "g", {}),
        # As it was told upstream.
        (4, 0, wire_name("get weather!"), {}),
        (4, 1, "c", {"input": "free"}),
    ]
    assert DIALECT.lost_keys(payload, {turns.call_key("1"): b"{}"}) == [
        turns.nameless_key(turns.occasion(messages, index), at, name, arguments)
        for index, at, name, arguments in places
    ]


def test_a_media_part_that_nobody_read_is_refused_by_its_place():
    with pytest.raises(BadRequest) as caught:
        ask(messages=[user(seeing("x"))])
    assert caught.value.param == "messages[0].content[1]"


def test_chunks_of_equal_length_are_asked_for_in_vain():
    for asked, dropped in ((True, ["stream_options.include_obfuscation"]), (False, []), (None, [])):
        _, notes = ask(stream=True, stream_options={"include_obfuscation": asked})
        assert list(notes.dropped) == dropped


def test_media_among_instructions_are_dropped_and_noted():
    _, notes = ask(messages=[{"role": "system", "content": seeing("x")}, user("Hi")])
    assert list(notes.dropped) == ["messages[0].content"]


@pytest.mark.parametrize(
    ("asked_for", "text"),
    [
        ({"type": "json_object"}, {"mimeType": "APPLICATION_JSON"}),
        (
            {"type": "json_schema", "json_schema": {"name": "n", "schema": OBJECT}},
            {"mimeType": "APPLICATION_JSON", "schema": OBJECT},
        ),
    ],
)
def test_json_beside_maps_goes_up_in_the_form_that_maps_takes(asked_for, text):
    call, notes = ask(
        model="gemini-3.5-flash", tools=[{"google_maps": {}}], response_format=asked_for
    )
    assert call.body["generationConfig"] == {"responseFormat": {"text": text}}
    assert notes.adjusted == {}


def test_the_form_of_images_stays_where_json_gets_the_form_that_maps_takes():
    image = {"aspectRatio": "ASPECT_RATIO_ONE_BY_ONE"}
    call, _ = ask(
        model="gemini-3.5-flash",
        tools=[{"google_maps": {}}],
        response_format={"type": "json_object"},
        google={"response_format": {"image": image}},
    )
    text = {"mimeType": "APPLICATION_JSON"}
    assert call.body["generationConfig"] == {"responseFormat": {"text": text, "image": image}}


def test_json_beside_maps_is_asked_for_in_words_where_tools_forbid_it():
    call, notes = ask(
        model="gemini-2.5-flash",
        tools=[{"google_maps": {}}],
        response_format={"type": "json_schema", "json_schema": {"name": "n", "schema": OBJECT}},
    )
    assert "generationConfig" not in call.body
    assert '"properties"' in call.body["systemInstruction"]["parts"][0]["text"]
    assert list(notes.adjusted) == ["response_format"]


def test_another_form_than_json_stays_as_it_is_beside_maps():
    call, _ = ask(
        model="gemini-3.5-flash",
        tools=[{"google_maps": {}}],
        google={"response_mime_type": "text/x.enum"},
    )
    assert call.body["generationConfig"] == {"responseMimeType": "text/x.enum"}


def test_a_forced_call_beside_maps_has_no_form():
    call, notes = ask(
        model="gemini-3.5-flash",
        tools=[{"google_maps": {}}, function("f", OBJECT)],
        tool_choice="required",
        response_format={"type": "json_object"},
        temperature=0.5,
    )
    assert call.body["generationConfig"] == {"temperature": 0.5}
    assert list(notes.adjusted) == ["response_format"]


def test_cached_content_is_asked_for_nothing_that_goes_into_its_instruction():
    google = {"cached_content": "cachedContents/1"}
    call, notes = ask(tools=[function("f")], parallel_tool_calls=False, google=google)
    assert set(call.body) == {"contents", "cachedContent", "safetySettings"}
    assert notes.adjusted == {"tools": "dropped;reason=cached_content"}
    assert list(notes.dropped) == ["parallel_tool_calls"]


def test_a_native_form_of_the_answer_is_not_requested_of_a_demanded_call():
    """Forced calls with JSON are a 400 in either spelling of the form."""
    google = {"response_format": {"text": {"mime_type": "APPLICATION_JSON"}}}
    call, notes = ask(
        model="gemini-3.5-flash", tools=[function("f")], tool_choice="required", google=google
    )
    assert "generationConfig" not in call.body
    assert notes.adjusted == {"response_format": "dropped;reason=tool_choice"}
    auto, _ = ask(model="gemini-3.5-flash", tools=[function("f")], google=google)
    assert auto.body["generationConfig"]["responseFormat"]


MIXED = {"functions and builtins", "json beside functions"}
SPOKEN = MIXED | {"builtins", "candidates", "functions", "json", "system"}
DRAWN = MIXED | {"candidates", "functions", "json"}
FIXED = {"candidates", "penalties", "sampling"}


def left_out(model):
    """Return what of all that a client may ask for is not sent to *model*."""
    google, json = {"google_search": {}}, {"type": "json_object"}
    both = body(model=model, tools=[function(), google]).get("tools") or []
    formed = body(model=model, tools=[function()], response_format=json)
    asked = [{"role": "system", "content": "s"}, user("Hi")]
    sampling = {"n": 2, "temperature": 1, "presence_penalty": 1}
    sent = body(model=model, messages=asked, response_format=json, **sampling)
    settings = sent.get("generationConfig", {})
    found = {
        "builtins": "tools" in body(model=model, tools=[google]),
        "candidates": "candidateCount" in settings,
        "functions": "tools" in body(model=model, tools=[function()]),
        "functions and builtins": len(both) == 2,
        "json": "responseMimeType" in settings,
        "json beside functions": "responseMimeType" in formed.get("generationConfig", {}),
        "penalties": "presencePenalty" in settings,
        "sampling": "temperature" in settings,
        "system": "systemInstruction" in sent,
    }
    return {name for name, is_sent in found.items() if not is_sent}


@pytest.mark.parametrize(
    ("model", "missing"),
    [
        ("gemini-1.5-pro", MIXED),
        ("gemini-2.0-flash", MIXED),
        ("learnlm-2", MIXED),
        ("gemini-2.5-pro", MIXED),
        ("gemini-2.5-flash", MIXED),
        ("gemini-2.5-flash-lite", MIXED),
        ("gemini-robotics-er-1.5-preview", MIXED),
        ("gemini-3-pro-preview", set()),
        ("gemini-3-flash-preview", set()),
        ("gemini-3.1-pro-preview", set()),
        ("gemini-pro-latest", set()),
        ("gemini-3.5-flash", set()),
        ("gemini-3.5-flash-lite", {"sampling"}),
        ("gemini-flash-lite-latest", {"sampling"}),
        ("gemini-3.6-flash", {"sampling"}),
        ("gemini-3.7-flash", FIXED),
        ("gemini-flash-latest", FIXED),
        ("gemini-4-argon", FIXED),
        ("gemma-3-27b-it", SPOKEN - {"candidates"}),
        ("gemma-4-31b-it", set()),
        ("gemini-2.5-flash-preview-tts", SPOKEN),
        ("gemini-3.8-flash-tts", SPOKEN),
        ("gemini-2.0-flash-exp-image-generation", SPOKEN),
        ("gemini-2.5-flash-image", SPOKEN),
        ("gemini-3.1-flash-lite-image", DRAWN | {"builtins"}),
        ("gemini-3-pro-image", DRAWN),
        ("gemini-nano-banana-2.1", DRAWN),
    ],
)
def test_a_model_is_sent_all_but_what_it_refuses(model, missing):
    assert left_out(model) == missing
