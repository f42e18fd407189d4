"""One line is one JSON object: short, and without anything that a terminal would act on."""

import orjson
import pytest

from gateway.log.line import MAX_LINE_BYTES
from gateway.settings import Log


def test_a_line_is_one_json_object(logged):
    line = logged(lambda log: log.info("exchange", id="a", status=200, model=None))
    values = orjson.loads(line)
    assert values.pop("time").endswith("+00:00")
    assert values == {"event": "exchange", "level": "info", "id": "a", "status": 200, "model": None}


@pytest.mark.parametrize("form", ["json", "console"])
def test_control_characters_are_escaped(logged, form):
    evil = 'a\n{"event":"forged"}\r\x1b[31m\x00\x7f\x9b\u2028\u202e'
    line = logged(lambda log: log.info("told", text=evil), Log(format=form))
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    for unwanted in ("\r", "\x1b", "\x00", "\x7f", "\x9b", "\u2028", "\u202e"):
        assert unwanted.encode() not in line


@pytest.mark.parametrize("form", ["json", "console"])
@pytest.mark.parametrize(
    "values", [{"text": "x" * 100_000}, {f"key{n}": "y" * 300 for n in range(50)}]
)
def test_a_line_is_never_longer_than_the_limit(logged, form, values):
    line = logged(lambda log: log.info("told", **values), Log(format=form))
    assert len(line) <= MAX_LINE_BYTES + 1
    assert b"told" in line
