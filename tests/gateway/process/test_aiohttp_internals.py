"""What is checked of aiohttp is what modules use without its promise."""

import re
from pathlib import Path

import pytest
from aiohttp import TCPConnector, web

import gateway
from gateway.process import aiohttp_internals
from gateway.process.aiohttp_internals import NAMES, missing_names

GATEWAY = Path(gateway.__file__).parent
# Where the linter is told to let a name of another object pass; `sys._current_frames` is Python's.
MARKED = re.compile(r"^(?!.*sys\._).*# noqa: SLF001", re.MULTILINE)
OF_ANOTHER = re.compile(r"(?<!\bself)\.(_[a-z_]+)")


def test_the_installed_aiohttp_has_all():
    assert missing_names() == []


@pytest.mark.parametrize(
    ("kind", "name"), [(TCPConnector, "_factory"), (web.RequestHandler, "_waiter")]
)
def test_what_is_missing_is_named(monkeypatch, kind, name):
    monkeypatch.setitem(NAMES, kind, f"{name} {name}_renamed")
    assert missing_names() == [f"{kind.__name__}.{name}_renamed"]


def test_every_marked_use_is_checked():
    used = {
        name
        for path in GATEWAY.rglob("*.py")
        if path.name != Path(aiohttp_internals.__file__).name
        for line in MARKED.findall(path.read_text())
        for name in OF_ANOTHER.findall(line)
    }
    assert {"_factory", "_handle", "_cookies"} <= used
    assert used <= set(" ".join(NAMES.values()).split())
