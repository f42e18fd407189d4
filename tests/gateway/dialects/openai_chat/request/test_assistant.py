"""An assistant message as a turn of the model."""

import orjson
import pytest

from gateway.dialects.openai_chat import turns
from gateway.dialects.openai_chat.reply.finish import refusal
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


def parts(turns_sent, at=-1):
    return turns_sent[at]["parts"]


def test_a_custom_call_has_its_text_as_input():
    custom = {"id": "1", "type": "custom", "custom": {"name": "c", "input": "free"}}
    sent = contents(user("Hi"), assistant(None, custom), result("1", "ok"))
    assert parts(sent, 1)[0]["functionCall"] == {"name": "c", "args": {"input": "free"}}


@pytest.mark.parametrize(
    ("arguments", "args"),
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
def test_arguments_are_always_an_object(arguments, args):
    sent = contents(user("Hi"), assistant(None, call("1", "f", arguments)), result("1", "ok"))
    assert parts(sent, 1)[0]["functionCall"]["args"] == args


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
    sent = body(messages=messages, memories=memories)["contents"]
    assert parts(sent, 1)[0]["functionCall"]["id"] == "native"
    assert parts(sent)[0]["functionResponse"]["id"] == "native"


@pytest.mark.parametrize(
    "carrier",
    [
        call("1", "f", extra_content={"google": {"thought_signature": "sig"}}),
        call("1", "f", provider_specific_fields={"thought_signature": "sig"}),
        call("1__thought__sig", "f"),
    ],
)
def test_a_signature_is_read_from_every_carrier_on_a_call(carrier):
    sent = contents(user("Hi"), assistant(None, carrier), result(carrier["id"], "ok"))
    assert parts(sent, 1)[0]["thoughtSignature"] == "sig"
    assert parts(sent)[0]["functionResponse"]["response"] == {"output": "ok"}


def test_a_signature_is_read_from_reasoning_details_and_thinking_blocks():
    details = [{"type": "reasoning.encrypted", "id": "1", "data": "sig"}]
    sent = contents(user("Hi"), assistant(None, call("1", "f"), reasoning_details=details))
    assert parts(sent, 1)[0]["thoughtSignature"] == "sig"
    blocks = [{"type": "thinking", "thinking": "...", "signature": "sig"}]
    sent = contents(user("Hi"), assistant("text", thinking_blocks=blocks), user("Go"))
    assert parts(sent, 1) == [{"text": "text", "thoughtSignature": "sig"}]
    texts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    sent = contents(user("Hi"), assistant(texts, thinking_blocks=blocks), user("Go"))
    assert parts(sent, 1) == [{"text": "a"}, {"text": "b", "thoughtSignature": "sig"}]
    sent = contents(user("Hi"), assistant(None, call("1", "f"), thinking_blocks=blocks))
    assert parts(sent, 1)[0]["thoughtSignature"] == "sig"


def test_a_miss_sends_the_bypass_on_the_first_call_of_a_step_from_gemini_3_on():
    messages = [user("Hi"), assistant(None, call("1", "a"), call("2", "b"))]
    sent = body(model="gemini-3-flash-preview", messages=messages)["contents"]
    signatures = [part.get("thoughtSignature") for part in parts(sent, 1)]
    assert signatures == [BYPASS, None]
    assert "thoughtSignature" not in parts(body(messages=messages)["contents"], 1)[0]


def test_images_of_the_history_are_sent_back_with_their_signature():
    """mscraftsman#147: editing needs the signature of each image."""
    url = "data:image/png;base64,AAAA"
    native = [{"inlineData": {"mimeType": "image/png", "data": "AAAA"}, "thoughtSignature": "c2ln"}]
    text = f"![image]({url})"
    memories = dict(turns.memory_entries(native, "", [], [turns.image_key("AAAA")]))
    sent = contents(user("Draw"), assistant(text), user("Bigger"), memories=memories)
    assert parts(sent, 1) == native
    image = {"type": "image_url", "image_url": {"url": url}}
    sent = contents(user("Draw"), assistant("", images=[image]), user("Bigger"), memories=memories)
    assert parts(sent, 1) == native
    media = {(1, 0): Blob("image/png", "AAAA")}
    history = [user("Draw"), assistant([image]), user("Bigger")]
    assert parts(contents(*history, memories=memories, media=media), 1) == native
    assert parts(contents(*history, media=media), 1) == [{"inlineData": native[0]["inlineData"]}]


def test_an_image_beside_text_leads_to_the_turn_that_is_remembered():
    image = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}, "thoughtSignature": "c2ln"}
    native = [image, {"text": "Here", "thoughtSignature": "dGV4"}]
    memories = dict(turns.memory_entries(native, "Here", [], [turns.image_key("AAAA")]))
    shown = assistant("Here", images=[{"image_url": {"url": "data:image/png;base64,AAAA"}}])
    sent = contents(user("Draw"), shown, user("Bigger"), memories=memories)
    assert parts(sent, 1) == native


