"""Data URLs and bare base64: accepted in every spelling, refused when they are neither."""

import io
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


BROKEN = {
    "": "empty_media",
    "data:image/png;base64,": "empty_media",
    "data:image/png": "invalid_base64",
    "data:image/png;base64,@@@@": "invalid_base64",
    "not base64 at all!": "invalid_base64",
    "AA==AAAA": "invalid_base64",
    "A": "invalid_base64",
    "äöü=": "invalid_base64",
}


@pytest.mark.parametrize(("text", "code"), BROKEN.items())
def test_broken_base64_is_refused_with_its_own_code(text: str, code: str):
    with pytest.raises(InvalidMedia) as caught:
        data_url.to_blob(text, CLAIM, 1_000_000)
    assert (caught.value.code, caught.value.param) == (code, CLAIM.param)
