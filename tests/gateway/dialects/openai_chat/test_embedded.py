"""Images within the texts of an answer that comes back."""

import time

import pytest

from gateway.dialects.openai_chat import embedded
from gateway.dialects.openai_chat.embedded import MAX_IMAGES, ImageBudget, split_images
from gateway.dialects.openai_chat.request import memory_keys
from tests.gateway.dialects.openai_chat.asking import ask, assistant, contents, user

URL = "data:image/png;base64,AAAA"


def parts(sent, at=-1):
    return sent[at]["parts"]


def test_an_image_in_the_models_own_markdown_is_sent_back_as_an_image():
    text = "Here: ![image](data:image/png;base64,AAAA) nice"
    sent = contents(user("Draw"), assistant(text), user("Bigger"))
    assert parts(sent, 1) == [
        {"text": "Here: "},
        {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
        {"text": " nice"},
    ]


@pytest.mark.parametrize(
    "text",
    [
        "![a](data:image/png;base64,AA",
        "](data:image/png;base64,AA)",
        "![a](data:image/png,AA)",
        "Write `![a](data:image/png;base64,...)`.",
    ],
)
def test_what_only_looks_like_an_image_stays_text(text):
    sent = contents(user("Draw"), assistant(text), user("Bigger"))
    assert "".join(part["text"] for part in parts(sent, 1)) == text


@pytest.mark.parametrize(
    "unit",
    ["![](data:image/", "](data:image/", "![](data:image/)", "![](data:image/png;base64,AAAA)"],
)
def test_a_text_full_of_marks_does_not_stop_the_others(unit):
    text = unit * (12_000_000 // len(unit)) + ")"
    began = time.process_time()
    parts_made = list(split_images(text, ImageBudget()))
    assert time.process_time() - began < 0.5
    assert len([part for part in parts_made if "inlineData" in part]) <= MAX_IMAGES
    assert parts_made[-1]["text"].endswith(unit + ")")


@pytest.fixture
def looked_at(monkeypatch):
    """Return the URLs that were looked at."""
    urls = []
    real = embedded.data_image

    def look(url):
        urls.append(url)
        return real(url)

    monkeypatch.setattr(embedded, "data_image", look)
    monkeypatch.setattr("gateway.dialects.openai_chat.request.assistant.data_image", look)
    return urls


@pytest.mark.parametrize("beside", [False, True])
def test_all_texts_of_a_request_have_one_bound_for_images(looked_at, beside):
    images = [{"type": "image_url", "image_url": {"url": URL}}] * (MAX_IMAGES - 100)
    turn = assistant("See", images=images) if beside else assistant(f"![]({URL})" * len(images))
    messages = [user("Hi"), turn, user("Hi"), turn, user("Hi")]
    _, notes = ask(messages=messages)
    assert len(looked_at) <= MAX_IMAGES
    assert bool(notes.dropped) == beside, "what is not looked at is text, or told as dropped"
    looked_at.clear()
    memory_keys({"messages": messages}, {})
    assert len(looked_at) <= MAX_IMAGES
