"""Images, sound and video on their way in, and what a model draws and says on its way out."""

import os
from base64 import b64decode, b64encode

import pytest
from PIL import Image

from tests.gateway.media import web
from tests.gateway.media.samples import sample
from tests.running import settings_for
from tests.symptoms.reply import ask, says

pytestmark = pytest.mark.usefixtures("impatient")
TEXT = {"type": "text", "text": "What is it?"}
DRAWING = "gemini-3-pro-image"


def image(url: str) -> dict:
    return {"type": "image_url", "image_url": {"url": url}}


def data_url(data: bytes, mime: str) -> str:
    return f"data:{mime};base64,{b64encode(data).decode()}"


def about(*parts: dict) -> list[dict]:
    return [{"role": "user", "content": [TEXT, *parts]}]


def uploaded(body: dict) -> list[dict]:
    """Return what went up beside the text."""
    return body["contents"][0]["parts"][1:]


@pytest.mark.parametrize("mime", ["image/jpg", "image/pjpeg", "jpg", "png", "image/png", ""])
async def test_the_bytes_decide_the_type_of_an_image(gateway, simulator, streaming, mime):
    """Whatever type is declared, Gemini is told the true one.

    Reported in cherry-studio#3088, obsidian#1238, crush#995, gemini_ex#11.
    """
    data = sample("jpeg")
    messages = about(image(data_url(data, mime)))
    reply = await ask(gateway, streaming=streaming, messages=messages)
    assert reply.status == 200
    [part] = uploaded(simulator.received[-1].body)
    assert part["inlineData"]["mimeType"] == "image/jpeg"
    assert b64decode(part["inlineData"]["data"]) == data


async def test_a_gif_is_refused_by_its_name(gateway, simulator, streaming, tmp_path):
    """The message names the format and those that are taken; nothing goes up.

    Reported in vscode#286628, MaiBot#1435, new-api#1139.
    """
    Image.new("RGB", (4, 4)).save(tmp_path / "a.gif")
    url = data_url((tmp_path / "a.gif").read_bytes(), "image/gif")
    reply = await ask(gateway, streaming=streaming, messages=about(image(url)))
    assert (reply.status, reply.error["code"]) == (400, "unsupported_media_format")
    assert reply.error["param"] == "messages[0].content[1].image_url"
    for word in ("gif", "png", "jpeg", "webp"):
        assert word in reply.error["message"].lower()
    assert not simulator.received


async def test_a_video_goes_up_as_one(gateway, simulator, streaming):
    """Reported in BerriAI/litellm#30501, Portkey#635, GoModel#1021."""
    data = sample("mp4")
    part = {"type": "video_url", "video_url": {"url": data_url(data, "video/mp4")}}
    reply = await ask(gateway, streaming=streaming, messages=about(part))
    assert reply.status == 200
    [sent] = uploaded(simulator.received[-1].body)
    assert sent["inlineData"]["mimeType"] == "video/mp4"
    assert b64decode(sent["inlineData"]["data"]) == data


@pytest.mark.parametrize("kind", ["video_url", "image_url", "file"])
async def test_a_youtube_video_goes_up_without_a_type(gateway, simulator, streaming, kind):
    """Gemini refuses it as application/octet-stream, and finds the type by itself.

    Reported in req_llm#433, llm-gemini#62.
    """
    url = "https://www.youtube.com/watch?v=dQw4w9WgXcQ"
    part = {"type": kind, kind: {"file_url" if kind == "file" else "url": url}}
    reply = await ask(gateway, streaming=streaming, messages=about(part))
    assert reply.status == 200
    assert uploaded(simulator.received[-1].body) == [{"fileData": {"fileUri": url}}]


