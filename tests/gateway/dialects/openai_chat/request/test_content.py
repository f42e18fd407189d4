"""Content as parts."""

import pytest

from gateway.errors import BadRequest
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
    messages = [user([{"type": "text", "text": "See"}, image])]
    old = body(messages=messages, media={(0, 1): BLOB})
    assert old["generationConfig"]["mediaResolution"] == "MEDIA_RESOLUTION_LOW"


def test_the_address_of_an_input_image_may_hold_settings_of_its_own():
    holder = {"url": "x", "detail": "high", "colour": 1}
    messages = [user([{"type": "input_image", "image_url": holder}])]
    call, notes = ask(model=NEWEST, messages=messages, media={(0, 0): BLOB})
    [part] = call.body["contents"][0]["parts"]
    assert part["mediaResolution"] == {"level": "MEDIA_RESOLUTION_HIGH"}
    assert list(notes.dropped) == ["messages[0].content[0].image_url.colour"]


@pytest.mark.parametrize(
    ("details", "sent", "adjusted"),
    [
        (["low"], "LOW", {}),
        (["low", None], None, {0: "auto"}),
        (["auto", "low"], None, {1: "auto"}),
        (["low", "medium"], "MEDIUM", {0: "medium"}),
        (["low", "high", None], "HIGH", {0: "high"}),
        (["original", "high"], "HIGH", {0: "high"}),
        ([None], None, {}),
    ],
)
def test_one_resolution_for_all_media_is_coarser_for_none_of_them(details, sent, adjusted):
    parts = [
        {"type": "image_url", "image_url": {"url": "x", "detail": detail}} for detail in details
    ]
    media = {(0, at): BLOB for at in range(len(parts))}
    call, notes = ask(messages=[user(parts)], media=media)
    level = call.body.get("generationConfig", {}).get("mediaResolution")
    assert level == (sent and f"MEDIA_RESOLUTION_{sent}")
    assert notes.adjusted == {
        f"messages[0].content[{at}].detail": f"{word};reason=model" for at, word in adjusted.items()
    }


def test_a_native_resolution_overrides_those_of_parts_and_that_is_noted():
    parts = [{"type": "image_url", "image_url": {"url": "x"}, "detail": "high"}]
    google = {"media_resolution": "MEDIA_RESOLUTION_LOW"}
    call, notes = ask(messages=[user(parts)], media={(0, 0): BLOB}, google=google)
    assert call.body["generationConfig"]["mediaResolution"] == "MEDIA_RESOLUTION_LOW"
    assert notes.adjusted == {"messages[0].content[0].detail": "low;reason=model"}


def test_how_a_video_is_processed_is_sent_with_it():
    video = {"type": "video_url", "video_url": {"url": "x"}, "media_processing": "static"}
    media = {(0, 0): Blob(None, uri="https://youtu.be/1")}
    [part] = contents(user([video]), media=media, model=NEWEST)[0]["parts"]
    assert part["mediaProcessing"] == "STATIC"
    with pytest.raises(BadRequest) as caught:
        ask(messages=[user([{**video, "media_processing": "fast"}])], media=media)
    assert caught.value.param == "messages[0].content[0].media_processing"


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
