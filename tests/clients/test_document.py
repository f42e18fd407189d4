"""The examples of the API document, sent with curl as written: raw license header, streamed."""

import base64
import io
import json
import shutil
import subprocess
import wave

import pytest
from PIL import Image

from tests.running import streamed

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")


def png() -> str:
    file = io.BytesIO()
    Image.new("RGB", (4, 4), "red").save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def wav() -> str:
    file = io.BytesIO()
    with wave.open(file, "wb") as sound:
        sound.setparams((1, 2, 24_000, 0, "NONE", ""))
        sound.writeframes(b"\x00\x00" * 800)
    return base64.b64encode(file.getvalue()).decode()


# A movie's first box says what it is; nothing behind it is looked at.
MP4 = base64.b64encode(b"\x00\x00\x00\x18ftypmp42\x00\x00\x00\x00mp42isom" + b"\x00" * 64).decode()


def about(text: str, url: str) -> list:
    image = {"type": "image_url", "image_url": {"url": url}}
    return [{"role": "user", "content": [{"type": "text", "text": text}, image]}]


WEATHER = {
    "type": "function",
    "function": {
        "name": "get_current_weather",
        "description": "Get the current weather in a given location",
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
BOSTON = [{"role": "user", "content": "What is the weather like in Boston today?"}]
PRIMES = [{"role": "user", "content": "What is the sum of the first 50 prime numbers? Run code."}]
EXAMPLES = {
    "1 text": ({"messages": [{"role": "user", "content": "你是什么模型"}]}, "我是"),
    "2 image out": (
        {
            "messages": [{"role": "user", "content": "画小猫"}],
            "model": "gemini-2.0-flash-exp-image-generation",
        },
        "](data:image/png;base64,",
    ),
    "3 image in, bare": ({"messages": about("图片里面有什么内容", png())}, "image/png"),
    "3 image in, data URI": (
        {"messages": about("图片里面有什么内容", f"data:image/jpg;base64,{png()}")},
        "image/png",
    ),
    "4 sound in": ({"messages": about("音频里面讲了什么", wav())}, "audio/wav"),
    "5 video in": ({"messages": about("视频里面讲了什么", MP4)}, "video/mp4"),
    "6 functions": ({"messages": BOSTON, "tools": [WEATHER]}, None),
    "7 code": (
        {
            "messages": PRIMES,
            "tools": [{"type": "function", "function": {"name": "codeExecution"}}],
        },
        "```python",
    ),
}


def curl(base_url: str, payload: dict) -> bytes:
    command = ["curl", "-sS", "--location", "--request", "POST", f"{base_url}/chat/completions"]
    headers = ["--header", "Content-Type: application/json", "--header", "Authorization: demo"]
    raw = ["--data-raw", json.dumps(payload, ensure_ascii=False)]
    done = subprocess.run([*command, *headers, *raw], capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_of_the_document_works_as_written(base_url, name):
    payload, expected = EXAMPLES[name]
    payload = {"model": "gemini-2.0-flash", **payload}
    seen = streamed(curl(base_url, payload | {"stream": True}))
    whole = json.loads(curl(base_url, payload))["choices"][0]
    assert seen.chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert (seen.finish_reasons, seen.done, seen.error) == ([whole["finish_reason"]], True, None)
    assert seen.text == (whole["message"]["content"] or "")
    if expected is None:
        deltas = [c["delta"] for one in seen.chunks for c in one["choices"]]
        (call,) = [call for delta in deltas for call in delta.get("tool_calls", ())]
        (again,) = whole["message"]["tool_calls"]
        assert call["function"] == again["function"]
        assert json.loads(call["function"]["arguments"])["location"]
        assert whole["finish_reason"] == "tool_calls"
    else:
        assert expected in seen.text


MODELS = [
    "gemini-2.0-flash",
    "gemini-2.5-flash",
    "gemini-2.5-flash-preview-05-20",
    "gemini-2.5-flash-thinking",
    "gemini-2.5-pro",
    "gemini-2.5-pro-thinking",
]


@pytest.mark.parametrize("model", MODELS)
def test_every_model_of_the_document_answers_under_its_name(base_url, model):
    messages = [{"role": "user", "content": "echo hi"}]
    whole = json.loads(curl(base_url, {"model": model, "messages": messages}))
    assert whole["model"] == model
    assert "hi" in whole["choices"][0]["message"]["content"]
    thoughts = whole["choices"][0]["message"].get("reasoning_content")
    assert bool(thoughts) == model.endswith("-thinking")


def test_the_models_for_pictures_and_speech_answer_under_their_names(base_url):
    picture = "gemini-2.0-flash-preview-image-generation"
    messages = [{"role": "user", "content": "画小猫"}]
    whole = json.loads(curl(base_url, {"model": picture, "messages": messages}))
    assert "data:image/png" in whole["choices"][0]["message"]["content"]
    for speech in ("gemini-2.5-flash-preview-tts", "gemini-2.5-pro-preview-tts"):
        whole = json.loads(curl(base_url, {"model": speech, "messages": messages}))
        assert whole["choices"][0]["message"]["audio"]["data"]


@pytest.mark.parametrize(
    "license_",
    ["", "wrong", "x" * 100_000, "不存在的许可证"],
    ids=["empty", "wrong", "100KB", "zh"],
)
def test_a_license_that_is_none_is_a_401_whatever_its_size(base_url, license_):
    command = ["curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", f"{base_url}/models"]
    headers = f"Authorization: {license_}".encode()
    done = subprocess.run([*command, "-H", "@-"], input=headers, capture_output=True, timeout=30)
    assert done.stdout == b"401"
