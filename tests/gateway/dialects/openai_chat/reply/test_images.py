import pytest

from tests.gateway.dialects.openai_chat.replying import (
    deltas,
    event,
    make_reply,
    message,
    run,
    stop,
)


def image(data="AAAA", mime="image/png", **fields):
    return {"inlineData": {"mimeType": mime, "data": data}, **fields}


def test_an_image_is_markdown_that_any_client_shows():
    answer = message([event("A cat:", image()), stop("Done.")])
    assert answer["content"] == "A cat:\n\n![image](data:image/png;base64,AAAA)\nDone."


@pytest.mark.parametrize(
    "setting",
    [
        {"payload": {"google": {"image_output": "images"}}},
        {"payload": {"extra_body": {"google": {"imageOutput": "images"}}}},
        {"image_output": "images"},
    ],
)
def test_images_come_beside_the_content_when_asked_for(setting):
    answer = message([event("A cat:", image()), stop(image("BBBB", "image/jpeg"))], **setting)
    assert answer["content"] == "A cat:"
    assert answer["images"] == [
        {"type": "image_url", "index": 0, "image_url": {"url": "data:image/png;base64,AAAA"}},
        {"type": "image_url", "index": 1, "image_url": {"url": "data:image/jpeg;base64,BBBB"}},
    ]


def test_drafts_are_hidden_behind_the_image():
    """Seen elsewhere: drafts that the model drew while thinking were taken for results."""
    answer = message(
        [event(image("DDDD", thought=True)), event(image("EEEE", thought=True)), stop(image())]
    )
    assert answer["content"] == "![image](data:image/png;base64,AAAA)\n"


def test_the_last_draft_is_the_image_when_there_is_no_other():
    drafts = [event(image("DDDD", thought=True), image("EEEE", thought=True)), stop()]
    assert deltas(run(make_reply(), drafts)) == [
        {"content": "![image](data:image/png;base64,EEEE)\n"}
    ]


def test_an_image_at_an_address_is_shown_from_there():
    file = {"fileData": {"mimeType": "image/png", "fileUri": "https://example.org/a.png"}}
    assert message([stop(file)])["content"] == "![image](https://example.org/a.png)\n"
