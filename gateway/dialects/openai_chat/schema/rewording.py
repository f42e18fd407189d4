"""Keywords of older drafts and of OpenAPI, rewritten as those of today's JSON schema."""

from collections.abc import Callable

from gateway.dialects.openai_chat.schema.keywords import common_values, is_type, listed
from gateway.exchange import Json

_ANNOTATIONS = ("title", "description", "default", "propertyOrdering")
_BESIDE_TYPE = frozenset({"enum", "const", "anyOf", "oneOf", "allOf", "$ref"})


def reworded(schema: Json, lost: set[str]) -> Json:
    """Return *schema* in today's keywords; *schema* itself if it has no others.

    What cannot be expressed goes into *lost*.
    """
    for name, kind in (("$ref", str), ("allOf", list)):
        if not isinstance(schema.get(name, kind()), kind):
            lost.add(name)
            schema = _but(schema, name)
    for name, reword in _REWORDINGS:
        if name in schema:
            schema = reword(schema, lost)
    return schema


def _but(schema: Json, without: str) -> Json:
    return {name: value for name, value in schema.items() if name != without}


def _nullable(schema: Json, _lost: set[str]) -> Json:
    """Express `nullable` by a type or an alternative."""
    rest = _but(schema, "nullable")
    if schema["nullable"] is not True:
        return rest
    if rest.keys().isdisjoint(_BESIDE_TYPE):
        types = rest.get("type", "object" if "properties" in rest else None)
        if types is not None and is_type(types) and "null" not in types:
            rest["type"] = [*listed(types), "null"]
        return rest
    annotations = {name: rest.pop(name) for name in _ANNOTATIONS if name in rest}
    branches = rest.get("anyOf")
    if rest.keys() == {"anyOf"} and isinstance(branches, list):
        return {**annotations, "anyOf": [*branches, {"type": "null"}]}
    return {**annotations, "anyOf": [rest, {"type": "null"}]}


def _const(schema: Json, _lost: set[str]) -> Json:
    rest = _but(schema, "const")
    values = [schema["const"]]
    if isinstance(schema.get("enum"), list):
        values = common_values(values, schema["enum"])
    return {**rest, "enum": values}


def _draft_4_bound(name: str) -> Callable[[Json, set[str]], Json]:
    """Return the rewording of an exclusive bound that is true or false next to the bound itself."""
    exclusive = f"exclusive{name.capitalize()}"

    def reword(schema: Json, _lost: set[str]) -> Json:
        if not isinstance(schema[exclusive], bool):
            return schema
        rest = _but(schema, exclusive)
        if schema[exclusive] and name in rest:
            rest[exclusive] = rest.pop(name)
        return rest

    return reword


def _tuple_items(schema: Json, _lost: set[str]) -> Json:
    if not isinstance(schema["items"], list):
        return schema
    rest = _but(schema, "items")
    rest["prefixItems"] = schema["items"]
    if "additionalItems" in rest:
        rest["items"] = rest.pop("additionalItems")
    return rest


def _patterns(schema: Json, lost: set[str]) -> Json:
    """Remove names by pattern, and the demands on all other names, which would forbid these."""
    rest = _but(schema, "patternProperties")
    if schema["patternProperties"] != {}:
        lost.add("patternProperties")
        if rest.pop("additionalProperties", True) not in (True, {}):
            lost.add("additionalProperties")
    return rest


def _names(schema: Json, _lost: set[str]) -> Json:
    """Remove a demand on names that every name satisfies."""
    if schema["propertyNames"] not in (True, {}, {"type": "string"}):
        return schema
    return _but(schema, "propertyNames")


_REWORDINGS: tuple[tuple[str, Callable[[Json, set[str]], Json]], ...] = (
    ("nullable", _nullable),
    ("const", _const),
    ("exclusiveMinimum", _draft_4_bound("minimum")),
    ("exclusiveMaximum", _draft_4_bound("maximum")),
    ("items", _tuple_items),
    ("patternProperties", _patterns),
    ("propertyNames", _names),
)
