"""What Gemini would say to a body: the discovery document's types, and the rules of turns."""

import json
from functools import cache

from tests.gateway.dialects.openai_chat.recorded import SHARED

DISCOVERY = SHARED / "discovery-v1beta.json"
_TYPES = {"string": str, "boolean": bool, "integer": int, "number": (int, float), "array": list}


@cache
def schemas():
    return json.loads(DISCOVERY.read_bytes())["schemas"]


def unknown(value, schema="GenerateContentRequest", path="body"):
    """Give what of *value* the *schema* of the discovery document does not take."""
    properties = schemas()[schema]["properties"]
    found = []
    for name, inner in value.items():
        if name not in properties:
            found.append(f"{path}.{name} is unknown")
        else:
            found += _wrong(inner, properties[name], f"{path}.{name}")
    return found


def _wrong(value, told, path):
    if "$ref" in told:
        if not isinstance(value, dict):
            return [f"{path} is no object"]
        return unknown(value, told["$ref"], path)
    kind = told.get("type")
    if kind in _TYPES and (
        not isinstance(value, _TYPES[kind]) or (kind != "boolean" and isinstance(value, bool))
    ):
        return [f"{path} is no {kind}"]
    if "enum" in told and value not in told["enum"]:
        return [f"{path} is none of its words: {value}"]
    if kind == "array":
        return [
            w for at, one in enumerate(value) for w in _wrong(one, told["items"], f"{path}[{at}]")
        ]
    return []


def broken_rules(contents):
    """Give the rules of turns that *contents* break."""
    broken = []
    if not contents or contents[0]["role"] != "user" or contents[-1]["role"] != "user":
        broken.append("must begin and end with the user")
    waiting = []
    for content in contents:
        parts = content["parts"]
        responses = [part["functionResponse"] for part in parts if "functionResponse" in part]
        if not parts or not all(_has_data(part) for part in parts):
            broken.append("empty parts")
        if len(responses) != len(waiting) and (waiting or responses):
            broken.append("as many responses as calls")
        elif [one["name"] for one in responses] != waiting:
            broken.append("responses in the order of the calls")
        if responses and content["role"] != "user":
            broken.append("responses are the user's")
        waiting = [p["functionCall"]["name"] for p in parts if "functionCall" in p]
        if waiting and content["role"] != "model":
            broken.append("calls are the model's")
    return broken


def _has_data(part):
    if "text" in part:
        return part["text"] != "" or "thoughtSignature" in part
    kinds = ("inlineData", "fileData", "functionCall", "functionResponse", "toolCall")
    return any(kind in part for kind in kinds)
