"""Flame graphs from counted stacks."""

from collections import Counter
from xml.etree import ElementTree as ET

from benchmarks import flame

COUNTS = Counter(
    {("gateway.a", "gateway.b"): 3, ("gateway.a", "aiohttp.<c>"): 1, ("gateway.a",): 4}
)


def test_stacks_that_begin_alike_share_their_boxes():
    root = flame.tree(COUNTS)
    (only,) = root.children.values()
    assert (root.total, only.total) == (8, 8)
    assert {name: node.total for name, node in only.children.items()} == {
        "gateway.b": 3,
        "aiohttp.<c>": 1,
    }


def test_the_drawing_is_well_formed_whatever_functions_are_called():
    drawing = ET.fromstring(flame.draw(COUNTS, "a < b"))
    titles = [title.text for title in drawing.iter("{http://www.w3.org/2000/svg}title")]
    assert titles == ["all: 100.0%", "gateway.a: 100.0%", "gateway.b: 37.5%", "aiohttp.<c>: 12.5%"]


def test_own_time_is_the_last_functions():
    assert flame.own_times(COUNTS)[0] == ("gateway.a", 0.5)


def test_what_was_written_is_read_back(tmp_path):
    file = tmp_path / "stacks"
    file.write_text("gateway.a;gateway.b 3\ngateway.a 4\n")
    assert flame.read(file) == Counter({("gateway.a", "gateway.b"): 3, ("gateway.a",): 4})