async def test_a_large_video_goes_through_the_files_api_and_is_waited_for(
    running, simulator, streaming
):
    """It is asked about once Gemini has processed it, and uploaded once for all who send it.

    Reported in BerriAI/litellm#7338, googleapis/python-genai#2191, googleapis/python-genai#864.
    """
    data = sample("mp4") + os.urandom(400_000)
    messages = about({"type": "video_url", "video_url": {"url": data_url(data, "video/mp4")}})
    settings = settings_for(simulator.url, media={"upload_above_bytes": 100_000})
    async with running(settings) as gateway:
        for _ in range(2):
            reply = await ask(gateway, streaming=streaming, messages=messages)
            assert reply.status == 200, reply.error
    paths = [one.path for one in simulator.received]
    uploads = [path for path in paths if path.startswith("/upload/")]
    *before, first, second = paths
    assert first == second
    assert "enerateContent" in first
    assert uploads
    assert before[-1].startswith("/v1beta/files/"), "it was PROCESSING before"
    [part], [again] = (uploaded(one.body) for one in list(simulator.received)[-2:])
    assert part == again
    assert part["fileData"]["mimeType"] == "video/mp4"
    assert part["fileData"]["fileUri"].endswith(before[-1])


PAGE = web.answer(b"<html>Not found</html>", headers="Content-Type: text/html\r\n")
URLS = {
    "forbidden": (web.answer(b"no", status="403 Forbidden"), "invalid_image_url"),
    "missing": (web.answer(b"no", status="404 Not Found"), "invalid_image_url"),
    "a page": (PAGE, "unsupported_media_format"),
    "slow": (web.drip, "invalid_image_url"),
    "silent": (web.silence, "invalid_image_url"),
    "endless": (web.flood(web.ENDLESS), "media_too_large"),
    "huge": (web.flood(web.HUGE), "media_too_large"),
    "to a private address": (web.redirect("http://10.0.0.1/a.png"), "invalid_image_url"),
    "to another scheme": (web.redirect("file:///etc/passwd"), "invalid_image_url"),
    "in a circle": (web.redirect("/"), "invalid_image_url"),
}


@pytest.mark.parametrize("name", URLS)
async def test_an_address_without_an_image_is_refused(running, simulator, streaming, name):
    """The message tells what to change, names no inner address, and nothing goes up."""
    handler, code = URLS[name]
    async with web.running({"/": handler}) as server:
        host = f"127.0.0.1:{server.port}"
        media = {"allow_hosts": [host], "timeout_s": 0.5, "max_item_bytes": 1_000_000}
        async with running(settings_for(simulator.url, media=media)) as gateway:
            messages = about(image(f"http://{host}/"))
            reply = await ask(gateway, streaming=streaming, messages=messages)
    assert (reply.status, reply.error["code"]) == (400, code)
    assert reply.error["param"].startswith("messages[0].content[1].image_url")
    assert "10.0.0.1" not in reply.error["message"]
    assert not simulator.received


async def test_an_address_that_moved_is_followed_three_times(running, simulator, streaming):
    ways = {f"/{n}": web.redirect(f"/{n + 1}", 301 + n % 3) for n in range(4)}
    async with web.running({**ways, "/4": web.answer(sample("png"))}) as server:
        host = f"127.0.0.1:{server.port}"
        settings = settings_for(simulator.url, media={"allow_hosts": [host]})
        async with running(settings) as gateway:
            messages = about(image(f"http://{host}/0"))
            reply = await ask(gateway, streaming=streaming, messages=messages)
            assert (reply.status, reply.error["code"]) == (400, "invalid_image_url")
            messages = about(image(f"http://{host}/1"))
            reply = await ask(gateway, streaming=streaming, messages=messages)
    assert reply.status == 200, reply.error
    [part] = uploaded(simulator.received[-1].body)
    assert part["inlineData"]["mimeType"] == "image/png"


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "[::1]", "0x7f.1", "localhost"]
)
async def test_no_private_address_is_asked_for_an_image(gateway, simulator, streaming, address):
    """Gateways were broken into like this."""
    messages = about(image(f"http://{address}/latest/meta-data"))
    reply = await ask(gateway, streaming=streaming, messages=messages)
    assert (reply.status, reply.error["code"]) == (400, "invalid_image_url")
    assert not simulator.received


