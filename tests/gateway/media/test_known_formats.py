"""Names that clients have for formats."""

import pytest

from gateway.media.known_formats import ALLOWED, FORMATS, format_named
from tests.gateway.media.samples import ALIASES, TAKEN


@pytest.mark.parametrize(
    ("name", "alias"), [(name, alias) for name, list_ in ALIASES.items() for alias in list_]
)
def test_every_alias_names_its_format(name: str, alias: str):
    hint = format_named(alias)
    assert hint is not None
    assert hint.mime == TAKEN[name][0]


@pytest.mark.parametrize("declared", ["", "nonsense", "application/octet-stream", "a/b/c", ";"])
def test_what_names_no_format_gives_none(declared):
    assert format_named(declared) is None


def test_every_kind_that_is_taken_has_its_allowed_formats():
    assert {one.kind for one in FORMATS.values() if one.mime} == ALLOWED.keys()
