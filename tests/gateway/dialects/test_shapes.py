"""Small checkers of JSON shapes."""

import pytest

from gateway.dialects.shapes import (
    fields,
    integer,
    is_shallow,
    items,
    number,
    of_type,
    tagged,
)
from gateway.errors import BadRequest


def refused(check, value):
    with pytest.raises(BadRequest) as caught:
        check(value)
    return caught.value.param


def test_a_path_is_made_of_the_names_on_the_way():
    check = fields({"a": items(fields({"b": of_type(str)}))})
    check({"a": [{"b": "x"}, {"b": None}], "c": 1})
    assert refused(check, {"a": [{"b": "x"}, {"b": 5}]}) == "a[1].b"
    assert refused(check, {"a": [5]}) == "a[0]"


def test_true_is_no_number():
    number(0.5)
    integer(5.0)
    for check in (number, integer):
        with pytest.raises(BadRequest):
            check(True)


def test_an_object_is_checked_by_its_tag():
    check = tagged("type", {"x": of_type(dict)}, other=fields({"n": of_type(int)}))
    check({"type": "x"})
    check({"n": 5})
    assert refused(check, {"type": 5}) == "type"
    assert refused(check, {"type": "y", "n": "z"}) == "n"


@pytest.mark.parametrize(("depth", "shallow"), [(1, True), (64, True), (65, False)])
def test_depth_is_measured_without_recursion(depth, shallow):
    value = 1
    for _ in range(depth):
        value = [value]
    assert is_shallow(value) is shallow


def test_so_many_fields_are_refused():
    check = fields({"a": fields({})})
    check({"a": {str(at): at for at in range(1024)}})
    assert refused(check, {"a": {str(at): at for at in range(1025)}}) == "a"
