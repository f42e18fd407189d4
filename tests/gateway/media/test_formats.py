"""The bytes decide what a media part is."""

import pytest

from gateway.errors import InvalidMedia, UnsupportedMedia
from gateway.media.formats import Claim, decide_format
from gateway.media.known_formats import ALLOWED
from tests.gateway.media.samples import ALIASES, PDF, REFUSED, TAKEN, pcm, sample

ANY = ("image", "audio", "video", "document")
FILE = ("document", "text", "image", "audio", "video")
PARAM = "messages[0].content[1].image_url"


@pytest.mark.parametrize("name", TAKEN)
def test_every_taken_format_is_recognised_without_any_declared_type(name: str):
    assert decide_format(sample(name), Claim(PARAM, ANY)).mime == TAKEN[name][0]


@pytest.mark.parametrize("name", REFUSED)
def test_every_other_format_is_refused_by_name(name: str):
    with pytest.raises(UnsupportedMedia) as caught:
        decide_format(sample(name), Claim(PARAM, ANY))
    error = caught.value
    assert (error.status, error.code, error.param) == (400, "unsupported_media_format", PARAM)
    assert name in error.message
    assert any(", ".join(names) in error.message for names in ALLOWED.values())


@pytest.mark.parametrize(
    ("name", "alias"), [(name, alias) for name, list_ in ALIASES.items() for alias in list_]
)
def test_every_alias_is_accepted_for_its_format(name: str, alias: str):
    assert decide_format(sample(name), Claim(PARAM, ANY, alias)).mime == TAKEN[name][0]


@pytest.mark.parametrize(
    ("name", "declared"),
    [
        ("jpeg", "image/png"),
        ("png", "application/octet-stream"),
        ("webp", "image/gif"),
        ("mp3", "audio/wav"),
        ("mp4", "audio/mp4"),
        ("m4a", "video/mp4"),
        ("webm without pictures", "audio/webm"),
        ("png", "nonsense"),
    ],
)
def test_a_wrong_type_of_the_same_kind_is_repaired(name: str, declared: str):
    assert decide_format(sample(name), Claim(PARAM, ANY, declared)).mime == TAKEN[name][0]


@pytest.mark.parametrize(
    ("name", "declared"),
    [("mp3", "image/png"), ("png", "audio/mpeg"), ("mp4", "image/jpeg"), ("png", "text/plain")],
)
def test_a_type_of_another_kind_is_refused(name: str, declared: str):
    with pytest.raises(InvalidMedia, match="declared as") as caught:
        decide_format(sample(name), Claim(PARAM, ANY, declared))
    assert (caught.value.code, caught.value.param) == ("media_type_mismatch", PARAM)


def test_a_kind_that_the_part_does_not_hold_is_refused_with_its_formats():
    with pytest.raises(UnsupportedMedia, match=r"png.*Allowed formats: audio: wav, mp3"):
        decide_format(
            sample("png"), Claim("messages[0].content[0].input_audio", ("audio", "video"))
        )


@pytest.mark.parametrize(
    ("data", "declared", "kinds"),
    [
        (sample("gif"), "", ["image"]),
        (b"\0", "audio/mpeg", ["audio"]),
        (b"\0", "", ["image", "audio", "video", "document"]),
    ],
)
def test_the_formats_named_are_those_of_the_kind(data, declared, kinds):
    with pytest.raises(UnsupportedMedia) as caught:
        decide_format(data, Claim(PARAM, ANY, declared))
    allowed = caught.value.message.partition("Allowed formats: ")[2]
    assert [one.partition(":")[0] for one in allowed.split("; ")] == kinds


def test_raw_samples_are_sound_only_when_they_are_declared_so():
    assert decide_format(pcm(), Claim(PARAM, ("audio",), "audio/L16;rate=24000")).name == "pcm"
    assert decide_format(sample("wav"), Claim(PARAM, ("audio",), "pcm16")).name == "wav"
    # Samples may look like anything.
    assert decide_format(sample("mp3"), Claim(PARAM, ("audio",), "pcm16")).name == "pcm"


@pytest.mark.parametrize(
    ("data", "declared", "filename", "mime"),
    [
        (PDF, "", "", "application/pdf"),
        (PDF, "application/pdf", "a.txt", "application/pdf"),
        (b"plain words", "", "", "text/plain"),
        ("grüße".encode(), "", "notes.md", "text/plain"),
        (b"<p>hi</p>", "text/html", "", "text/html"),
        (b"a,b\n1,2", "", "table.csv", "text/csv"),
        (b"BM,GZ\n1,2", "text/csv", "", "text/csv"),
        (b"ID3,GZ\n1,2", "text/csv", "", "text/csv"),
        (b"The ftyp box", "", "a.md", "text/plain"),
        (b"The mdat box", "", "", "text/plain"),
        (b"\0\0\0\x0cftypisom", "", "a.txt", "video/mp4"),
        (b"b{}", "", "a.css", "text/css"),
        (b"<a/>", "application/xml", "", "text/xml"),
        (b"let a", "", "a.js", "text/javascript"),
        (b'{"a":1}', "application/json", "", "application/json"),
        (b"{\\rtf1 a}", "", "", "text/rtf"),
        (b"{\\rtf1 a}", "application/rtf", "", "text/rtf"),
        (sample("png"), "", "a.pdf", "image/png"),
    ],
)
def test_a_file_part_takes_documents_and_text(data, declared, filename, mime):
    assert decide_format(data, Claim(PARAM, FILE, declared, filename)).mime == mime


@pytest.mark.parametrize("name", ["zip", "exe", "gif", "an unknown", "mkv"])
def test_a_file_part_takes_nothing_else(name: str):
    with pytest.raises(UnsupportedMedia):
        decide_format(sample(name), Claim(PARAM, FILE, "text/plain", "a.txt"))
