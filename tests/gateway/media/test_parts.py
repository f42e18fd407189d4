"""Media parts are found wherever they stand, with all that they claim."""

import pytest

from gateway.errors import BadRequest
from gateway.media.parts import find


def payload(*parts: object) -> dict:
    return {"messages": [{"role": "user", "content": "a"}, {"role": "user", "content": [*parts]}]}


READ = [
    ({"type": "image_url", "image_url": {"url": "x", "format": "image/png"}}, "x", "image/png", ""),
    ({"type": "image_url", "image_url": "x"}, "x", "", ""),
    ({"type": "input_audio", "input_audio": {"data": "x", "format": "wav"}}, "x", "wav", ""),
    ({"type": "file", "file": {"file_data": "x", "filename": "a.md"}}, "x", "", "a.md"),
    ({"type": "file", "file": {"file_data": None, "file_id": "files/x"}}, "files/x", "", ""),
    ({"type": "file", "file": {"file_id": "x", "mime_type": "text/csv"}}, "x", "text/csv", ""),
    ({"type": "input_file", "file_url": "x", "filename": "a.md"}, "x", "", "a.md"),
    ({"type": "image_url", "image_url": {"url": "x", "format": 5}}, "x", "", ""),
]


@pytest.mark.parametrize(("part", "source", "declared", "filename"), READ)
def test_a_part_is_read(part: dict, source: str, declared: str, filename: str):
    [found] = find(payload({"type": "text", "text": "b"}, part))
    assert found.at == (1, 1)
    assert found.claim.param.startswith("messages[1].content[1].")
    assert (found.source, found.claim.declared, found.claim.filename) == (
        source,
        declared,
        filename,
    )


@pytest.mark.parametrize(
    "odd",
    [
        {},
        {"messages": "a"},
        {"messages": [1, {}, {"content": {}}]},
        payload(1, {}, None, {"type": []}),
    ],
)
def test_what_has_no_media_has_none(odd: dict):
    assert find(odd) == []


@pytest.mark.parametrize("value", [None, 1, [], {}, {"url": 1}, {"data": []}])
def test_a_part_without_a_source_is_refused_by_name(value: object):
    with pytest.raises(BadRequest) as caught:
        find(payload({"type": "image_url", "image_url": value}))
    assert caught.value.param == "messages[1].content[0].image_url"


def test_no_more_of_a_type_is_read_than_a_type_has():
    part = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav;" + "a=b;" * 999}}
    [found] = find({"messages": [{"content": [part]}]})
    assert found.claim.declared.startswith("wav;a=b;")
    assert len(found.claim.declared) == 256
