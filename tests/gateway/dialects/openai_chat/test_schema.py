"""JSON schemas in the accepted form."""

import sys
from collections import Counter

import pytest

from gateway.dialects.openai_chat.schema import MAX_STEPS, MAX_STEPS_OF_ALL, Steps, normalise
from gateway.errors import BadRequest
from tests.gateway.dialects.openai_chat.asking import ask, function


def normal(schema):
    return normalise(schema, "p", Steps())[0]


@pytest.mark.parametrize(
    ("given", "made"),
    [
        ({"properties": {"a": True}}, {"properties": {"a": {}}, "type": "object"}),
        ({"type": "array"}, {"type": "array", "items": {"type": "string"}}),
        ({"type": "array", "items": {}}, {"type": "array", "items": {"type": "string"}}),
        (
            {"type": "array", "items": [{"type": "string"}]},
            {"type": "array", "prefixItems": [{"type": "string"}]},
        ),
        ({"const": 1}, {"enum": [1]}),
        ({"type": "string", "nullable": True}, {"type": ["string", "null"]}),
        ({"type": ["string", "null"]}, {"type": ["string", "null"]}),
        (
            {"type": "object", "properties": {"a": {}}, "required": ["a", "b", "a", 5]},
            {"type": "object", "properties": {"a": {}}, "required": ["a"]},
        ),
        (
            {"type": "object", "properties": {"a": {}}, "required": "a"},
            {"type": "object", "properties": {"a": {}}},
        ),
        ({"$schema": "s", "strict": True, "encrypted": 1, "type": "string"}, {"type": "string"}),
        ({"oneOf": [{"type": "string"}, 5]}, {"oneOf": [{"type": "string"}, {}]}),
        ({"anyOf": "x"}, {}),
        (
            {"type": "object", "additionalProperties": {"type": "string", "not": {}}},
            {"type": "object", "additionalProperties": {"type": "string"}},
        ),
        ({"type": "object", "additionalProperties": False}, None),
        ({"type": "integer", "exclusiveMinimum": 0}, {"type": "integer", "minimum": 1}),
        ({"type": "integer", "exclusiveMaximum": 9}, {"type": "integer", "maximum": 8}),
        ({"type": "number", "exclusiveMinimum": 0.5}, {"type": "number", "minimum": 0.5}),
        ({"exclusiveMinimum": True, "type": "number"}, {"type": "number"}),
        ({"properties": 5}, {}),
        (True, {}),
        (
            {"allOf": [{"properties": {"a": {}}, "required": ["a"]}, {"properties": {"b": {}}}]},
            {"properties": {"a": {}, "b": {}}, "required": ["a"], "type": "object"},
        ),
        (
            {"allOf": [{"allOf": [{"type": "string"}]}], "title": "T"},
            {"type": "string", "title": "T"},
        ),
    ],
)
def test_a_schema_says_the_same_in_accepted_words(given, made):
    assert normal(given) == (given if made is None else made)


def test_constraints_that_cannot_be_told_are_named():
    _, lost = normalise(
        {"type": "object", "patternProperties": {"^a": {}}, "not": {}}, "p", Steps()
    )
    assert lost == ["not", "patternProperties"]


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"type": "array"}, ["items"]),
        ({"type": ["array", "null"], "items": {}}, ["items"]),
        ({"type": "array", "items": False}, []),
        ({"type": "array", "items": {"type": "string"}}, []),
        ({"type": "array", "prefixItems": [{"type": "string"}]}, []),
    ],
)
def test_items_of_any_kind_are_told_as_strings_and_named(given, named):
    assert normalise(given, "p", Steps())[1] == named


def test_definitions_and_recursion_are_kept():
    node = {"type": "object", "properties": {"next": {"$ref": "#/definitions/Node"}}}
    assert normal({"$ref": "#/definitions/Node", "definitions": {"Node": node}}) == {
        "$ref": "#/$defs/Node",
        "$defs": {"Node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}}}},
    }


def test_what_stands_beside_a_reference_is_told_where_it_stands():
    given = {
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/A", "minLength": 3, "description": "Of a."}},
        "$defs": {"A": {"type": "string", "minLength": 1, "description": "An A."}},
    }
    made, lost = normalise(given, "p", Steps())
    assert lost == []
    assert made["properties"]["a"] == {
        "type": "string",
        "minLength": 3,
        "description": "Of a.\nAn A.",
    }


def test_what_stands_beside_a_reference_within_its_own_target_becomes_a_definition():
    node = {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node", "title": "T"}}}
    made, lost = normalise({"$ref": "#/$defs/Node", "$defs": {"Node": node}}, "p", Steps())
    assert lost == []
    titled = {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node_1"}}, "title": "T"}
    assert made["$defs"] == {
        "Node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node_1"}}},
        "Node_1": titled,
    }


def test_names_of_definitions_are_plain_and_pointers_are_decoded():
    given = {
        "properties": {"a": {"$ref": "#/$defs/b~1c%20d"}},
        "$defs": {"b/c d": {"type": "string"}},
    }
    made = normal(given)
    assert made["properties"]["a"] == {"$ref": "#/$defs/b_1c_20d"}
    assert made["$defs"] == {"b_1c_20d": {"type": "string"}}


def test_a_large_target_that_is_referred_to_often_is_told_once_for_each_use():
    large = {"type": "object", "properties": {f"p{n}": {"type": "string"} for n in range(200)}}
    uses = {f"u{n}": {"$ref": "#/$defs/L", "description": "d"} for n in range(30)}
    made, lost = normalise({"properties": uses, "$defs": {"L": large}}, "p", Steps())
    assert lost == []
    assert made["properties"]["u0"]["description"] == "d"
    assert made["properties"]["u29"].keys() == {"$ref"}


