import pytest

from gateway.dialects.openai_chat.reply.options import reply_options
from gateway.errors import BadRequest
from gateway.exchange import Known, UpstreamCall


def ask(payload, config=None):
    body = {"generationConfig": config} if config else {}
    call = UpstreamCall("gemini-2.5-flash", body, stream=True, names={"a": "b"})
    return reply_options(
        call, {"model": "m", "messages": [], **payload}, Known("x", image_output="images")
    )


def test_a_plain_request_asks_for_nothing_special():
    plain = ask({})
    assert (plain.include_thoughts, plain.include_usage, plain.legacy_functions) == (
        False,
        False,
        False,
    )
    assert (plain.image_output, plain.audio_format, plain.function_names) == (
        "images",
        "wav",
        {"a": "b"},
    )


def test_a_form_of_images_that_does_not_exist_is_refused_by_name():
    for name in ("png", 5, ["images"]):
        with pytest.raises(BadRequest) as refused:
            ask({"google": {"image_output": name}})
        assert refused.value.param == "google.image_output"


def test_thoughts_are_shown_when_they_were_asked_for_upstream():
    assert ask({}, {"thinkingConfig": {"includeThoughts": True}}).include_thoughts
    assert not ask({}, {"thinkingConfig": None}).include_thoughts


def test_the_payload_says_how_the_answer_should_be():
    options = ask(
        {
            "stream_options": {"include_usage": True},
            "google": {"image_output": "markdown"},
            "audio": {"format": "mp3"},
            "tools": [{"type": "custom", "custom": {"name": "sql"}}, {"type": "function"}],
            "functions": [{"name": "f"}],
            "messages": [{"role": "user"}, {"role": "assistant", "tool_calls": [{"id": "c1"}, {}]}],
        }
    )
    assert (options.include_usage, options.image_output, options.audio_format) == (
        True,
        "markdown",
        "mp3",
    )
    assert (options.custom_tools, options.earlier_call_ids, options.legacy_functions) == (
        {"sql"},
        {"c1"},
        False,
    )
    assert ask({"functions": [{"name": "f"}]}).legacy_functions


def test_calls_in_messages_of_others_are_no_calls():
    for calls in (5, "x", ["x"], [{"id": []}]):
        messages = [{"role": "user", "content": "x", "tool_calls": calls}]
        assert ask({"messages": messages}).earlier_call_ids == frozenset()
