"""Formats told by their bytes alone."""

import pytest

from gateway.media.signatures import identify, is_text, textual
from tests.gateway.media.samples import REFUSED, TAKEN, pcm, sample


@pytest.mark.parametrize("name", TAKEN)
def test_every_taken_format_is_told_by_its_bytes(name: str):
    found = identify(sample(name))
    assert found is not None
    assert found.mime == TAKEN[name][0]


def test_raw_samples_have_no_signature():
    assert identify(pcm()) is None


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (b"\xef\xbb\xbf <!DOCTYPE html>", "html"),
        *((b"<%b>" % element, "html") for element in (b"HTML", b"head", b"body")),
        (b"<svg/>", "svg"),
        (b"words", "text"),
    ],
)
def test_texts_in_place_of_media_have_a_name(data, name):
    assert textual(data).name == name


@pytest.mark.parametrize("data", [b"\x00\x01", b"words\x1f"])
def test_bytes_that_are_no_text_have_none(data):
    assert textual(data) is None


@pytest.mark.parametrize("head", ["fffbf000", "fff17c80", "000001b5"])
def test_two_bytes_of_a_frame_are_no_signature(head):
    assert identify(bytes.fromhex(head) + bytes(40)) is None


@pytest.mark.parametrize(
    ("data", "name", "kind"),
    [
        (sample("gif"), "gif", "image"),
        (b"MThd" + bytes(40), "midi", "audio"),
        (sample("zip"), "zip", "other"),
    ],
)
def test_what_is_not_taken_has_a_name_and_a_kind(data, name, kind):
    found = identify(data)
    assert (found.name, found.mime, found.kind) == (name, None, kind)


def test_a_character_cut_at_the_end_of_the_head_is_still_text():
    assert is_text(b"a" * 4095 + "ü".encode() * 10)
    assert not is_text(b"a" * 100 + b"\xfc")
    assert not is_text(b"")


@pytest.mark.parametrize("name", [*TAKEN, *REFUSED])
def test_no_cut_or_damage_of_a_file_makes_the_detection_fail(name: str):
    data = sample(name)
    for end in (*range(64), *range(64, min(len(data), 4000), 97)):
        identify(data[:end])
        identify(data[:end] + b"\xff" * 40)
        identify(data[:end] + bytes(40) + data[end + 40 :])