def drawn(data: str, **more) -> dict:
    return {"inlineData": {"mimeType": "image/png", "data": data}, **more}


DRAFTS = [drawn("AAAA", thought=True), drawn("BBBB", thought=True)]


@pytest.mark.parametrize(
    ("parts", "shown"),
    [
        ([*DRAFTS, drawn("CCCC")], ["CCCC"]),
        ([*DRAFTS, {"text": "Here: "}, drawn("CCCC"), drawn("DDDD")], ["CCCC", "DDDD"]),
        (DRAFTS, ["BBBB"]),
    ],
    ids=["one image", "text and two images", "nothing but drafts"],
)
@pytest.mark.parametrize("output", ["markdown", "images"])
async def test_drafts_are_hidden_unless_nothing_else_comes(
    scripted, streaming, parts, shown, output
):
    """Models that think draw drafts first; the last one counts where they stop at them.

    Reported in BerriAI/litellm#24864, pydantic-ai#8643, vercel/ai#11461, banana-slides#105,
    Lixpi#136.
    """
    events = [*(says(part) for part in parts), says(finish="STOP")]
    async with scripted(events) as (gateway, _):
        google = {"image_output": output}
        reply = await ask(gateway, streaming=streaming, model=DRAWING, google=google)
    urls = [f"data:image/png;base64,{data}" for data in shown]
    if output == "images":
        assert [one["image_url"]["url"] for one in reply.message["images"]] == urls
    else:
        assert [one.partition(")")[0] for one in reply.text.split("](")[1:]] == urls
    assert reply.finish_reason == "stop"


async def test_an_answer_without_the_image_says_so(scripted, streaming):
    """What the model wrote instead arrives, with Gemini's reason and its message beside it.

    Reported in Gemini-FastAPI#129.
    """
    end = says(finish="NO_IMAGE", finishMessage="Unable to show the generated image.")
    async with scripted([says({"text": "I cannot draw that."}), end]) as (gateway, _):
        reply = await ask(gateway, streaming=streaming, model=DRAWING)
    assert reply.text == "I cannot draw that."
    assert (reply.finish_reason, reply.choice["native_finish_reason"]) == ("stop", "NO_IMAGE")
    assert reply.choice["finish_message"] == "Unable to show the generated image."


async def test_an_answer_with_nothing_in_it_is_an_error(scripted, streaming):
    """Reported in Gemini-FastAPI#129."""
    end = says(finish="NO_IMAGE", finishMessage="Unable to show the generated image.")
    async with scripted([end]) as (gateway, _):
        reply = await ask(gateway, streaming=streaming, model=DRAWING)
    assert reply.error["code"] == "upstream_empty"
    assert "NO_IMAGE" in reply.error["message"]


@pytest.mark.parametrize(
    ("name", "magic"), [("mp3", b"\xff\xf3"), ("wav", b"RIFF"), ("vorbis", None)]
)
async def test_speech_has_the_format_that_was_asked_for_or_is_refused(
    gateway, simulator, streaming, name, magic
):
    """Nothing is delivered under the name of another format.

    Reported in BerriAI/litellm#38868, BerriAI/litellm#38819, openai-gemini#81.
    """
    reply = await ask(
        gateway,
        streaming=streaming,
        model="gemini-3.8-flash-tts",
        modalities=["audio"],
        audio={"voice": "alloy", "format": name},
    )
    if magic is None:
        assert (reply.status, reply.error["param"]) == (400, "audio.format")
        assert not simulator.received
    elif streaming:
        deltas = [one["delta"] for chunk in reply.chunks for one in chunk["choices"]]
        sound = b"".join(b64decode(one["audio"]["data"]) for one in deltas if "audio" in one)
        assert sound.startswith(magic)
    else:
        assert b64decode(reply.message["audio"]["data"]).startswith(magic)
