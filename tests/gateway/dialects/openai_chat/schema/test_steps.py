"""Schemas that would cost too much are refused before they do."""

import sys
from collections import Counter

import pytest

from gateway.dialects.openai_chat.schema import normalise
from gateway.dialects.openai_chat.schema.steps import MAX_STEPS, MAX_STEPS_OF_ALL, Steps
from gateway.errors import BadRequest
from tests.gateway.dialects.openai_chat.asking import ask, function


def uses(target, count=3000, **beside):
    """Return a schema that refers *count* times to *target*, with something beside it each time."""
    places = {
        f"u{n}": {"$ref": "#/$defs/T", **{name: make(n) for name, make in beside.items()}}
        for n in range(count)
    }
    return {"properties": places, "$defs": {"T": target}}


def doubling(levels):
    """Return a schema that is small, and twice as large with each level that is followed."""
    definitions = {
        f"L{n}": {
            "properties": {
                side: {"$ref": f"#/$defs/L{n + 1}", "title": side} for side in ("left", "right")
            }
        }
        for n in range(levels)
    }
    return {"$ref": "#/$defs/L0", "$defs": {**definitions, f"L{levels}": {"type": "string"}}}


def alternatives(name, count=8):
    return {"anyOf": [{"properties": {f"{name}{n}": {"minLength": n}}} for n in range(count)]}


HOSTILE = {
    "wide": {"properties": {f"p{n}": {"type": "string"} for n in range(50_000)}},
    "long texts": uses({"description": "y" * 100_000}, description=str),
    "long words": uses({"enum": ["x" * 200_000]}, enum=lambda n: [n]),
    "many words": uses({"enum": list(range(5_000))}, enum=lambda n: [n]),
    "nested words": uses({"enum": [["x"] * 2_000]}, enum=lambda n: [n]),
    "large default": uses({"default": [["x"] * 20_000]}, default=lambda n: n),
    "large default of names": uses({"default": {"x" * 90: {"y" * 90_000: 1}}}, title=str),
    "many names": uses({"required": [f"r{n}" for n in range(5_000)]}, required=lambda n: [str(n)]),
    "many types": uses({"type": ["string"] * 10_000}, type=lambda _: ["integer"] * 10_000),
    "pairs of alternatives": {
        "properties": {
            f"u{n}": {"allOf": [alternatives("a"), alternatives("b")]} for n in range(1_000)
        }
    },
    "properties of all": {
        "allOf": [
            {
                "properties": {f"p{m}_{n}": {} for n in range(300)},
                "additionalProperties": {"minLength": m},
            }
            for m in range(60)
        ]
    },
    "long ways": uses({"type": "string"}) | {"$ref": "#" + "/$defs" * 50_000},
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_schema_is_refused_after_a_bounded_number_of_steps(name):
    calls = Counter()
    before = sys.getprofile()
    sys.setprofile(lambda _frame, event, _detail: calls.update((event,)))
    try:
        with pytest.raises(BadRequest) as caught:
            normalise(HOSTILE[name], "here", Steps())
    finally:
        sys.setprofile(before)
    assert (caught.value.param, caught.value.code) == ("here", "invalid_schema")
    assert calls["call"] + calls["c_call"] < 15 * MAX_STEPS


def test_the_schemas_of_one_request_share_their_steps():
    steps = Steps()
    normalise(doubling(40), "p", steps)
    fit = MAX_STEPS_OF_ALL // (MAX_STEPS_OF_ALL - steps.left)
    with pytest.raises(BadRequest) as caught:
        ask(tools=[function(f"f{n}", doubling(40)) for n in range(fit + 9)])
    assert caught.value.param == f"tools[{fit}].function.parameters"


def test_as_many_plain_tools_as_gemini_takes_are_not_too_many_steps():
    plain = {
        "type": "object",
        "properties": {f"p{n}": {"type": "string", "description": "d" * 60} for n in range(10)},
        "required": ["p0", "p1"],
    }
    call, notes = ask(tools=[function(f"f{n}", plain) for n in range(512)])
    assert call.body["tools"][0]["functionDeclarations"][511]["parametersJsonSchema"] == plain
    assert notes.adjusted == {}


def test_a_value_of_very_many_values_is_refused():
    with pytest.raises(BadRequest, match="too large"):
        normalise({"enum": [[0] * (MAX_STEPS + 1)]}, "p", Steps())
