"""Results of calls as function responses."""

import pytest

from gateway.exchange import Blob
from tests.gateway.dialects.openai_chat.asking import (
    ask,
    assistant,
    call,
    contents,
    result,
    user,
)

NEWEST = "gemini-3.7-flash"
IMAGE = [{"type": "image_url", "image_url": {"url": "x"}}]
BLOB = Blob("image/png", "AAAA")


def parts(sent, at=-1):
    return sent[at]["parts"]


@pytest.mark.parametrize(
    ("text", "response"),
    [
        ('{"a": 1}', {"a": 1}),
        ("[1, 2]", {"output": "[1, 2]"}),
        ("plain", {"output": "plain"}),
        ("{not json", {"output": "{not json"}),
        ('{"$ref": "#/x"}', {"output": '{"$ref": "#/x"}'}),
        (r'{"a": {"$r\u0065f": 1}}', {"output": r'{"a": {"$r\u0065f": 1}}'}),
        ('{"a": "$ref"}', {"a": "$ref"}),
        ("", {"output": ""}),
        ('{"a":' * 200 + "1" + "}" * 200, {"output": '{"a":' * 200 + "1" + "}" * 200}),
    ],
)
def test_a_result_of_any_text_is_an_object(text, response):
    """Also one with a `$ref`, which Gemini would take for a reference (hermes#100441)."""
    sent = contents(user("Hi"), assistant(None, call("1", "f")), result("1", text))
    assert parts(sent)[0]["functionResponse"]["response"] == response


def test_an_image_in_a_result_goes_within_it_on_models_that_take_it():
    messages = [user("Hi"), assistant(None, call("1", "f")), result("1", IMAGE)]
    new = ask(model=NEWEST, messages=messages, media={(2, 0): BLOB})[0].body["contents"]
    inline = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}
    assert parts(new)[0]["functionResponse"]["parts"] == [inline]
    old = ask(messages=messages, media={(2, 0): BLOB})[0].body["contents"]
    assert parts(old) == [inline]
    assert "parts" not in parts(old, -2)[0]["functionResponse"]


@pytest.mark.parametrize("mime", ["audio/wav", "video/mp4", "text/csv", "image/heic"])
def test_what_gemini_refuses_within_a_result_follows_it(mime):
    messages = [user("Hi"), assistant(None, call("1", "f")), result("1", IMAGE * 2)]
    media = {(2, 0): Blob(mime, "AAAA"), (2, 1): BLOB}
    sent = ask(model=NEWEST, messages=messages, media=media)[0].body["contents"]
    within = parts(sent, -2)[0]["functionResponse"]["parts"]
    assert within == [{"inlineData": {"mimeType": "image/png", "data": "AAAA"}}]
    assert parts(sent) == [{"inlineData": {"mimeType": mime, "data": "AAAA"}}]


def test_an_image_in_a_result_keeps_the_resolution_that_was_asked_for():
    image = [{"type": "image_url", "image_url": {"url": "x", "detail": "high"}}]
    messages = [user("Hi"), assistant(None, call("1", "f")), result("1", image)]
    sent = ask(model=NEWEST, messages=messages, media={(2, 0): BLOB})[0].body["contents"]
    assert "parts" not in parts(sent, -2)[0]["functionResponse"]
    [shown] = parts(sent)
    assert shown["mediaResolution"] == {"level": "MEDIA_RESOLUTION_HIGH"}
