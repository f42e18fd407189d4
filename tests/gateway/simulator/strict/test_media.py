import pytest

from tests.gateway.simulator.strict.asking import refusal


def inline(mime, data="AAAA"):
    return {"inlineData": {"mimeType": mime, "data": data}}


def file(uri, mime=None):
    return {"fileData": {"fileUri": uri, **({"mimeType": mime} if mime else {})}}


def said(part, model="gemini-2.5-flash"):
    return refusal({"contents": [{"parts": [part]}]}, model)


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (inline("image/jpg"), "Unsupported MIME type: image/jpg"),
        (inline("image/gif"), "Unsupported MIME type: image/gif"),
        (inline("image/svg+xml"), "Unsupported MIME type"),
        (inline("application/octet-stream"), "Unsupported MIME type"),
        (inline(""), "Unsupported MIME type"),
        (inline("image/png", ""), "must not be empty"),
        (file("https://youtu.be/a", "application/octet-stream"), "Unsupported MIME type"),
        (file("https://www.youtube.com/watch?v=a", "image/png"), "Unsupported MIME type"),
        (file(""), "file_uri must not be empty"),
        (
            {**inline("image/png"), "mediaResolution": {"level": "MEDIA_RESOLUTION_LOW"}},
            "Per part media resolution",
        ),
    ],
)
def test_media_that_gemini_does_not_take_are_refused(part, message):
    assert message in said(part)


@pytest.mark.parametrize(
    "part",
    [
        inline("image/png"),
        inline("image/heic"),
        inline("audio/L16;codec=pcm;rate=24000"),
        inline("application/pdf"),
        file("https://youtu.be/a"),
        file("https://example.com/a.mp4", "video/mp4"),
        {**inline("video/mp4"), "videoMetadata": {"startOffset": "1.5s", "fps": 2}},
    ],
)
def test_media_that_gemini_takes_are_accepted(part):
    assert said(part) is None


def test_speech_models_take_only_text():
    body = {
        "contents": [{"parts": [inline("image/png")]}],
        "generationConfig": {"responseModalities": ["AUDIO"]},
    }
    assert "only text" in refusal(body, "gemini-3.8-flash-tts")


def test_pictures_within_function_results_are_checked_too():
    contents = [
        {"role": "user", "parts": [{"text": "look"}]},
        {"role": "model", "parts": [{"functionCall": {"name": "f"}}]},
        {
            "role": "user",
            "parts": [{"functionResponse": {"name": "f", "parts": [inline("image/gif")]}}],
        },
    ]
    assert "Unsupported MIME type: image/gif" in refusal({"contents": contents})
