"""Schemas: what Google requires of them beyond their fields.

`parameters`, `response` and `responseSchema` are of Google's own Schema type; the `...JsonSchema`
fields hold JSON Schema.
"""

from collections.abc import Iterator

from gateway.simulator.models import Model
from gateway.simulator.refusal import Json, Refusal, bad_request
from gateway.simulator.strict.tools import declarations

# Fields that may accompany any_of.
_BESIDE_ANY_OF = frozenset({"anyOf", "description", "title", "nullable", "default"})
_JSON_TYPES = frozenset({"string", "number", "integer", "boolean", "array", "object", "null"})


def check(request: Json, _model: Model) -> None:
    """Refuse schemas that the real API refuses."""
    config = request.get("generationConfig") or {}
    place = "generation_config.response_schema"
    if "responseSchema" in config:
        _check_schema(config["responseSchema"], place)
    for name in ("responseJsonSchema", "_responseJsonSchema"):
        if name in config:
            _check_json_schema(config[name])
    for at, declaration in enumerate(declarations(request)):
        _check_declaration(declaration, f"tools[0].function_declarations[{at}]")


def resolve(reference: str, root: Json) -> Json | None:
    """Return what *reference* (`#`, `#/$defs/Name`) points to in *root*, None if nothing."""
    node: object = root
    if not reference.startswith("#"):
        return None
    for step in reference[1:].split("/")[1:]:
        node = (
            node.get(step.replace("~1", "/").replace("~0", "~")) if isinstance(node, dict) else None
        )
    return node if isinstance(node, dict) else None


def _check_declaration(declaration: Json, place: str) -> None:
    for plain, json in (("parameters", "parametersJsonSchema"), ("response", "responseJsonSchema")):
        if plain in declaration and json in declaration:
            raise Refusal(f"{place}: only one of {plain} and its JSON schema may be set.")
        if plain in declaration:
            _check_schema(declaration[plain], f"{place}.{plain}")
        if json in declaration:
            _check_json_schema(declaration[json])


def _fault(place: str, text: str) -> Refusal:
    return bad_request((place, f"* GenerateContentRequest.{place}: {text}\n"))


def _check_schema(schema: Json, place: str) -> None:
    if "anyOf" in schema:
        if siblings := schema.keys() - _BESIDE_ANY_OF:
            raise _fault(
                place, f"when using any_of, it must be the only field set, not {min(siblings)}"
            )
    elif schema.get("type", "TYPE_UNSPECIFIED") == "TYPE_UNSPECIFIED":
        raise _fault(place, "schema must have a type.")
    _check_by_type(schema, place)
    for name, nested in _nested(schema):
        _check_schema(nested, f"{place}.{name}")


def _check_by_type(schema: Json, place: str) -> None:
    if schema.get("type") == "ARRAY" and "items" not in schema:
        raise _fault(f"{place}.items", "missing field.")
    if schema.get("enum") and schema.get("type") != "STRING":
        raise _fault(f"{place}.enum", "only allowed for STRING type")
    if "" in schema.get("enum", ()):
        raise _fault(f"{place}.enum[{schema['enum'].index('')}]", "cannot be empty")
    for at, name in enumerate(schema.get("required", ())):
        if name not in schema.get("properties", {}):
            raise _fault(f"{place}.required[{at}]", "property is not defined")


def _nested(schema: Json) -> Iterator[tuple[str, Json]]:
    if "items" in schema:
        yield "items", schema["items"]
    for name, nested in schema.get("properties", {}).items():
        yield f"properties[{name}]", nested
    for at, nested in enumerate(schema.get("anyOf", ())):
        yield f"any_of[{at}]", nested


def _check_json_schema(schema: object) -> None:
    if not isinstance(schema, dict):
        raise Refusal("The JSON schema must be an object.")
    _check_json_node(schema, schema)


def _check_json_node(node: Json, root: Json) -> None:
    if "$ref" in node:
        reference = node["$ref"]
        if not isinstance(reference, str) or resolve(reference, root) is None:
            raise Refusal(f"Unresolvable reference in the JSON schema: {reference}")
        # Pydantic puts a title beside the reference at the root, and the API accepts it.
        if siblings := [name for name in node if not name.startswith("$") and name != "title"]:
            raise Refusal(f"A $ref may have no fields beside it in a JSON schema: {siblings[0]}")
    types = node.get("type", ())
    for type_ in types if isinstance(types, list) else [types] if types else ():
        if not isinstance(type_, str) or type_.lower() not in _JSON_TYPES:
            raise Refusal(f"Unknown type in the JSON schema: {type_}")
    for nested in _json_nested(node):
        _check_json_node(nested, root)


def _json_nested(node: Json) -> Iterator[Json]:
    for name in ("properties", "$defs"):
        members = node.get(name)
        if isinstance(members, dict):
            yield from (nested for nested in members.values() if isinstance(nested, dict))
    for name in ("anyOf", "oneOf", "prefixItems"):
        members = node.get(name)
        if isinstance(members, list):
            yield from (nested for nested in members if isinstance(nested, dict))
    for name in ("items", "additionalProperties"):
        if isinstance(node.get(name), dict):
            yield node[name]
