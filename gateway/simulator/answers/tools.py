"""What the built-in tools add: code with its results, actions on a screen, and sources."""

from gateway.simulator.answers import sources
from gateway.simulator.answers.ask import Ask, Chunk
from gateway.simulator.answers.calls import call_id
from gateway.simulator.answers.media import inline, png
from gateway.simulator.refusal import Json

_CODE = "print(sum(range(1, 11)))\n"
_SENTENCES = ["Das Café schließt um 18 Uhr.", " 巴黎是法国的首都。", " The source says so 😀."]


def code(ask: Ask) -> list[Chunk]:
    """Give code, its output and a text about it; the STOP beside the code is as real ones have."""
    return [
        Chunk([{"text": "I will run some code.\n"}]),
        *_executed(ask),
        Chunk([{"text": "The sum is 55."}], "STOP"),
    ]


def sourced(ask: Ask, sentences: list[str] | None = None) -> list[Chunk]:
    """Give *sentences* with their sources, the metadata in the last chunk.

    Where code execution is on, code stands behind the first sentence.
    """
    first, *rest = sentences or _SENTENCES
    told = sources.metadata(ask, [first, *rest])
    early: Json = {"groundingMetadata": {}} if "groundingMetadata" in told else {}
    signature = ask.signature() if ask.model.signs else {}
    return [
        *_invocations(ask),
        Chunk([{"text": first}], extra=early),
        *(_executed(ask) if ask.uses("codeExecution") else ()),
        *(Chunk([{"text": sentence}], extra=early) for sentence in rest),
        Chunk([{"text": "", **signature}], "STOP", told),
    ]


def action(ask: Ask) -> list[Chunk]:
    """Give an action on the screen that the client shall carry out."""
    made: Json = {"name": "click_at", "args": {"x": 500, "y": 120}}
    if ask.model.ids:
        made = {"id": call_id(ask, 0), **made}
    return [
        Chunk([{"text": "I will click the field."}]),
        Chunk([{"functionCall": made, **ask.signature()}], "STOP"),
    ]


def _executed(ask: Ask) -> list[Chunk]:
    """Give code and its output: failing when the question says "fail", with a plot if "plot"."""
    ids: Json = {"id": "code1"} if ask.model.ids else {}
    failing = "fail" in ask.question.lower()
    outcome = "OUTCOME_FAILED" if failing else "OUTCOME_OK"
    output = "ZeroDivisionError: division by zero\n" if failing else "55\n"
    script: Json = {"executableCode": {"language": "PYTHON", "code": _CODE, **ids}}
    script.update(ask.signature())
    result: Json = {"codeExecutionResult": {"outcome": outcome, "output": output, **ids}}
    plot = [Chunk([inline("image/png", png())])] if "plot" in ask.question.lower() else []
    return [Chunk([script], "STOP"), Chunk([result]), *plot]


def _invocations(ask: Ask) -> list[Chunk]:
    """Give what the model asked tools on Google's side, where the request wants to see it."""
    if not (ask.request.get("toolConfig") or {}).get("includeServerSideToolInvocations"):
        return []
    chunks = []
    for at, name in enumerate(sources.asked(ask)):
        kind = sources.TOOL_TYPES[name]
        told: Json = {"id": call_id(ask, at), "toolType": kind}
        call = {"toolCall": {**told, "args": {"queries": [ask.question[:100]]}}}
        response = {"toolResponse": {**told, "response": {"result": "simulated"}}}
        chunks.append(Chunk([{**call, **ask.signature()}, {**response, **ask.signature()}]))
    return chunks
