"""The shipped `config.toml` is the documentation of the configuration; these keep it true."""

import re
import tomllib
from itertools import pairwise
from pathlib import Path
from typing import Any, get_args, get_origin

import msgspec
import pytest

from gateway import config
from gateway.settings import Credential, License, Price, Replacement, Section, Settings

ROOT = Path(__file__).parents[1]
FILE = ROOT / "config.toml"
# A line that begins with "#" and no space is an example.
EXAMPLE = re.compile(r"^#(?! |$)", re.MULTILINE)


def sections() -> list[tuple[str, type[Section]]]:
    return [
        (field.name, field.type)
        for field in msgspec.structs.fields(Settings)
        if isinstance(field.type, type) and issubclass(field.type, Section)
    ]


def is_table(kind: Any) -> bool:
    """Tell whether a field is an array of tables or a table of free names: shown as an example."""
    if get_origin(kind) is dict:
        return True
    arguments = get_args(kind)
    return any(is_table(part) for part in arguments) or any(
        isinstance(part, type) and issubclass(part, Section) for part in arguments
    )


def test_the_file_says_what_holds_without_it(tmp_path):
    empty = tmp_path / "empty.toml"
    empty.write_text("")
    assert config.read(FILE, {}) == config.read(empty, {})


@pytest.mark.parametrize(("name", "kind"), sections())
def test_every_option_of_a_section_is_in_the_file_and_no_other(name, kind):
    found = tomllib.loads(FILE.read_text())[name]
    expected = {f.name for f in msgspec.structs.fields(kind) if not is_table(f.type)}
    assert set(found) == expected


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        (("upstream", "credentials", 0), Credential),
        (("licenses", 0), License),
        (("models", "replacements", "gemini-2.0-flash"), Replacement),
        (("models", "prices", "gemini-2.5-flash"), Price),
    ],
)
def test_every_option_of_a_table_is_in_its_example(path, kind):
    found: Any = tomllib.loads(EXAMPLE.sub("", FILE.read_text()))
    for step in path:
        found = found[step]
    assert set(found) == {field.name for field in msgspec.structs.fields(kind)}


def test_the_examples_are_valid_with_one_secret_each(tmp_path):
    text = EXAMPLE.sub("", FILE.read_text())
    text = re.sub(r"^key_(env|file|sha256) = .*\n", "", text, flags=re.MULTILINE)
    path = tmp_path / "config.toml"
    path.write_text(text)
    settings = config.load(path, {})
    assert settings.models.aliases
    assert settings.models.fallbacks
    assert settings.chat.safety


def test_every_option_has_a_comment():
    """One stands behind the value, or above a group of tables or a line of its own."""
    lines = FILE.read_text().splitlines()
    bare = [
        line
        for above, line in pairwise(lines)
        if re.match(r"#?[a-z_\"]", line)
        and " # " not in line
        and not above.startswith(("# ", "#[", "#requests", "#tokens", "#usd", "[["))
    ]
    assert bare == []


def test_the_shipped_tables_hold_prices_tiers_and_replacements_only():
    shipped = tomllib.loads((ROOT / "gateway" / "defaults.toml").read_text())
    assert {key: set(value) for key, value in shipped.items()} == {
        "models": {"replacements", "tiers", "prices"}
    }