def test_a_reference_into_the_schema_becomes_a_definition():
    given = {
        "type": "object",
        "properties": {
            "a": {"type": "string"},
            "b": {"$ref": "#/properties/a"},
            "c": {"$ref": "#/$defs/a"},
            "d": {"anyOf": [{"$ref": "#/properties/e/anyOf/0"}]},
            "e": {"anyOf": [{"type": "null"}]},
            "f": {"$ref": "#"},
        },
        "$defs": {"a": {"type": "integer"}},
    }
    made = normal(given)
    assert made["$defs"] == {
        "a": {"type": "string"},
        "a_1": {"type": "integer"},
        "0": {"type": "null"},
    }
    assert made["properties"]["c"] == {"$ref": "#/$defs/a_1"}
    assert made["properties"]["f"] == {"$ref": "#"}


def test_a_single_reference_within_all_of_is_that_reference():
    given = {
        "type": "object",
        "properties": {
            "a": {"allOf": [{"$ref": "#/$defs/A"}]},
            "b": {"allOf": [{"$ref": "#/$defs/A"}], "default": 1},
        },
        "$defs": {"A": {"type": "integer"}},
    }
    assert normal(given)["properties"] == {
        "a": {"$ref": "#/$defs/A"},
        "b": {"type": "integer", "default": 1},
    }


@pytest.mark.parametrize(
    "pointer", ["#/$defs/B", "https://example.com/a.json", "#/properties/x/9", "#/$defs/A/type/x"]
)
def test_a_reference_that_leads_nowhere_is_refused_by_its_place(pointer):
    with pytest.raises(BadRequest) as caught:
        normalise(
            {"properties": {"a": {"$ref": pointer}}, "$defs": {"A": {"type": "x"}}}, "here", Steps()
        )
    assert caught.value.param == "here"


def test_a_hostile_schema_is_refused_and_never_runs_away():
    deep = {"type": "string"}
    for _ in range(500):
        deep = {"type": "array", "items": deep}
    loop = {"allOf": [{"$ref": "#/$defs/A"}, {}], "$defs": {"A": {"$ref": "#/$defs/A"}}}
    for schema in (deep, loop):
        with pytest.raises(BadRequest):
            normalise(schema, "p", Steps())
    both = {"allOf": [{"$ref": "#/$defs/A"}, {}], "$defs": {}}
    both["$defs"]["A"] = {"allOf": [{"$ref": "#/$defs/A"}, {"$ref": "#/$defs/A"}]}
    with pytest.raises(BadRequest):
        normalise(both, "p", Steps())


def uses(target, count=3000, **beside):
    """Give a schema that refers *count* times to *target*, with something beside it each time."""
    places = {
        f"u{n}": {"$ref": "#/$defs/T", **{name: make(n) for name, make in beside.items()}}
        for n in range(count)
    }
    return {"properties": places, "$defs": {"T": target}}


def doubling(levels):
    """Give a schema that is small, and twice as large with each level that is followed."""
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
    asked, notes = ask(tools=[function(f"f{n}", plain) for n in range(512)])
    assert asked.body["tools"][0]["functionDeclarations"][511]["parametersJsonSchema"] == plain
    assert notes.adjusted == {}


def test_definitions_that_nothing_refers_to_any_more_go():
    """The items allow nothing, so that they are dropped with their reference."""
    impossible = {"not": {}, "$ref": "#/$defs/D"}
    schema = {"type": "array", "items": impossible, "$defs": {"D": {"type": "integer"}}}
    assert "$defs" not in normalise({**schema, "anyOf": [False]}, "p", Steps())[0]


def test_references_that_lead_on_and_on_are_refused():
    chain = {f"A{at}": {"$ref": f"#/$defs/A{at + 1}"} for at in range(100)}
    schema = {"$ref": "#/$defs/A0", "$defs": {**chain, "A100": {"type": "string"}}}
    with pytest.raises(BadRequest, match="nested too deeply"):
        normalise(schema, "p", Steps())


def test_a_value_of_very_many_values_is_refused():
    with pytest.raises(BadRequest, match="too large"):
        normalise({"enum": [[0] * (MAX_STEPS + 1)]}, "p", Steps())


def test_a_schema_of_very_many_others_is_refused():
    schema = {"allOf": [{"title": str(at)} for at in range(100)]}
    with pytest.raises(BadRequest, match="merges too much"):
        normalise(schema, "p", Steps())


def referring(reference):
    """Give a schema with a name of its own and an anchor, whose property is *reference*."""
    return {
        "$id": "http://x/y",
        "properties": {"a": {"$ref": reference}},
        "$defs": {"A": {"$anchor": "A", "type": "string"}},
    }


@pytest.mark.parametrize("reference", ["#A", "http://x/y#A", "http://x/y#/$defs/A", "#/$defs/A"])
def test_references_by_anchor_and_by_the_schemas_own_name(reference):
    made = normal(referring(reference))
    (definition,) = made["$defs"].items()
    assert definition[1] == {"type": "string"}
    assert made["properties"]["a"] == {"$ref": f"#/$defs/{definition[0]}"}


@pytest.mark.parametrize("reference", ["#B", "http://x/z#A", "A", "http://x/yA"])
def test_references_to_other_schemas_lead_nowhere(reference):
    with pytest.raises(BadRequest, match="leads nowhere"):
        normalise(referring(reference), "p", Steps())
