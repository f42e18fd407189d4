"""Every field of an answer arrives at the client, or the documentation says that it does not."""

import json
from pathlib import Path

import pytest

from tests.discovery import needs_schema, schemas
from tests.gateway.dialects.openai_chat.replying import frames, make_reply, run

ROOT = Path(__file__).parents[4]
# What a client gets in another form.
TRANSLATED = frozenset(
    {
        *("index", "role", "mimeType", "modelVersion", "retirementTime"),
        *("promptTokenCount", "toolUsePromptTokenCount", "candidatesTokenCount", "tokenCount"),
    }
)
NOT_GIVEN = frozenset(
    {
        *("responseId", "groundingAttributions", "partMetadata"),
        *("tokenId", "logProbabilitySum", "message"),
    }
)
DATA = (
    *("text", "inlineData", "fileData", "functionCall", "functionResponse"),
    *("executableCode", "codeExecutionResult", "toolCall", "toolResponse"),
)


class Filler:
    """Makes messages of the schema with every field set; *marks* has the value of each by path."""

    def __init__(self):
        self.marks = {}

    def fill(self, node, path=()):
        kind = node.get("type")
        if "$ref" in node:
            properties = schemas()[node["$ref"]].get("properties", {})
            filled = {
                name: self.fill(inner, (*path, name))
                for name, inner in properties.items()
                if name not in path
            }
        elif kind == "array":
            filled = [self.fill(node["items"], path)]
        elif "enum" in node:
            filled = node["enum"][-1]
        elif node.get("format") == "byte":
            filled = "QUJD"
        elif kind == "boolean":
            filled = True
        elif kind == "object":
            filled = {"key": self._mark(path, f"m{len(self.marks)}.")}
        else:
            number = 70_000 + len(self.marks)
            forms = {"string": f"m{number}.", "number": number + 0.5}
            filled = self._mark(path, forms.get(kind, number))
        return filled

    def _mark(self, path, value):
        self.marks[path] = value
        return value


def event_with_everything():
    filler = Filler()
    event = filler.fill({"$ref": "GenerateContentResponse"})
    # A prompt that is blocked has no answer.
    del event["promptFeedback"]
    [candidate] = event["candidates"]
    [part] = candidate["content"]["parts"]
    del part["thought"]
    shared = {name: value for name, value in part.items() if name not in DATA}
    candidate["content"]["parts"] = [{name: part[name], **shared} for name in DATA]
    candidate |= {"index": 0, "finishReason": "STOP"}
    part["inlineData"]["mimeType"], part["fileData"]["mimeType"] = "image/png", "video/mp4"
    return event, filler.marks


@needs_schema
@pytest.mark.parametrize("stream", [False, True])
def test_every_field_of_an_answer_arrives_or_is_documented_as_not_given(stream):
    event, marks = event_with_everything()
    reply = make_reply({"stream_options": {"include_usage": True}}, stream=stream)
    chunks = run(reply, [event])
    given = frames(reply.encode(chunks)) if stream else reply.collect(chunks)
    said = json.dumps(given)
    lost = {path: name for path in marks if (name := _lost(path, str(marks[path]), said))}
    assert {*lost.values()} <= NOT_GIVEN | TRANSLATED, lost
    assert len(marks) - len(lost) > 60


def _lost(path, value, said):
    """Return the field of *path* that is not in what was *said*; None if its *value* is there."""
    if value in said:
        return None
    return next((name for name in path if name in NOT_GIVEN), path[-1])


def test_what_is_not_given_is_documented():
    page = (ROOT / "docs/chat.md").read_text().partition("are not passed on:")[2]
    assert page
    assert not [name for name in NOT_GIVEN if f"`{name}`" not in page]
