"""Addresses that Gemini reads by itself are told from those that are fetched."""

import pytest

from gateway.errors import InvalidMedia
from gateway.exchange import Blob
from gateway.media.references import file_reference, is_named, is_uploaded, mime_of_path, reference

BASE = "http://127.0.0.1:9000"
GOOGLE = "https://generativelanguage.googleapis.com"


@pytest.mark.parametrize(
    ("text", "uri"),
    [
        (f"{GOOGLE}/v1beta/files/abc", f"{GOOGLE}/v1beta/files/abc"),
        (f"{GOOGLE}/v1/files/abc/?key=x&alt=media", f"{GOOGLE}/v1beta/files/abc"),
        (f"{BASE}/v1beta/files/a-1", f"{BASE}/v1beta/files/a-1"),
        ("http://youtu.be/dQw4w9WgXcQ", "https://youtu.be/dQw4w9WgXcQ"),
        ("https://www.youtube.com/live/dQw4w9WgXcQ?t=1", "https://www.youtube.com/live/dQw4w9WgXcQ?t=1"),
    ],
)  # fmt: skip
def test_a_file_or_video_goes_up_without_a_type(text: str, uri: str):
    assert reference(text, BASE) == Blob(None, uri=uri)


@pytest.mark.parametrize(
    "text",
    [
        "https://example.com/v1beta/files/abc",
        f"{GOOGLE}/v1beta/files/abc/def",
        f"{GOOGLE}/v1beta/models",
        f"{GOOGLE}.example.com/v1beta/files/abc",
        "https://youtube.com.example.com/watch?v=a",
        "https://user@youtube.com/watch?v=a",
        "https://www.youtube.com/feed/trending",
        "https://notyoutube.com/watch?v=a",
        "https://youtu.be/dQw4w9WgXcQ?a=\n",
        "https://youtu.be/dQw4w9WgXcQ?a=\x7f",
        "https://youtu.be/dQw4w9WgXcQ?a b",
        "http://[",
    ],
)
def test_other_addresses_are_none_of_them(text: str):
    assert reference(text, BASE) is None


@pytest.mark.parametrize("text", ["gs://", "gs://bucket", "gs://bucket/", "gs://b\n/a", "gs:///a"])
def test_a_broken_storage_address_is_refused(text: str):
    with pytest.raises(InvalidMedia, match="gs://bucket/object"):
        reference(text, BASE)


@pytest.mark.parametrize("text", ["", "file-abcDEF", "files/", "files/a/b", "../models", "a" * 65])
def test_an_id_that_is_none_of_geminis_is_refused(text: str):
    with pytest.raises(InvalidMedia) as caught:
        file_reference(text, BASE)
    assert caught.value.code == "unknown_file"


@pytest.mark.parametrize(
    ("url", "mime"),
    [
        ("https://example.com/a/b.JPG?x=.png", "image/jpeg"),
        ("https://example.com/a.mp3", "audio/mp3"),
        ("https://example.com/a.gif", None),
        ("https://example.com/png", "image/png"),
        ("https://example.com/", None),
    ],
)
def test_an_extension_is_a_guess_at_the_type(url: str, mime: str | None):
    assert mime_of_path(url) == mime


@pytest.mark.parametrize(
    ("mime", "uri", "named", "uploaded"),
    [
        (None, "https://host/v1beta/files/a", True, False),
        ("video/mp4", "https://host/v1beta/files/a", False, True),
        (None, "http://host:1/behind/a/proxy/v1beta/files/a", True, False),
        (None, "https://youtu.be/dQw4w9WgXcQ?a=/v1beta/files/a", False, False),
        ("video/mp4", "gs://bucket/v1beta/files/a", False, False),
        (None, "https://host/v1beta/files/a/b", False, False),
        ("image/png", None, False, False),
    ],
)
def test_a_file_of_the_client_is_told_from_one_uploaded_here(mime, uri, named, uploaded):
    blob = Blob(mime, uri=uri)
    assert (is_named(blob), is_uploaded(blob)) == (named, uploaded)