def test_a_call_of_another_model_goes_without_its_signature():
    memories = {turns.call_key("1"): orjson.dumps({"s": "c2ln", "m": "gemini-3-pro-preview"})}
    messages = [user("Hi"), assistant(None, call("1", "f")), result("1", "ok")]
    sent, notes = ask(messages=messages, memories=memories)
    assert "thoughtSignature" not in parts(sent.body["contents"], 1)[0]
    assert notes.adjusted == {"thought_signature": "dropped;reason=other_model"}
    memories = {turns.call_key("1"): orjson.dumps({"m": "gemini-3-pro-preview"})}
    assert not ask(messages=messages, memories=memories)[1].adjusted


def test_an_image_of_another_model_goes_without_its_signature():
    native = [{"inlineData": {"mimeType": "image/png", "data": "AAAA"}, "thoughtSignature": "c2ln"}]
    origin = turns.Origin(model="gemini-3-pro-image")
    memories = dict(turns.memory_entries(native, "", [], [turns.image_key("AAAA")], origin))
    messages = [user("Draw"), assistant("![image](data:image/png;base64,AAAA)"), user("Bigger")]
    for model, signature in {"gemini-3-pro-image": "c2ln", "gemini-3-flash-image": BYPASS}.items():
        sent = body(model=model, messages=messages, memories=memories)["contents"]
        assert parts(sent, 1)[0]["thoughtSignature"] == signature
    del memories[turns.image_key("AAAA")]
    sent = body(model="gemini-3-pro-image", messages=messages, memories=memories)["contents"]
    assert parts(sent, 1)[0]["thoughtSignature"] == BYPASS


def test_the_parts_of_a_remembered_turn_come_back_as_they_were():
    native = [
        {"text": "Let me see.", "thoughtSignature": "dGV4"},
        {"executableCode": {"language": "PYTHON", "code": "1"}},
        {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1"}},
        {"functionCall": {"name": "f", "args": {}}, "thoughtSignature": "Y2Fs"},
    ]
    shown = "Let me see.\n```python\n1\n```\n"
    origin = turns.Origin(question="Hi")
    memories = dict(turns.memory_entries(native, shown, [{"id": "1"}], origin=origin))
    sent = contents(
        user("Hi"), assistant(shown, call("1", "f")), result("1", "ok"), memories=memories
    )
    assert parts(sent, 1) == native


def test_a_turn_that_showed_no_text_is_remembered_with_its_call():
    native = [
        {"functionCall": {"name": "f", "args": {}}, "thoughtSignature": "Y2Fs"},
        {"toolCall": {"id": "9", "toolType": "GOOGLE_SEARCH_WEB"}, "thoughtSignature": "c2ln"},
    ]
    memories = dict(turns.memory_entries(native, "", [{"id": "1"}]))
    sent = contents(
        user("Hi"), assistant(None, call("1", "f")), result("1", "ok"), memories=memories
    )
    assert parts(sent, 1) == native


def test_the_reasoning_that_a_client_sends_back_does_not_go_up():
    thoughts = [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "Yes"}]
    sent = contents(user("Hi"), assistant(thoughts, reasoning_content="hm"), user("Why?"))
    assert parts(sent, 1) == [{"text": "Yes"}]


def test_arguments_that_are_no_text_and_nested_too_deeply_are_refused():
    deep = orjson.loads('{"a":' * 300 + "1" + "}" * 300)
    with pytest.raises(BadRequest) as caught:
        contents(user("Hi"), assistant(None, call("1", "f", deep)))
    assert caught.value.param == "messages"


def test_an_image_of_the_history_that_is_no_data_is_left_out():
    shown = assistant("Here", images=[{"image_url": "https://example.com/a.png"}])
    assert parts(contents(user("Draw"), shown, user("More")), 1) == [{"text": "Here"}]


@pytest.mark.parametrize(
    ("model", "signature"),
    [
        ("gemini-3-pro-image", {"thoughtSignature": BYPASS}),
        ("gemini-2.5-flash-image", {}),
        ("gemini-3.5-flash", {}),
    ],
)
def test_an_image_that_nobody_remembers_gets_the_bypass_where_images_are_signed(model, signature):
    url = "data:image/png;base64,AAAA"
    history = [user("Draw"), assistant(f"Here\n\n![image]({url})\n"), user("Bigger")]
    sent = contents(*history, model=model)
    image = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}
    text, drawn = parts(sent, 1)
    assert text.keys() == {"text"}
    assert drawn == {**image, **signature}


