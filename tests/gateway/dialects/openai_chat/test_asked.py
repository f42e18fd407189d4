import pytest

from gateway.dialects.openai_chat.asked import asked
from gateway.errors import BadRequest
from gateway.exchange import Known, UpstreamCall


def ask(payload, config=None):
    body = {"generationConfig": config} if config else {}
    call = UpstreamCall("gemini-2.5-flash", body, stream=True, names={"a": "b"})
    return asked(call, {"model": "m", "messages": [], **payload}, Known("x", image_output="images"))


def test_a_plain_request_asks_for_nothing_special():
    plain = ask({})
    assert (plain.thoughts, plain.usage, plain.legacy) == (False, False, False)
    assert (plain.images, plain.audio, plain.names) == ("images", "wav", {"a": "b"})


def test_a_form_of_images_that_does_not_exist_is_refused_by_name():
    for name in ("png", 5, ["images"]):
        with pytest.raises(BadRequest) as refused:
            ask({"google": {"image_output": name}})
        assert refused.value.param == "google.image_output"


def test_thoughts_are_shown_when_they_were_asked_for_upstream():
    assert ask({}, {"thinkingConfig": {"includeThoughts": True}}).thoughts
    assert not ask({}, {"thinkingConfig": None}).thoughts


def test_the_payload_says_how_the_answer_should_be():
    found = ask(
        {
            "stream_options": {"include_usage": True},
            "google": {"image_output": "markdown"},
            "audio": {"format": "mp3"},
            "tools": [{"type": "custom", "custom": {"name": "sql"}}, {"type": "function"}],
            "functions": [{"name": "f"}],
            "messages": [{"role": "user"}, {"role": "assistant", "tool_calls": [{"id": "c1"}, {}]}],
        }
    )
    assert (found.usage, found.images, found.audio) == (True, "markdown", "mp3")
    assert (found.customs, found.taken, found.legacy) == ({"sql"}, {"c1"}, False)
    assert ask({"functions": [{"name": "f"}]}).legacy
