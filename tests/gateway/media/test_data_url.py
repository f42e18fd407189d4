"""Data URLs and bare base64: accepted in every spelling, refused when they are neither."""

import io
import os
import sys
import time
import tracemalloc
from base64 import b64encode, urlsafe_b64encode

import pytest
from PIL import Image

from gateway.errors import InvalidMedia
from gateway.media import data_url
from gateway.media.formats import Claim

CLAIM = Claim("messages[0].content[1].image_url", ("image", "audio", "video", "document"))


def png(size: int = 8) -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((size, size), 80).save(buffer, "PNG")
    return buffer.getvalue()


DATA = png()
RIGHT = b64encode(DATA).decode()

SPELLINGS = {
    "bare": RIGHT,
    "without padding": RIGHT.rstrip("="),
    "in the URL alphabet": urlsafe_b64encode(DATA).decode(),
    "in the URL alphabet without padding": urlsafe_b64encode(DATA).decode().rstrip("="),
    "with line breaks": "\r\n".join(RIGHT[at : at + 76] for at in range(0, len(RIGHT), 76)),
    "with percent signs": RIGHT.replace("+", "%2B").replace("/", "%2F").replace("=", "%3D"),
    "as data URL": f"data:image/png;base64,{RIGHT}",
    "as data URL of another case": f"DATA:image/PNG;BASE64,{RIGHT}",
    "as data URL with parameters": f"data:image/png;name=a.png;base64,{RIGHT}",
    "as data URL with parameters behind": f"data:image/png;base64;charset=utf-8,{RIGHT}",
    "as data URL with blanks": f" data: image/png ; base64 , {RIGHT}",
    "as data URL without type": f"data:;base64,{RIGHT}",
    "as data URL with a vague type": f"data:application/octet-stream;base64,{RIGHT}",
    "as data URL with the wrong image type": f"data:image/jpg;base64,{RIGHT}",
}


@pytest.mark.parametrize("text", SPELLINGS.values(), ids=SPELLINGS)
def test_every_spelling_of_the_same_bytes_gives_the_same_blob(text: str):
    blob = data_url.to_blob(text, CLAIM, 1_000_000)
    assert (blob.mime, blob.data) == ("image/png", RIGHT)


def test_right_base64_is_passed_on_as_the_same_string():
    assert data_url.to_blob(RIGHT, CLAIM, 1_000_000).data is RIGHT


@pytest.mark.parametrize("rest", range(3))
def test_an_item_may_be_as_large_as_the_limit_however_it_is_written(rest: int):
    data = DATA + bytes(-len(DATA) % 3 + rest)
    right = b64encode(data).decode()
    broken = "\r\n".join(right[at : at + 76] for at in range(0, len(right), 76))
    for text in (right, broken, f"data:image/png;base64,{right}"):
        assert data_url.to_blob(text, CLAIM, len(data)).data == right
        with pytest.raises(InvalidMedia) as caught:
            data_url.to_blob(text, CLAIM, len(data) - 1)
        assert (caught.value.code, caught.value.param) == ("media_too_large", CLAIM.param)


@pytest.mark.parametrize("step", range(3, 9))
def test_no_percent_sign_is_torn_from_its_digits(step: int, monkeypatch):
    monkeypatch.setattr(data_url, "STEP", step)
    # Base64 of such a length that it can be padded.
    for blanks in (0, 2, 3, 4, 6, 7, 8):
        data = "A" * blanks + "+/" * 10
        text = "A" * blanks + "%2B%2f%20%0A" * 10
        assert data_url.standard("data:," + text, 6) == data + "=" * (-len(data) % 4)


BROKEN = {
    "": "empty_media",
    "data:image/png;base64,": "empty_media",
    "data:image/png": "invalid_base64",
    "data:image/png;base64,@@@@": "invalid_base64",
    "not base64 at all!": "invalid_base64",
    "AA==AAAA": "invalid_base64",
    "AA=A": "invalid_base64",
    "A===": "invalid_base64",
    "====": "empty_media",
    "AAA\0": "invalid_base64",
    "A": "invalid_base64",
    "äöü=": "invalid_base64",
}


@pytest.mark.parametrize(("text", "code"), BROKEN.items())
def test_broken_base64_is_refused_with_its_own_code(text: str, code: str):
    with pytest.raises(InvalidMedia) as caught:
        data_url.to_blob(text, CLAIM, 1_000_000)
    assert (caught.value.code, caught.value.param) == (code, CLAIM.param)


