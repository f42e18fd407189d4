"""Thought signatures on their way back, in every form that clients carry them in."""

import re
from base64 import b64encode

import pytest

from gateway.features import BYPASS
from gateway.simulator.answers.media import picture, png
from gateway.simulator.answers.request import Request
from gateway.simulator.models import MODELS
from tests.running import settings_for

MODEL = "gemini-3.5-flash"
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
ASKED = {"role": "user", "content": "Look"}


def on_the_call(call, signature, name):
    google = {"thought_signature": signature}
    holders = {
        "google": {"extra_content": {"google": google}},
        "litellm": {"provider_specific_fields": google},
        "litellm_function": {"function": {**call["function"], "provider_specific_fields": google}},
        "litellm_id": {"id": f"{call['id']}__thought__{signature}"},
    }
    return {**call, **holders.get(name, {})}


def on_the_message(call, signature, name):
    return {
        "openrouter": {
            "reasoning_details": [
                {"type": "reasoning.encrypted", "id": call["id"], "data": signature}
            ]
        },
        "anthropic": {
            "thinking_blocks": [{"type": "thinking", "thinking": "", "signature": signature}]
        },
    }.get(name, {})


async def second_turn(gateway, call, signature, name, **fields):
    """Send the result of *call*, the signature in the form that *name* says."""
    carried = on_the_call(call, signature, name)
    turn = {"role": "assistant", "content": None, "tool_calls": [carried]}
    turn |= on_the_message(call, signature, name)
    result = {"role": "tool", "tool_call_id": carried["id"], "content": "ok"}
    messages = [ASKED, turn, result]
    return await gateway.whole(model=MODEL, messages=messages, tools=[TOOL], **fields)


async def called(gateway):
    """Return the call of a first turn as a client that knows OpenAI's fields alone keeps it."""
    _, body, _ = await gateway.whole(model=MODEL, messages=[ASKED], tools=[TOOL])
    [call] = body["choices"][0]["message"]["tool_calls"]
    signature = call.pop("extra_content")["google"]["thought_signature"]
    return call, signature


FORMS = ["google", "litellm", "litellm_function", "litellm_id", "openrouter", "anthropic"]


