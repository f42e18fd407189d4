"""Messages as contents and system instruction."""

import orjson
import pytest

from gateway.dialects.openai_chat import turns
from gateway.errors import BadRequest
from gateway.exchange import Blob
from gateway.features import BYPASS
from tests.gateway.dialects.openai_chat.asking import (
    ask,
    assistant,
    body,
    call,
    contents,
    result,
    user,
)

NEWEST = "gemini-3.7-flash"


def roles(made):
    return [one["role"] for one in made]


def parts(made, at=-1):
    return made[at]["parts"]


def test_system_and_developer_texts_are_the_instruction_in_order():
    made = body(
        messages=[
            {"role": "system", "content": "a"},
            user("Hi"),
            {"role": "developer", "content": [{"type": "text", "text": "b"}]},
        ]
    )
    assert made["systemInstruction"] == {"parts": [{"text": "a"}, {"text": "b"}]}
    assert made["contents"] == [{"role": "user", "parts": [{"text": "Hi"}]}]


def test_a_model_without_system_instruction_gets_it_in_the_first_turn():
    messages = [{"role": "system", "content": "Be kind."}, user("Hi")]
    asked, notes = ask(model="gemma-3-27b-it", messages=messages)
    assert asked.body["contents"] == [
        {"role": "user", "parts": [{"text": "Be kind."}, {"text": "Hi"}]}
    ]
    assert "systemInstruction" not in asked.body
    assert notes.adjusted == {"system": "user;reason=model"}


def test_consecutive_turns_of_one_role_are_one_turn():
    made = contents(user("a"), user("b"), assistant("c"), assistant("d"), user("e"))
    assert roles(made) == ["user", "model", "user"]
    assert parts(made, 0) == [{"text": "a"}, {"text": "b"}]


def test_empty_texts_are_left_out_and_a_space_stands_for_nothing():
    made = contents(user(""), assistant(""), user([{"type": "text", "text": ""}]))
    assert made == [{"role": "user", "parts": [{"text": " "}]}]


def test_a_conversation_that_begins_with_the_model_gets_a_blank_turn_before_it():
    made = contents(assistant("Hello"), user("Hi"))
    assert roles(made) == ["user", "model", "user"]
    assert parts(made, 0) == [{"text": " "}]


def test_a_conversation_that_ends_with_the_model_is_continued_on_request():
    asked, notes = ask(messages=[user("Hi"), assistant("Once upon")])
    assert roles(asked.body["contents"]) == ["user", "model", "user"]
    assert "messages[1]" in notes.adjusted


def test_results_are_one_turn_in_the_order_of_the_calls_with_names_from_the_ids():
    made = contents(
        user("Hi"),
        assistant(None, call("1", "a", '{"x":1}'), call("2", "b")),
        result("2", "two"),
        result("1", '{"n":1}'),
    )
    assert roles(made) == ["user", "model", "user"]
    assert [part["functionResponse"] for part in parts(made)] == [
        {"name": "a", "response": {"n": 1}},
        {"name": "b", "response": {"output": "two"}},
    ]
    assert parts(made, 1)[0]["functionCall"] == {"name": "a", "args": {"x": 1}}


def test_an_orphaned_call_gets_a_result_that_says_so():
    asked, notes = ask(messages=[user("Hi"), assistant(None, call("1", "a")), user("Well?")])
    made = asked.body["contents"]
    assert roles(made) == ["user", "model", "user", "user"]
    assert parts(made, 2) == [
        {"functionResponse": {"name": "a", "response": {"error": "no result"}}}
    ]
    assert notes.adjusted == {"messages[1].tool_calls[0]": "answered;reason=no_result"}


def test_an_orphaned_result_becomes_text():
    asked, notes = ask(messages=[user("Hi"), result("9", "lost")])
    assert parts(asked.body["contents"])[1:] == [{"text": "Result of 9:"}, {"text": "lost"}]
    assert "messages[1]" in notes.adjusted


