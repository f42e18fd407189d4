"""What the references of a schema lead to."""

import pytest

from gateway.dialects.openai_chat.schema import normalise
from gateway.dialects.openai_chat.schema.references import References
from gateway.dialects.openai_chat.schema.steps import Budget, Steps
from gateway.errors import BadRequest


@pytest.mark.parametrize(
    "pointer",
    [
        "#/$defs/B",
        "https://example.com/a.json",
        "#/properties/x/9",
        "#/$defs/A/type/x",
        "#/$defs/A/anyOf/1",
        "#/$defs/A/anyOf/x",
    ],
)
def test_a_reference_that_leads_nowhere_is_refused_by_its_place(pointer):
    definitions = {"A": {"type": "x", "anyOf": [{}]}}
    with pytest.raises(BadRequest) as caught:
        normalise({"properties": {"a": {"$ref": pointer}}, "$defs": definitions}, "here", Steps())
    assert caught.value.param == "here"


def test_references_that_lead_on_and_on_are_refused():
    chain = {f"A{at}": {"$ref": f"#/$defs/A{at + 1}"} for at in range(100)}
    schema = {"$ref": "#/$defs/A0", "$defs": {**chain, "A100": {"type": "string"}}}
    with pytest.raises(BadRequest, match="nested too deeply"):
        normalise(schema, "p", Steps())


def referring(reference):
    """Return a schema with a name of its own and an anchor, whose property is *reference*."""
    return {
        "$id": "http://x/y",
        "properties": {"a": {"$ref": reference}},
        "$defs": {"A": {"$anchor": "A", "type": "string"}},
    }


@pytest.mark.parametrize("reference", ["#A", "http://x/y#A", "http://x/y#/$defs/A", "#/$defs/A"])
def test_references_by_anchor_and_by_the_schemas_own_name(reference):
    normalised, _ = normalise(referring(reference), "p", Steps())
    (definition,) = normalised["$defs"].items()
    assert definition[1] == {"type": "string"}
    assert normalised["properties"]["a"] == {"$ref": f"#/$defs/{definition[0]}"}


@pytest.mark.parametrize("reference", ["", "#", "http://x/y", "http://x/y#"])
def test_a_schema_may_refer_to_itself_as_a_whole(reference):
    normalised, _ = normalise(referring(reference), "p", Steps())
    assert normalised == {"type": "object", "properties": {"a": {"$ref": "#"}}}


@pytest.mark.parametrize(
    ("reference", "name"), [("a~1b", "a/b"), ("a~0b", "a~b"), ("a~01b", "a~1b"), ("a%20b", "a b")]
)
def test_signs_in_the_names_of_a_pointer_are_escaped(reference, name):
    references = References({"$defs": {name: {"type": "string"}}}, Budget("p", 100))
    assert references.find(f"#/$defs/{reference}") == {"type": "string"}


def test_an_anchor_is_found_among_alternatives_too():
    references = References({"anyOf": [{}, {"$anchor": "A"}]}, Budget("p", 100))
    assert references.find("#A") == {"$anchor": "A"}


@pytest.mark.parametrize("reference", ["#B", "http://x/z#A", "A", "http://x/yA"])
def test_references_to_other_schemas_lead_nowhere(reference):
    with pytest.raises(BadRequest, match="leads nowhere"):
        normalise(referring(reference), "p", Steps())


def test_a_reference_is_followed_once():
    budget = Budget("p", 100)
    references = References({"$defs": {"A": {"type": "string"}}}, budget)
    for _ in range(3):
        assert references.find("#/$defs/A") == {"type": "string"}
    assert budget.spent == 2
