"""The seven kinds of request with `curl` and the bare license: as a stream, and as a whole."""

import base64
import json
import re

import pytest

from tests.demo_process import shell
from tests.gateway.media.samples import TAKEN, sample
from tests.running import streamed

MODEL = "gemini-2.0-flash"
QUESTION = {"type": "text", "text": "What is in this?"}
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_current_weather",
        "parameters": {
            "type": "object",
            "properties": {
                "location": {"type": "string"},
                "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
            },
            "required": ["location"],
        },
    },
}
CODE = {"type": "function", "function": {"name": "codeExecution"}}


def seen(kind: str, *, bare: bool = False) -> dict:
    """Give a question about a file of *kind*, as data URL or as *bare* base64."""
    mime, content = TAKEN[kind][0], sample(kind)
    encoded = base64.b64encode(content).decode()
    url = encoded if bare else f"data:{mime};base64,{encoded}"
    part = {"type": "image_url", "image_url": {"url": url}}
    return {"messages": [{"role": "user", "content": [QUESTION, part]}]}


def asked(text: str, **more) -> dict:
    return {"messages": [{"role": "user", "content": text}], **more}


EXAMPLES = {
    "chat": asked("Which model are you?"),
    "drawing": asked("Draw a kitten", model="gemini-2.0-flash-exp-image-generation"),
    "picture": seen("png"),
    "picture in bare base64": seen("png", bare=True),
    "sound": seen("wav"),
    "sound in bare base64": seen("wav", bare=True),
    "film": seen("mp4"),
    "film in bare base64": seen("mp4", bare=True),
    "function": asked("What is the weather like in Boston?", tools=[WEATHER], tool_choice="auto"),
    "code": asked("Sum the first 50 primes. Run code.", tools=[CODE]),
}


def curl(base_url: str, folder, payload: dict) -> bytes:
    (folder / "body.json").write_text(json.dumps({"model": MODEL} | payload))
    return shell(
        f"curl --silent --location --request POST '{base_url}/chat/completions' "
        "--header 'Content-Type: application/json' --header 'Authorization: demo' "
        "--data-binary @body.json",
        folder,
    ).encode()


def told(choice: dict) -> list:
    """Give what a message says, without ids that differ from answer to answer."""
    calls = [call["function"] for call in choice.get("tool_calls") or ()]
    content = re.sub(r"call_\w+", "", choice.get("content") or "")
    return [content, [(call["name"], json.loads(call["arguments"])) for call in calls]]


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_stream_opens_ends_and_says_what_the_whole_answer_says(base_url, tmp_path, name):
    stream = streamed(curl(base_url, tmp_path, EXAMPLES[name] | {"stream": True}))
    whole = json.loads(curl(base_url, tmp_path, EXAMPLES[name]))
    assert stream.error is None
    assert stream.done
    assert stream.chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert stream.finish_reasons == [whole["choices"][0]["finish_reason"]]
    deltas = [choice["delta"] for chunk in stream.chunks for choice in chunk["choices"]]
    calls = [call for delta in deltas for call in delta.get("tool_calls") or ()]
    assert told({"content": stream.text, "tool_calls": calls}) == told(
        whole["choices"][0]["message"]
    )
    assert stream.text or calls
