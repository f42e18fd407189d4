"""Several schemas told by one."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from gateway.dialects.openai_chat.schema import normalise
from gateway.dialects.openai_chat.schema.steps import Steps

A, B = {"type": "string"}, {"type": "integer"}


@pytest.mark.parametrize(
    ("all_of", "merged"),
    [
        (
            [{"minimum": 3}, {"minimum": 5}, {"maximum": 9}, {"maximum": 8}],
            {"minimum": 5, "maximum": 8},
        ),
        *(
            (
                [{f"min{what}": 1, f"max{what}": 8}, {f"min{what}": 2, f"max{what}": 9}],
                {f"min{what}": 2, f"max{what}": 8},
            )
            for what in ("Length", "Items", "Properties")
        ),
        ([{"description": "a"}, {"description": "b"}], {"description": "a\nb"}),
        ([{"description": "a b"}, {"description": "b"}], {"description": "a b"}),
        ([{"enum": [1, 2, True]}, {"enum": [2, 3, 1]}], {"enum": [1, 2]}),
        (
            [{"enum": [[1.0], {"a": [2]}, [3]]}, {"enum": [{"a": [2.0]}, [1], [4]]}],
            {"enum": [[1.0], {"a": [2]}]},
        ),
        ([{"type": ["number", "null"]}, {"type": ["integer", "string"]}], {"type": "integer"}),
        ([{"type": "integer"}, {"type": "number"}], {"type": "integer"}),
        (
            [{"type": ["number", "integer"]}, {"type": ["integer", "number"]}],
            {"type": ["number", "integer"]},
        ),
        ([{"pattern": "a"}, {"pattern": "a"}], {"pattern": "a"}),
        ([{"uniqueItems": False}, {"uniqueItems": True}], {"uniqueItems": True}),
        (
            [{"anyOf": [A, B]}, {"anyOf": [{"title": "T"}, {"type": "string", "minLength": 1}]}],
            {
                "anyOf": [
                    {"type": "string", "title": "T"},
                    {"type": "string", "minLength": 1},
                    {"type": "integer", "title": "T"},
                ]
            },
        ),
        (
            [{"properties": {"a": A}}, {"properties": {"a": {"minLength": 2}, "b": B}}],
            {
                "type": "object",
                "properties": {"a": {"type": "string", "minLength": 2}, "b": B},
            },
        ),
        (
            [{"properties": {"a": A}, "additionalProperties": False}, {"properties": {"b": B}}],
            {"type": "object", "properties": {"a": A}, "additionalProperties": False},
        ),
        (
            [{"additionalProperties": A}, {"properties": {"b": {}}, "required": ["b", "c"]}],
            {
                "type": "object",
                "properties": {"b": A, "c": A},
                "required": ["b", "c"],
                "additionalProperties": A,
            },
        ),
        (
            [{"type": "array", "items": A}, {"prefixItems": [{"minLength": 1}]}],
            {
                "type": "array",
                "prefixItems": [{"type": "string", "minLength": 1}],
                "items": A,
            },
        ),
    ],
)
def test_one_schema_demands_what_several_do(all_of, merged):
    assert normalise({"allOf": all_of}, "p", Steps()) == (merged, [])


@pytest.mark.parametrize(
    ("all_of", "lost"),
    [
        ([{"pattern": "a"}, {"pattern": "b"}], ["pattern"]),
        ([{"anyOf": [A] * 9}, {"anyOf": [B] * 9}], ["anyOf"]),
        ([A, B], ["false"]),
        (
            [
                {"properties": {"a": A}, "additionalProperties": False},
                {"properties": {"b": B}, "required": ["b"]},
            ],
            ["additionalProperties"],
        ),
    ],
)
def test_demands_that_no_single_schema_can_tell_are_named(all_of, lost):
    assert normalise({"allOf": all_of}, "p", Steps())[1] == lost


def test_an_alternative_that_nothing_meets_is_left_out():
    given = {"type": "string", "anyOf": [{"allOf": [A, B]}, {"minLength": 1}, False]}
    assert normalise(given, "p", Steps()) == ({"type": "string", "anyOf": [{"minLength": 1}]}, [])


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 4) | st.sampled_from(["", "a", "bb", 1.5]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3)
    ),
    max_leaves=5,
)
SMALL = st.integers(0, 3)
FLAT = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(
            ["string", "integer", "number", "object", "array", ["null", "integer"]]
        ),
        "enum": st.lists(st.sampled_from([1, 2, "a", None, True]), min_size=1, max_size=3),
        "const": st.sampled_from([1, "a", True]),
        "minimum": SMALL,
        "maximum": SMALL,
        "exclusiveMinimum": SMALL,
        "minLength": SMALL,
        "maxLength": SMALL,
        "minItems": SMALL,
        "maxItems": SMALL,
        "multipleOf": st.just(2),
        "title": st.just("T"),
    },
)


def wider(inner):
    some = inner | st.booleans()
    return st.builds(
        lambda flat, more: {**flat, **more},
        FLAT,
        st.fixed_dictionaries(
            {},
            optional={
                "allOf": st.lists(some, min_size=1, max_size=3),
                "anyOf": st.lists(some, min_size=1, max_size=3),
                "oneOf": st.lists(some, min_size=1, max_size=2),
                "not": inner,
                "properties": st.dictionaries(st.sampled_from("abc"), some, max_size=2),
                "additionalProperties": some,
                "required": st.lists(st.sampled_from("abc"), max_size=2, unique=True),
                "items": some,
                "prefixItems": st.lists(some, min_size=1, max_size=2),
                "$ref": st.just("#/$defs/D"),
            },
        ),
    )


SCHEMAS = st.recursive(FLAT, wider, max_leaves=6)
LEAVES = st.sampled_from([{"type": "integer", "minimum": 1}, {"maxLength": 1}, {"enum": [1, "a"]}])


@settings(max_examples=300, deadline=None)
@given(SCHEMAS, LEAVES, st.lists(VALUES, min_size=1, max_size=8))
def test_what_the_outcome_allows_was_allowed_or_a_loss_is_named(schema, leaf, values):
    schema = {**schema, "$defs": {"D": leaf}}
    normalised, lost = normalise(schema, "p", Steps())
    before, after = Draft202012Validator(schema), Draft202012Validator(normalised)
    for value in values:
        if not lost and after.is_valid(value):
            assert before.is_valid(value), (schema, normalised)


@settings(max_examples=200, deadline=None)
@given(SCHEMAS)
def test_no_schema_fails_and_a_second_pass_changes_nothing_more(schema):
    normalised, _ = normalise({**schema, "$defs": {"D": {"type": "integer"}}}, "p", Steps())
    assert normalise(normalised, "p", Steps())[0] == normalised
