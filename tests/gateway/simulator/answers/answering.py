"""Request for answers, streamed and whole, and see that every event is sound."""

from gateway.simulator.answers import Request, stream, whole
from gateway.simulator.models import MODELS
from gateway.simulator.strict import generate
from tests.discovery import SCHEMA, validate

FLASH, NEW = "gemini-2.5-flash", "gemini-3.5-flash"


def checked(question, model=FLASH, *, parts=(), **fields):
    contents = [{"role": "user", "parts": [*parts, {"text": question}]}]
    table = MODELS[model]
    return Request(generate({"contents": contents, **fields}, table), table)


def events(question, model=FLASH, **fields):
    """Return the streamed answer; see that it fits the schema and that its counts add up."""
    got = list(stream(checked(question, model, **fields)))
    for event in [*got, whole(checked(question, model, **fields))]:
        usage = event["usageMetadata"]
        names = ("prompt", "candidates", "thoughts", "toolUsePrompt")
        assert usage["totalTokenCount"] == sum(usage.get(f"{name}TokenCount", 0) for name in names)
        if SCHEMA.exists():
            assert validate(event, "GenerateContentResponse") == []
    return got


def parts_of(answer):
    return answer["candidates"][0]["content"].get("parts", [])


def answer(question, model=FLASH, **fields):
    """Return the whole answer; see that the stream says the same."""
    said = "".join(
        part.get("text", "")
        for event in events(question, model, **fields)
        for part in parts_of(event)
    )
    result = whole(checked(question, model, **fields))
    assert "".join(part.get("text", "") for part in parts_of(result)) == said
    return result


def text(question, model=FLASH, **fields):
    return "".join(
        part.get("text", "")
        for part in parts_of(answer(question, model, **fields))
        if not part.get("thought")
    )