@pytest.mark.parametrize("name", FORMS)
async def test_a_gateway_without_memory_takes_what_the_client_carries(running, simulator, name):
    async with running(settings_for(simulator.url)) as gateway:
        call, signature = await called(gateway)
    async with running(settings_for(simulator.url)) as gateway:
        status, body, headers = await second_turn(gateway, call, signature, name)
    assert status == 200, body
    assert "x-gateway-adjusted" not in headers
    [part] = simulator.received[-1].body["contents"][1]["parts"]
    assert part["thoughtSignature"] == signature
    assert part["functionCall"]["id"] == call["id"]


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("foreign", ["Zm9yZWlnbg==", "Zm9y" * 100])
async def test_a_signature_of_another_model_is_replaced_once(running, simulator, name, foreign):
    call = {"id": "1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    async with running(settings_for(simulator.url)) as gateway:
        status, body, headers = await second_turn(gateway, call, foreign, name)
    assert status == 200, body
    assert headers["x-gateway-adjusted"] == "thought_signature=bypass;reason=invalid"
    assert [one.status for one in simulator.received] == [400, 200]


DRAWER = "gemini-3-pro-image"
SHOWN = re.compile(r"!\[image\]\((data:image/png;base64,[^)]*)\)")
DRAWINGS = {
    "alone": ("Draw", ["image"]),
    "two": ("Draw 2 images", ["image"]),
    "after_a_text": ("Draw", None),
    "before_a_text": ("Draw 2 images with a caption", None),
    "megabytes": ("Draw with a signature of 3000000 bytes", ["image"]),
}


def image_part(url):
    return {"type": "image_url", "image_url": {"url": url}}


def as_parts(message):
    """Return *message* with its Markdown images as parts, as clients that show them keep it."""
    pieces = SHOWN.split(message["content"])
    body = [
        image_part(piece) if at % 2 else {"type": "text", "text": piece.strip()}
        for at, piece in enumerate(pieces)
        if piece.strip()
    ]
    return {"role": "assistant", "content": body}


def as_one_text(message):
    return {"role": "assistant", "content": [{"type": "text", "text": message["content"]}]}


# How an unmodified client keeps a turn, and how it asked for its images.
KEPT = {
    "markdown": (lambda message: message, "markdown"),
    "images": (lambda message: message, "images"),
    "parts": (as_parts, "markdown"),
    "one_text": (as_one_text, "markdown"),
}


async def drawn(gateway, question, modalities, *, form, stream):
    """Return the message that a client keeps of a drawing."""
    fields = {
        "model": DRAWER,
        "messages": [{"role": "user", "content": question}],
        "extra_body": {"google": {"image_output": form}},
    } | ({"modalities": modalities} if modalities else {})
    if not stream:
        _, body, _ = await gateway.whole(**fields)
        answer = body["choices"][0]["message"]
        kept = {name: answer[name] for name in ("content", "images") if answer.get(name)}
        return {"role": "assistant", "content": None} | kept
    answer = await gateway.stream(**fields)
    assert answer.done
    images = [
        image
        for chunk in answer.chunks
        for choice in chunk["choices"]
        for image in choice["delta"].get("images") or ()
    ]
    kept = {"role": "assistant", "content": answer.text or None}
    return kept | ({"images": images} if images else {})


async def edited(gateway, simulator, message):
    """Send *message* back as a turn; give its parts as they went up."""
    messages = [
        {"role": "user", "content": "Draw"},
        message,
        {"role": "user", "content": "Bigger"},
    ]
    status, body, _ = await gateway.whole(model=DRAWER, messages=messages)
    assert status == 200, body
    assert [one.status for one in simulator.received] == [200, 200]
    return simulator.received[-1].body["contents"][1]["parts"]


def drawn_by_gemini(simulator):
    """Return the parts of the first answer."""
    request = Request(next(iter(simulator.received)).body, MODELS[DRAWER])
    parts = [part for chunk in picture(request) for part in chunk.parts]
    return [part for part in parts if not part.get("thought")]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("kept", KEPT)
@pytest.mark.parametrize("drawing", DRAWINGS)
async def test_a_drawn_turn_goes_back_as_gemini_made_it(running, simulator, drawing, kept, stream):
    keep, form = KEPT[kept]
    async with running(settings_for(simulator.url)) as gateway:
        message = await drawn(gateway, *DRAWINGS[drawing], form=form, stream=stream)
        parts = await edited(gateway, simulator, keep(message))
    assert parts == drawn_by_gemini(simulator)
    assert all("thoughtSignature" in part for part in parts)


def with_another_image(message, at):
    """Return *message* with the image at *at* replaced by one that Gemini did not draw."""
    found = SHOWN.findall(message["content"])
    other = "data:image/png;base64," + b64encode(png(99)).decode()
    return {**message, "content": message["content"].replace(found[at], other)}


@pytest.mark.parametrize("stream", [False, True])
async def test_only_the_image_that_was_changed_loses_its_signature(running, simulator, stream):
    async with running(settings_for(simulator.url)) as gateway:
        drawing = DRAWINGS["two"]
        message = await drawn(gateway, *drawing, form="markdown", stream=stream)
        parts = await edited(gateway, simulator, with_another_image(message, 0))
    changed, same = [part for part in parts if "inlineData" in part]
    assert changed["thoughtSignature"] == BYPASS
    assert same == drawn_by_gemini(simulator)[1]


async def test_images_whose_text_was_changed_keep_their_signatures(running, simulator):
    async with running(settings_for(simulator.url)) as gateway:
        message = await drawn(gateway, *DRAWINGS["after_a_text"], form="markdown", stream=False)
        message["content"] = message["content"].replace("Here is", "There was")
        text, image = await edited(gateway, simulator, message)
    assert text["text"].startswith("There was")
    assert "thoughtSignature" not in text
    assert image == drawn_by_gemini(simulator)[1]