def test_a_turn_without_text_and_ids_is_made_of_what_the_client_sent():
    """Something is remembered, but nothing that such a turn could be known by."""
    message = assistant(None, function_call={"name": "f", "arguments": "{}"})
    memories = {turns.text_key("another"): orjson.dumps({"t": [{"text": "another"}]})}
    call, _ = ask(messages=[user("Hi"), message], memories=memories)
    assert parts(call.body["contents"], 1) == [{"functionCall": {"name": "f", "args": {}}}]


def test_a_turn_without_text_is_known_by_its_call_without_an_id():
    invocation = {"toolCall": {"toolType": "FILE_SEARCH", "id": "t1"}, "thoughtSignature": "c2ln"}
    native = [invocation, {"functionCall": {"name": "f", "args": {}}}]
    origin = turns.Origin(occasion=turns.occasion([user("Hi")], 1))
    memories = dict(turns.memory_entries(native, "", [{"function": "f"}], origin=origin))
    message = assistant(None, function_call={"name": "f", "arguments": "{}"})
    call, _ = ask(messages=[user("Hi"), message], memories=memories)
    assert parts(call.body["contents"], 1) == native


def test_of_what_was_spoken_the_words_go_up():
    audio = {"id": "a", "data": "AAAA", "transcript": "It rains."}
    call, notes = ask(messages=[user("Hi"), assistant(None, audio=audio), user("So?")])
    assert parts(call.body["contents"], 1) == [{"text": "It rains."}]
    assert notes.adjusted == {"messages[1].audio": "transcript;reason=no_counterpart"}


def test_a_transcript_that_is_no_text_is_no_words():
    _, notes = ask(messages=[user("Hi"), assistant(audio={"id": "a", "transcript": 5}), user("?")])
    assert list(notes.dropped) == ["messages[1].audio"]


def test_words_that_were_written_and_spoken_go_back_once():
    audio = {"id": "a", "data": "AAAA", "transcript": "It rains."}
    call, notes = ask(messages=[user("Hi"), assistant("It rains.", audio=audio), user("Go")])
    assert parts(call.body["contents"], 1) == [{"text": "It rains."}]
    assert "messages[1].audio" in notes.dropped


def test_native_parts_that_come_back_are_named_unless_they_are_remembered():
    video = {"inlineData": {"mimeType": "video/mp4", "data": "AAAA"}}
    invocation = {"toolCall": {"toolType": "FILE_SEARCH", "id": "t1"}, "thoughtSignature": "c2ln"}
    native = [invocation, {"text": "Here"}, video]
    memories = dict(turns.memory_entries(native, "Here", [], origin=turns.Origin(question="Hi")))
    shown = assistant("Here", native_parts=[{**invocation, "index": 0}, {**video, "index": 1}])
    call, notes = ask(messages=[user("Hi"), shown, user("Go")], memories=memories)
    assert parts(call.body["contents"], 1) == [invocation, {"text": "Here"}]
    assert list(notes.dropped) == ["messages[1].native_parts[1]"]


def test_the_gateways_own_refusal_is_none_of_geminis_words():
    withheld = refusal("SAFETY", None, [])
    sent = contents(user("Hi"), assistant("So far", refusal=withheld), user("Go"))
    assert parts(sent, 1) == [{"text": "So far"}]
    sent = contents(user("Hi"), assistant(refusal=withheld), user("Go"))
    assert parts(sent, 1) == [{"text": withheld}]
    sent = contents(user("Hi"), assistant("So far", refusal="I cannot."), user("Go"))
    assert parts(sent, 1) == [{"text": "So far"}, {"text": "I cannot."}]


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"audio": {"id": "a"}}, "messages[1].audio"),
        ({"audio": {"id": "a", "transcript": 5}}, "messages[1].audio"),
        ({"images": [{"image_url": {"url": "https://a.example/i.png"}}]}, "messages[1].images[0]"),
        ({"name": "someone"}, "messages[1].name"),
        ({"native_parts": [{"toolCall": {"id": "t"}}]}, "messages[1].native_parts[0]"),
    ],
)
def test_what_of_a_turn_cannot_go_up_is_named(fields, name):
    _, notes = ask(messages=[user("Hi"), assistant("text", **fields), user("So?")])
    assert list(notes.dropped) == [name]