def test_a_late_result_is_told_where_its_call_stands():
    made = contents(
        user("Hi"), assistant(None, call("1", "a")), user("Wait"), result("1", "ok"), user("Go")
    )
    assert roles(made) == ["user", "model", "user", "user"]
    assert parts(made, 2)[0]["functionResponse"]["response"] == {"output": "ok"}


def test_calls_with_the_same_id_get_their_results_in_order():
    made = contents(
        user("Hi"),
        assistant(None, call("1", "a"), call("1", "a")),
        result("1", "x"),
        result("1", "y"),
    )
    told = [part["functionResponse"]["response"]["output"] for part in parts(made)]
    assert told == ["x", "y"]


def test_an_id_that_comes_again_in_a_later_turn_is_another_call():
    made = contents(
        user("Hi"),
        assistant(None, call("1", "a")),
        result("1", "x"),
        assistant(None, call("1", "b")),
        result("1", "y"),
    )
    assert parts(made)[0]["functionResponse"] == {"name": "b", "response": {"output": "y"}}


def test_legacy_function_messages_are_matched_by_name():
    made = contents(
        user("Hi"),
        {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
        {"role": "function", "name": "f", "content": "42"},
    )
    assert parts(made) == [{"functionResponse": {"name": "f", "response": {"output": "42"}}}]


def test_a_custom_call_has_its_text_as_input():
    custom = {"id": "1", "type": "custom", "custom": {"name": "c", "input": "free"}}
    made = contents(user("Hi"), assistant(None, custom), result("1", "ok"))
    assert parts(made, 1)[0]["functionCall"] == {"name": "c", "args": {"input": "free"}}


@pytest.mark.parametrize(
    ("told", "args"),
    [
        ("", {}),
        (None, {}),
        (" ", {}),
        ('{"a":1}', {"a": 1}),
        ({"a": 1}, {"a": 1}),
        ("{broken", {"input": "{broken"}),
        ("[1]", {"input": "[1]"}),
        (5, {"input": 5}),
        ('{"a":' * 300 + "1" + "}" * 300, {"input": '{"a":' * 300 + "1" + "}" * 300}),
    ],
)
def test_arguments_are_always_an_object(told, args):
    made = contents(user("Hi"), assistant(None, call("1", "f", told)), result("1", "ok"))
    assert parts(made, 1)[0]["functionCall"]["args"] == args


@pytest.mark.parametrize(
    ("told", "response"),
    [
        ('{"a": 1}', {"a": 1}),
        ("[1, 2]", {"output": "[1, 2]"}),
        ("plain", {"output": "plain"}),
        ("{not json", {"output": "{not json"}),
        ('{"$ref": "#/x"}', {"output": '{"$ref": "#/x"}'}),
        ("", {"output": ""}),
        ('{"a":' * 200 + "1" + "}" * 200, {"output": '{"a":' * 200 + "1" + "}" * 200}),
    ],
)
def test_a_result_of_any_text_is_an_object(told, response):
    """Also one with a `$ref`, which Gemini would take for a reference (hermes#100441)."""
    made = contents(user("Hi"), assistant(None, call("1", "f")), result("1", told))
    assert parts(made)[0]["functionResponse"]["response"] == response


IMAGE = [{"type": "image_url", "image_url": {"url": "x"}}]
BLOB = Blob("image/png", "AAAA")


def test_an_image_in_a_result_goes_within_it_on_models_that_take_it():
    messages = [user("Hi"), assistant(None, call("1", "f")), result("1", IMAGE)]
    new = ask(model=NEWEST, messages=messages, media={(2, 0): BLOB})[0].body["contents"]
    inline = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}
    assert parts(new)[0]["functionResponse"]["parts"] == [inline]
    old = ask(messages=messages, media={(2, 0): BLOB})[0].body["contents"]
    assert parts(old) == [inline]
    assert "parts" not in parts(old, -2)[0]["functionResponse"]