def test_a_data_url_without_base64_is_for_small_texts():
    claim = Claim("messages[0].content[0].file", ("document", "text"))
    assert data_url.to_blob("data:text/plain,a%20b", claim, 1_000_000).data == "YSBi"
    with pytest.raises(InvalidMedia) as caught:
        data_url.to_blob("data:text/plain," + "%41" * 400_000, claim, 20_000_000)
    assert caught.value.code == "media_too_large"


RETURNED = {
    f"data:image/png;base64,{RIGHT}": ("image/png", RIGHT),
    f"data:image/jpg;base64,{RIGHT} ": ("image/png", RIGHT),
    "data:image/jpg;base64,AAAA": ("image/jpeg", "AAAA"),
    "data:image/gif;base64,R0lGODlhAQABAAAAACw=": None,
    "data:image/png;base64,R0lGODlhAQABAAAAACw=": None,
    "data:image/svg+xml;base64,AAAA": None,
    "data:image/png;base64,": None,
    "data:image/png;base64,A=": None,
    # What models write when they explain.
    "data:image/png;base64,...": None,
    f"data:image/png;base64,{RIGHT[:60]}...": None,
    f"data:image/png;base64,{RIGHT[:60]}....": None,
    f"data:image/png;base64,{RIGHT[:60]}[cut]{RIGHT[-62:]}": None,
    "data:image/png,AAAA": None,
    "data:image/png;base64": None,
}


@pytest.mark.parametrize(("url", "expected"), RETURNED.items())
def test_an_image_that_comes_back_is_known_by_its_first_bytes(url, expected):
    blob = data_url.image(url)
    assert (blob and (blob.mime, blob.data)) == expected


def test_no_walk_through_boxes_is_taken_for_an_image_that_comes_back(monkeypatch):
    lengths = []
    monkeypatch.setattr(data_url, "identify", lambda window: lengths.append(len(window)))
    data_url.image(f"data:image/png;base64,{RIGHT * 400}")
    assert lengths == [513]


def test_a_window_gives_any_slice_of_the_bytes():
    for size in range(30):
        data = os.urandom(size)
        window = data_url.Base64Window(b64encode(data).decode())
        assert len(window) == size
        for start in range(size + 2):
            for stop in range(size + 2):
                assert window[start:stop] == data[start:stop]


LARGE = png() + os.urandom(15_000_000)
LARGE_RIGHT = b64encode(LARGE).decode()
LARGE_SPELLINGS = {
    "right": (f"data:image/png;base64,{LARGE_RIGHT}", 1.1),
    "bare": (LARGE_RIGHT, 0.2),
    "with percent signs": (LARGE_RIGHT.replace("+", "%2B").replace("/", "%2F"), 2.1),
    "to be repaired": (LARGE_RIGHT.replace("+", "-").replace("/", "_").rstrip("="), 2.1),
}


@pytest.mark.parametrize(("text", "copies"), LARGE_SPELLINGS.values(), ids=LARGE_SPELLINGS)
def test_a_large_item_is_copied_once_at_most_unless_it_is_repaired(text: str, copies: float):
    tracemalloc.start()
    try:
        blob = data_url.to_blob(text, CLAIM, 20_000_000)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert blob.data == LARGE_RIGHT
    assert peak < copies * len(LARGE_RIGHT)


@pytest.mark.parametrize(("text", "_"), LARGE_SPELLINGS.values(), ids=LARGE_SPELLINGS)
def test_no_step_of_checking_a_large_item_keeps_other_threads_waiting(text: str, _: float):
    assert _longest_step(text) < 0.05


def _longest_step(text: str) -> float:
    """Return the seconds of the longest step, in which the thread keeps the interpreter lock.

    They are those of the thread itself: the machine has others to serve, too.
    """
    steps = []
    begun = time.thread_time()

    def note(*_: object) -> None:
        nonlocal begun
        steps.append(time.thread_time() - begun)
        begun = time.thread_time()

    sys.setprofile(note)
    try:
        blob = data_url.to_blob(text, CLAIM, 20_000_000)
    finally:
        sys.setprofile(None)
    assert blob.mime == "image/png"
    return max(steps)
