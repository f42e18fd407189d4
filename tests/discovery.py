"""Check bodies against Google's discovery schema, where the shared material is at hand.

It is a second opinion beside the simulator's own tables: both were made apart.
"""

import base64
import binascii
import json
import os
import re
from functools import cache
from pathlib import Path

import pytest

from gateway.dialects.openai_chat import OpenAIChat
from gateway.upstream.client import GeminiUpstream

ROOT = Path(__file__).parents[1]
SHARED = Path(os.environ.get("GATEWAY_RECORDINGS") or ROOT / "../shared/gemini")
SCHEMA = SHARED / "discovery-v1beta.json"
needs_schema = pytest.mark.skipif(not SCHEMA.exists(), reason=f"no schema at {SCHEMA}")
# Fields that are newer than the schema of 2026-09: python-genai 3.4.0 sends them.
NEWER = frozenset(
    {("GenerateContentRequest", "labels"), ("GenerateContentRequest", "continuationToken")}
)
# The message type that each action takes.
TYPES = {
    "generateContent": "GenerateContentRequest",
    "streamGenerateContent": "GenerateContentRequest",
    "countTokens": "CountTokensRequest",
    "embedContent": "EmbedContentRequest",
    "batchEmbedContents": "BatchEmbedContentsRequest",
}


class Sent:
    """What goes upstream while a test runs: `faults` tells what of it does not fit."""

    def __init__(self):
        self.faults = []

    def look(self, body, action="generateContent"):
        """Check *body*, sent to *action*; without the schema everything fits."""
        if action in TYPES and SCHEMA.exists():
            self.faults += validate(body, TYPES[action])

    def watch(self, patch):
        """Look at every call that the dialect makes and at every body that goes out."""
        make, post = OpenAIChat.call, GeminiUpstream.post

        def call(dialect, *arguments):
            made = make(dialect, *arguments)
            self.look(made.body)
            return made

        def send(upstream, call, credential):
            self.look(call.body, call.action)
            return post(upstream, call, credential)

        patch.setattr(OpenAIChat, "call", call)
        patch.setattr(GeminiUpstream, "post", send)


SENT = Sent()


def validate(body, type_name):
    """Return what is wrong with *body* as a message of *type_name*: a list of sentences."""
    return list(_faults(body, {"$ref": type_name}, type_name))


@cache
def schemas():
    """Return all messages of the schema by name."""
    return json.loads(SCHEMA.read_bytes())["schemas"]


@cache
def _names(type_name):
    names = schemas()[type_name].get("properties", {})
    return {_snake(name): name for name in names} | {name: name for name in names}


def _snake(name):
    return re.sub(r"(?<=[a-z0-9])([A-Z])", lambda found: "_" + found[0].lower(), name)


def _faults(value, schema, path):
    if value is None:
        return
    if "$ref" in schema:
        yield from _message_faults(value, schema["$ref"], path)
    elif schema["type"] == "array":
        for at, item in enumerate(value if isinstance(value, list) else [value]):
            yield from _faults(item, schema["items"], f"{path}[{at}]")
    elif schema["type"] == "object":
        if not isinstance(value, dict):
            yield f"{path} is no object"
            return
        for name, item in value.items():
            yield from _faults(item, schema["additionalProperties"], f"{path}.{name}")
    elif "enum" in schema:
        if not isinstance(value, str) or value.upper() not in map(str.upper, schema["enum"]):
            yield f"{path} is none of {schema['enum']}"
    elif not _SCALARS[schema["type"]](value, schema.get("format")):
        yield f"{path} is no {schema['type']} {schema.get('format', '')}"


def _message_faults(value, type_name, path):
    if not isinstance(value, dict):
        yield f"{path} is no {type_name}"
        return
    names = _names(type_name)
    for given, item in value.items():
        if (type_name, given) in NEWER:
            continue
        if given not in names:
            yield f"{path}.{given} is unknown to {type_name}"
        else:
            field = schemas()[type_name]["properties"][names[given]]
            yield from _faults(item, field, f"{path}.{given}")


def _is_string(value, format_):
    if not isinstance(value, str | int if format_ == "int64" else str):
        return False
    if format_ == "byte":
        return _is_base64(value)
    return True


def _is_base64(text):
    plain = text.translate(str.maketrans("-_", "+/")).rstrip("=")
    try:
        base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except binascii.Error:
        return False
    return True


def _is_number(value, _format):
    return isinstance(value, int | float) and not isinstance(value, bool)


_SCALARS = {
    "any": lambda *_: True,
    "string": _is_string,
    "boolean": lambda value, _: isinstance(value, bool),
    "number": _is_number,
    "integer": lambda value, _: _is_number(value, _) and value == int(value),
}