def test_ids_are_echoed_to_models_that_give_them_and_not_to_older_ones():
    """gemini-cli#13972 and remix-studio PR 35: one route refuses ids, the other demands them."""
    messages = [user("Hi"), assistant(None, call("1", "f")), result("1", "ok")]
    new = body(model=NEWEST, messages=messages)["contents"]
    assert parts(new, 1)[0]["functionCall"]["id"] == "1"
    assert parts(new)[0]["functionResponse"]["id"] == "1"
    old = body(messages=messages)["contents"]
    assert "id" not in parts(old, 1)[0]["functionCall"]
    assert "id" not in parts(old)[0]["functionResponse"]


def test_the_native_id_that_is_remembered_counts_not_the_clients():
    memories = {turns.call_key("1"): orjson.dumps({"i": "native"})}
    messages = [user("Hi"), assistant(None, call("1", "f")), result("1", "ok")]
    made = body(messages=messages, memories=memories)["contents"]
    assert parts(made, 1)[0]["functionCall"]["id"] == "native"
    assert parts(made)[0]["functionResponse"]["id"] == "native"


@pytest.mark.parametrize(
    "carrier",
    [
        call("1", "f", extra_content={"google": {"thought_signature": "sig"}}),
        call("1", "f", provider_specific_fields={"thought_signature": "sig"}),
        call("1__thought__sig", "f"),
    ],
)
def test_a_signature_is_read_from_every_carrier_on_a_call(carrier):
    made = contents(user("Hi"), assistant(None, carrier), result(carrier["id"], "ok"))
    assert parts(made, 1)[0]["thoughtSignature"] == "sig"
    assert parts(made)[0]["functionResponse"]["response"] == {"output": "ok"}


def test_a_signature_is_read_from_reasoning_details_and_thinking_blocks():
    details = [{"type": "reasoning.encrypted", "id": "1", "data": "sig"}]
    made = contents(user("Hi"), assistant(None, call("1", "f"), reasoning_details=details))
    assert parts(made, 1)[0]["thoughtSignature"] == "sig"
    blocks = [{"type": "thinking", "thinking": "...", "signature": "sig"}]
    made = contents(user("Hi"), assistant("text", thinking_blocks=blocks), user("Go"))
    assert parts(made, 1) == [{"text": "text", "thoughtSignature": "sig"}]
    made = contents(user("Hi"), assistant(None, call("1", "f"), thinking_blocks=blocks))
    assert parts(made, 1)[0]["thoughtSignature"] == "sig"


def test_a_miss_sends_the_bypass_on_the_first_call_of_a_step_from_gemini_3_on():
    messages = [user("Hi"), assistant(None, call("1", "a"), call("2", "b"))]
    made = body(model="gemini-3-flash-preview", messages=messages)["contents"]
    signatures = [part.get("thoughtSignature") for part in parts(made, 1)]
    assert signatures == [BYPASS, None]
    assert "thoughtSignature" not in parts(body(messages=messages)["contents"], 1)[0]


