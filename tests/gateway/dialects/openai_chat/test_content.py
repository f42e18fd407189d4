"""Content as parts."""

import pytest

from gateway.exchange import Blob
from tests.gateway.dialects.openai_chat.asking import (
    ask,
    body,
    contents,
    user,
)

NEWEST = "gemini-3.7-flash"
BLOB = Blob("image/png", "AAAA")


def parts(sent, at=-1):
    return sent[at]["parts"]


def test_media_stand_where_they_stood_with_their_settings():
    video = {
        "type": "video_url",
        "video_url": {"url": "x"},
        "video_metadata": {"start_offset": "1s", "fps": 2},
    }
    image = {"type": "image_url", "image_url": {"url": "x", "detail": "low"}}
    messages = [user([{"type": "text", "text": "See"}, video, image])]
    media = {
        (0, 1): Blob(None, uri="https://youtu.be/1"),
        (0, 2): Blob("image/png", uri="https://files/2"),
    }
    sent = body(model=NEWEST, messages=messages, media=media)["contents"][0]["parts"]
    assert sent == [
        {"text": "See"},
        {
            "fileData": {"fileUri": "https://youtu.be/1"},
            "videoMetadata": {"startOffset": "1s", "fps": 2},
        },
        {
            "fileData": {"mimeType": "image/png", "fileUri": "https://files/2"},
            "mediaResolution": {"level": "MEDIA_RESOLUTION_LOW"},
        },
    ]
    old = body(messages=messages, media=media)
    assert old["generationConfig"]["mediaResolution"] == "MEDIA_RESOLUTION_LOW"


def test_an_unknown_detail_asks_for_nothing():
    image = {"type": "image_url", "image_url": {"url": "x", "detail": "auto"}}
    sent = contents(user([image]), media={(0, 0): BLOB}, model=NEWEST)
    assert "mediaResolution" not in parts(sent)[0]


@pytest.mark.parametrize(
    ("detail", "dropped"), [("auto", []), ("finest", ["messages[0].content[0].detail"])]
)
def test_a_detail_that_nobody_knows_is_named(detail, dropped):
    image = {"type": "image_url", "image_url": {"url": "u", "detail": detail}}
    _, notes = ask(messages=[user([image])], media={(0, 0): Blob("image/png", "AAAA")})
    assert list(notes.dropped) == dropped
