"""Recorded requests in reverse: their OpenAI form must be translated back into them."""

import json
import os
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.dialects.openai_chat import DIALECT, turns
from gateway.dialects.openai_chat.native import camel
from gateway.exchange import Blob, Known, Notes
from gateway.features import BYPASS

RECORDINGS = Path(os.environ.get("GATEWAY_RECORDINGS", "../shared/gemini")) / "recordings"
KINDS = {
    "functionCall",
    "functionResponse",
    "inlineData",
    "fileData",
    "executableCode",
    "codeExecutionResult",
    "toolCall",
    "toolResponse",
    "videoMetadata",
}


def camelled(part: dict[str, Any]) -> dict[str, Any]:
    """Return a recorded part in camelCase, without what is unset or says nothing."""
    camel_part = {camel(key): value for key, value in part.items()}
    for kind in KINDS & camel_part.keys():
        camel_part[kind] = {camel(k): v for k, v in camel_part[kind].items() if v is not None}
    call = camel_part.get("functionCall")
    if call is not None:
        call["args"] = call.get("args") or {}
    response = camel_part.get("functionResponse")
    if response is not None:
        response["parts"] = [camelled(one) for one in response.get("parts") or ()]
        if not response["parts"]:
            del response["parts"]
    return {k: v for k, v in camel_part.items() if v is not None and (k, v) != ("thought", False)}


class Reversed:
    """The OpenAI form of one recorded request."""

    def __init__(self, model: str, recorded: dict[str, Any]) -> None:
        self.messages: list[dict[str, Any]] = []
        self.media: dict[tuple[int, int], Blob] = {}
        self.memories: dict[str, bytes] = {}
        self.expected: list[dict[str, Any]] = []
        self.waiting: list[str] = []
        system = recorded.get("systemInstruction")
        if system:
            parts = [{"type": "text", "text": part["text"]} for part in system["parts"]]
            self.messages.append({"role": "system", "content": parts})
        for number, content in enumerate(recorded["contents"]):
            parts = [camelled(part) for part in content.get("parts") or ()]
            parts = [p for p in parts if not p.pop("thought", False)]
            if content.get("role") == "model":
                self.model_turn(number, parts)
            else:
                self.user_turn(parts)
        self.payload: dict[str, Any] = {"model": model, "messages": self.messages}
        declared = [
            {camel(key): value for key, value in one.items()}
            for tool in recorded.get("tools") or ()
            for one in tool.get("functionDeclarations") or ()
        ]
        self.declared = declared
        if declared:
            self.payload["tools"] = [self.tool(one) for one in declared]

    @staticmethod
    def tool(declared: dict[str, Any]) -> dict[str, Any]:
        schema = declared.get("parametersJsonSchema") or declared.get("parameters")
        function = {"name": declared["name"], "description": declared.get("description")}
        if schema:
            function["parameters"] = lowered(schema)
        return {"type": "function", "function": function}

    def expect(self, role: str, parts: list[dict[str, Any]], *, apart: bool = False) -> None:
        if not parts:
            return
        last = self.expected[-1] if self.expected else None
        if last and last["role"] == role and not apart and not last.get("apart"):
            last["parts"] += parts
        else:
            self.expected.append({"role": role, "parts": parts, "apart": apart})

    def model_turn(self, number: int, parts: list[dict[str, Any]]) -> None:
        text = "".join(part.get("text", "") for part in parts)
        calls = []
        for part in parts:
            if "functionCall" in part:
                call = part["functionCall"]
                call_id = call.get("id") or f"call_{number}_{len(calls)}"
                arguments = orjson.dumps(call["args"]).decode()
                function = {"name": call["name"], "arguments": arguments}
                calls.append({"id": call_id, "type": "function", "function": function})
        message: dict[str, Any] = {"role": "assistant", "content": text or None}
        if calls:
            message["tool_calls"] = calls
            self.waiting += [call["id"] for call in calls]
        self.messages.append(message)
        self.memories.update(turns.memory_entries(parts, text, calls))
        kept = [p for p in parts if p.get("text") != "" or "thoughtSignature" in p]
        self.expect("model", kept)

    def user_turn(self, parts: list[dict[str, Any]]) -> None:
        index = len(self.messages) + sum("functionResponse" in part for part in parts)
        plain, body = [], []
        responses = []
        for part in parts:
            if "functionResponse" in part:
                responses.append(part)
                self.result(part["functionResponse"])
            elif part.get("text") or part.keys() & {"inlineData", "fileData"}:
                plain.append(part)
                body.append(self.shown(part, (index, len(body))))
        self.expect("user", responses, apart=True)
        if plain:
            self.messages.append({"role": "user", "content": body})
            self.expect("user", plain)

    def result(self, response: dict[str, Any]) -> None:
        body: Any = [{"type": "text", "text": json.dumps(response["response"])}]
        at = len(self.messages)
        for inner in response.get("parts") or ():
            body.append(self.shown(inner, (at, len(body))))
        message = {"role": "tool", "content": body}
        if self.waiting:
            message["tool_call_id"] = self.waiting.pop(0)
        self.messages.append(message)

    def shown(self, part: dict[str, Any], at: tuple[int, int]) -> dict[str, Any]:
        if "text" in part:
            return {"type": "text", "text": part["text"]}
        data = part.get("inlineData") or part.get("fileData")
        self.media[at] = Blob(data.get("mimeType"), data.get("data"), data.get("fileUri"))
        return {"type": "file", "file": {"file_data": "x"}}


