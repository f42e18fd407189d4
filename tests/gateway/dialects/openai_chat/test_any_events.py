"""Whatever valid events Gemini sends, the openai SDK's types take what comes of them."""

from copy import deepcopy

from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from tests.gateway.dialects.openai_chat.drawn import EVENTS, EVIDENCE, PARTS, PAYLOADS
from tests.gateway.dialects.openai_chat.replying import event, frames, make_reply, run, stop, whole

ENDING = {
    "candidates": [
        {"finishReason": "STOP", "content": {"parts": [{"text": "."}]}, "index": index}
        for index in range(3)
    ]
}


def known_to_the_sdk(chunk):
    """Return *chunk* without calls of free-text tools: OpenAI streams them, the SDK has no type."""
    for choice in chunk["choices"]:
        delta = choice["delta"]
        if all(call["type"] == "custom" for call in delta.get("tool_calls", ())):
            choice["delta"] = {k: v for k, v in delta.items() if k != "tool_calls"}
    return chunk


@settings(max_examples=300, deadline=None)
@given(st.lists(EVENTS, max_size=5), PAYLOADS)
def test_any_valid_events_give_what_the_sdk_takes_streamed_and_whole(events, payload):
    """Both forms say the same, and the stream keeps the order that clients rely on."""
    reply = make_reply(payload)
    chunks = run(reply, [*events, ENDING])
    sent_frames = frames(reply.encode(chunks))
    for one in sent_frames:
        ChatCompletionChunk.model_validate(known_to_the_sdk(deepcopy(one)))
    answer = reply.collect(chunks)
    parsed = ChatCompletion.model_validate(answer)
    assert reply.collect(sent_frames) == answer
    for choice in parsed.choices:
        of_choice = [c for one in sent_frames for c in one["choices"] if c["index"] == choice.index]
        assert of_choice[0]["delta"] == {"role": "assistant", "content": ""}
        assert [c["finish_reason"] for c in of_choice if c["finish_reason"]] == [
            choice.finish_reason
        ]
        assert of_choice[-1]["delta"] == {}
        text = "".join(c["delta"].get("content") or "" for c in of_choice)
        assert text == (choice.message.content or "")
        for annotation in choice.message.annotations or ():
            place = annotation.url_citation
            assert 0 <= place.start_index <= place.end_index <= len(text)
        calls = [call for c in of_choice for call in c["delta"].get("tool_calls", ())]
        assert [call["index"] for call in calls][: len(calls)] == sorted(
            call["index"] for call in calls
        )
        assert len({call["id"] for call in calls}) == len(calls)


@settings(max_examples=200, deadline=None)
@given(st.lists(PARTS, max_size=8), EVIDENCE, PAYLOADS)
def test_a_stream_says_what_the_whole_answer_says(parts, evidence, payload):
    """Upstream answers at once with one event that holds all parts; then nothing else differs."""
    at_once = whole([stop(*parts, ".", **evidence)], payload)
    streamed = [*map(event, parts), event("."), stop(**evidence)]
    assert whole(streamed, payload) == at_once