def test_an_image_in_the_models_own_markdown_is_sent_back_as_an_image():
    text = "Here: ![image](data:image/png;base64,AAAA) nice"
    made = contents(user("Draw"), assistant(text), user("Bigger"))
    assert parts(made, 1) == [
        {"text": "Here: "},
        {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
        {"text": " nice"},
    ]


@pytest.mark.parametrize(
    "text",
    ["![a](data:image/png;base64,AA", "](data:image/png;base64,AA)", "![a](data:image/png,AA)"],
)
def test_what_only_looks_like_an_image_stays_text(text):
    made = contents(user("Draw"), assistant(text), user("Bigger"))
    assert "".join(part["text"] for part in parts(made, 1)) == text


def test_images_of_the_history_are_sent_back_with_their_signature():
    """mscraftsman#147: editing needs the signature of each image."""
    url = "data:image/png;base64,AAAA"
    native = [{"inlineData": {"mimeType": "image/png", "data": "AAAA"}, "thoughtSignature": "s"}]
    text = f"![image]({url})"
    memories = dict(turns.records(native, text, []))
    made = contents(user("Draw"), assistant(text), user("Bigger"), memories=memories)
    assert parts(made, 1) == native
    shown = assistant("", images=[{"type": "image_url", "image_url": {"url": url}}])
    made = contents(user("Draw"), shown, user("Bigger"))
    assert parts(made, 1)[0]["inlineData"]["data"] == "AAAA"


def test_the_parts_of_a_remembered_turn_come_back_as_they_were():
    native = [
        {"text": "Let me see.", "thoughtSignature": "t"},
        {"executableCode": {"language": "PYTHON", "code": "1"}},
        {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}},
        {"functionCall": {"name": "f", "args": {}}, "thoughtSignature": "c"},
    ]
    shown = "Let me see.\n```python\n1\n```\n"
    memories = dict(turns.records(native, shown, [{"id": "1"}]))
    made = contents(
        user("Hi"), assistant(shown, call("1", "f")), result("1", "ok"), memories=memories
    )
    assert parts(made, 1) == native


def test_a_turn_that_showed_no_text_is_remembered_with_its_call():
    native = [
        {"functionCall": {"name": "f", "args": {}}, "thoughtSignature": "c"},
        {"toolCall": {"id": "9", "toolType": "GOOGLE_SEARCH_WEB"}, "thoughtSignature": "s"},
    ]
    memories = dict(turns.records(native, "", [{"id": "1"}]))
    made = contents(
        user("Hi"), assistant(None, call("1", "f")), result("1", "ok"), memories=memories
    )
    assert parts(made, 1) == native


def test_the_reasoning_that_a_client_sends_back_does_not_go_up():
    thoughts = [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "Yes"}]
    made = contents(user("Hi"), assistant(thoughts, reasoning_content="hm"), user("Why?"))
    assert parts(made, 1) == [{"text": "Yes"}]


def test_media_stand_where_they_stood_with_their_settings():
    video = {
        "type": "video_url",
        "video_url": {"url": "x"},
        "video_metadata": {"start_offset": "1s", "fps": 2},
    }
    image = {"type": "image_url", "image_url": {"url": "x", "detail": "low"}}
    messages = [user([{"type": "text", "text": "See"}, video, image])]
    media = {
        (0, 1): Blob(None, uri="https://youtu.be/1"),
        (0, 2): Blob("image/png", uri="https://files/2"),
    }
    made = body(model=NEWEST, messages=messages, media=media)["contents"][0]["parts"]
    assert made == [
        {"text": "See"},
        {
            "fileData": {"fileUri": "https://youtu.be/1"},
            "videoMetadata": {"startOffset": "1s", "fps": 2},
        },
        {
            "fileData": {"mimeType": "image/png", "fileUri": "https://files/2"},
            "mediaResolution": {"level": "MEDIA_RESOLUTION_LOW"},
        },
    ]
    old = body(messages=messages, media=media)
    assert old["generationConfig"]["mediaResolution"] == "MEDIA_RESOLUTION_LOW"


def test_an_unknown_detail_asks_for_nothing():
    image = {"type": "image_url", "image_url": {"url": "x", "detail": "auto"}}
    made = contents(user([image]), media={(0, 0): BLOB}, model=NEWEST)
    assert "mediaResolution" not in parts(made)[0]


def test_arguments_that_are_no_text_and_nested_too_deeply_are_refused():
    deep = orjson.loads('{"a":' * 300 + "1" + "}" * 300)
    with pytest.raises(BadRequest) as caught:
        contents(user("Hi"), assistant(None, call("1", "f", deep)))
    assert caught.value.param == "messages"


def test_an_image_of_the_history_that_is_no_data_is_left_out():
    shown = assistant("Here", images=[{"image_url": "https://example.com/a.png"}])
    assert parts(contents(user("Draw"), shown, user("More")), 1) == [{"text": "Here"}]