def lowered(schema: Any) -> Any:
    """Return an OpenAPI schema with the types of JSON schema."""
    if isinstance(schema, list):
        return [lowered(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: value.lower() if key == "type" and isinstance(value, str) else lowered(value)
        for key, value in schema.items()
    }


def requests() -> list[tuple[str, str, dict[str, Any]]]:
    found = []
    for path in sorted(RECORDINGS.glob("*.json")):
        recording = json.loads(path.read_bytes())
        request = recording.get("request_json")
        usable = request and "enerateContent" in recording["url_path"]
        if usable and all(isinstance(one, dict) for one in request["contents"]):
            model = recording["url_path"].rsplit("/", 1)[-1].split(":")[0]
            found.append((path.stem, model, request))
    return found


def translated(reversed_: Reversed) -> dict[str, Any]:
    DIALECT.check(reversed_.payload)
    recalled = DIALECT.memory_keys(reversed_.payload, {})
    memories = {key: reversed_.memories[key] for key in recalled if key in reversed_.memories}
    known = Known(exchange_id="x", media=reversed_.media, memories=memories)
    return DIALECT.call(reversed_.payload, known, Notes()).body


def settled(contents: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return *contents* without the differences that are meant.

    - The bypass value stands where a call has no signature.
    - A conversation begins with the user: a blank turn comes before the model's.
    - All responses to the calls of one turn are in one turn (some clients send one turn each).
    - Neighbouring texts without signature are one text, as the client knows only one.
    - A response holds bytes; files by address follow in a turn of their own. (Vertex AI takes
      them within, the discovery document of the Gemini API does not.)
    """
    result: list[dict[str, Any]] = []
    for content in contents:
        parts: list[dict[str, Any]] = []
        for part in content["parts"]:
            kept = {k: v for k, v in part.items() if (k, v) != ("thoughtSignature", BYPASS)}
            response = kept.get("functionResponse")
            if response and any("fileData" in one for one in response.get("parts") or ()):
                kept = {"functionResponse": {k: v for k, v in response.items() if k != "parts"}}
            if parts and kept.keys() == {"text"} == parts[-1].keys():
                parts[-1] = {"text": parts[-1]["text"] + kept["text"]}
            elif kept not in ({"text": " "}, {"text": ""}) and "fileData" not in kept:
                parts.append(kept)
        responding = bool(parts) and all("functionResponse" in part for part in parts)
        if responding and result and result[-1]["responding"]:
            result[-1]["parts"] += parts
        elif parts:
            result.append({"role": content["role"], "parts": parts, "responding": responding})
    return result


def differences(reversed_: Reversed, body: dict[str, Any]) -> list[str]:
    """Name what differs between the translation and the recorded request."""
    found = []
    if settled(body["contents"]) != settled(reversed_.expected):
        found.append("contents")
    declared = [one for tool in body.get("tools") or () for one in tool["functionDeclarations"]]
    for ours, theirs in zip(declared, reversed_.declared, strict=True):
        schema = theirs.get("parametersJsonSchema") or theirs.get("parameters") or {}
        if ours["name"] != theirs["name"]:
            found.append("name")
        if ours.get("parametersJsonSchema", {}) != normal(lowered(schema)):
            found.append("schema")
    return found


def normal(schema: Any) -> Any:
    """Return *schema* without the differences that are meant.

    - No parameters are told as none, not as an empty object.
    - `$schema` says nothing; a `nullable` of the OpenAPI subset is the type null.
    - Beside a `$ref` stands nothing else.
    - A type is told by its name, not by its number.
    - An enumeration that may also be null is an alternative.
    """
    if not isinstance(schema, dict):
        return schema
    if schema.get("properties") == {}:
        return {}
    return _normal(schema)


def _normal(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_normal(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return {"$ref": schema["$ref"]}
    normal = {
        key: {name: _normal(one) for name, one in value.items()}
        if key in ("properties", "$defs")
        else _normal(value)
        for key, value in schema.items()
        if key not in ("$schema", "nullable", "example") and (key, value) != ("required", [])
    }
    if isinstance(normal.get("type"), int):
        del normal["type"]
        if "properties" in normal:
            normal["type"] = "object"
    if schema.get("nullable") is True and "enum" in normal:
        annotations = {key: normal.pop(key) for key in ("title", "description") if key in normal}
        return {**annotations, "anyOf": [normal, {"type": "null"}]}
    if schema.get("nullable") is True:
        normal["type"] = [normal["type"], "null"]
    return normal


@pytest.mark.skipif(not RECORDINGS.is_dir(), reason="the shared recordings are not here")
def test_the_openai_form_of_a_recorded_conversation_becomes_the_recorded_request():
    """Contents, calls, responses, signatures, ids, names and schemas are those recorded."""
    differing, exact = {}, 0
    everything = requests()
    for name, model, request in everything:
        reversed_ = Reversed(model, request)
        body = translated(reversed_)
        found = differences(reversed_, body)
        if found:
            differing[name] = found
        plain = [{"role": one["role"], "parts": one["parts"]} for one in reversed_.expected]
        exact += body["contents"] == plain
    print(f"{len(everything)} recorded requests, {exact} equal to the letter")
    assert not differing
    assert len(everything) > 700
