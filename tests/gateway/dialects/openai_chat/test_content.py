"""Content as parts."""

import time

import pytest

from gateway.dialects.openai_chat.content import MOST_MARKS, split_images
from gateway.exchange import Blob
from tests.gateway.dialects.openai_chat.asking import (
    ask,
    assistant,
    body,
    contents,
    user,
)

NEWEST = "gemini-3.7-flash"
BLOB = Blob("image/png", "AAAA")


def parts(made, at=-1):
    return made[at]["parts"]


def test_an_image_in_the_models_own_markdown_is_sent_back_as_an_image():
    text = "Here: ![image](data:image/png;base64,AAAA) nice"
    made = contents(user("Draw"), assistant(text), user("Bigger"))
    assert parts(made, 1) == [
        {"text": "Here: "},
        {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
        {"text": " nice"},
    ]


@pytest.mark.parametrize(
    "text",
    ["![a](data:image/png;base64,AA", "](data:image/png;base64,AA)", "![a](data:image/png,AA)"],
)
def test_what_only_looks_like_an_image_stays_text(text):
    made = contents(user("Draw"), assistant(text), user("Bigger"))
    assert "".join(part["text"] for part in parts(made, 1)) == text


@pytest.mark.parametrize(
    "unit",
    ["![](data:image/", "](data:image/", "![](data:image/)", "![](data:image/png;base64,AAAA)"],
)
def test_a_text_full_of_marks_does_not_stop_the_others(unit):
    text = unit * (12_000_000 // len(unit)) + ")"
    began = time.process_time()
    made = list(split_images(text))
    assert time.process_time() - began < 0.5
    assert len([part for part in made if "inlineData" in part]) <= MOST_MARKS
    assert made[-1]["text"].endswith(unit + ")")


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
    made = body(model=NEWEST, messages=messages, media=media)["contents"][0]["parts"]
    assert made == [
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
    made = contents(user([image]), media={(0, 0): BLOB}, model=NEWEST)
    assert "mediaResolution" not in parts(made)[0]


@pytest.mark.parametrize(
    ("detail", "dropped"), [("auto", []), ("finest", ["messages[0].content[0].detail"])]
)
def test_a_detail_that_nobody_knows_is_named(detail, dropped):
    image = {"type": "image_url", "image_url": {"url": "u", "detail": detail}}
    _, notes = ask(messages=[user([image])], media={(0, 0): Blob("image/png", "AAAA")})
    assert list(notes.dropped) == dropped
