"""What the built-in tools add: code with its results, actions on a screen, and sources."""

from gateway.simulator.answers import sources
from gateway.simulator.answers.calls import call_id
from gateway.simulator.answers.media import inline, png
from gateway.simulator.answers.request import Chunk, Request
from gateway.simulator.refusal import Json

_CODE = "print(sum(range(1, 11)))\n"
_SENTENCES = ["Das Café schließt um 18 Uhr.", " 巴黎是法国的首都。", " The source says so 😀."]


def code(request: Request) -> list[Chunk]:
    """Return code, its output and a text about it; as in real answers, the code has a STOP."""
    return [
        Chunk([{"text": "I will run some code.\n"}]),
        *_executed(request),
        Chunk([{"text": "The sum is 55."}], "STOP"),
    ]


def sourced(request: Request, sentences: list[str] | None = None) -> list[Chunk]:
    """Return *sentences* with their sources, the metadata in the last chunk.

    If code execution is on, code follows the first sentence.
    """
    first, *rest = sentences or _SENTENCES
    metadata = sources.metadata(request, [first, *rest])
    early: Json = {"groundingMetadata": {}} if "groundingMetadata" in metadata else {}
    signature = request.signature() if request.model.signs else {}
    return [
        *_invocations(request),
        Chunk([{"text": first}], extra=early),
        *(_executed(request) if request.uses("codeExecution") else ()),
        *(Chunk([{"text": sentence}], extra=early) for sentence in rest),
        Chunk([{"text": "", **signature}], "STOP", metadata),
    ]


def action(request: Request) -> list[Chunk]:
    """Return an action on the screen that the client must carry out."""
    function_call: Json = {"name": "click_at", "args": {"x": 500, "y": 120}}
    if request.model.ids:
        function_call = {"id": call_id(request, 0), **function_call}
    return [
        Chunk([{"text": "I will click the field."}]),
        Chunk([{"functionCall": function_call, **request.signature()}], "STOP"),
    ]


def _executed(request: Request) -> list[Chunk]:
    """Return code and its output: failing when the question says "fail", with a plot if "plot"."""
    ids: Json = {"id": "code1"} if request.model.ids else {}
    failing = "fail" in request.question.lower()
    outcome = "OUTCOME_FAILED" if failing else "OUTCOME_OK"
    output = "ZeroDivisionError: division by zero\n" if failing else "55\n"
    script: Json = {"executableCode": {"language": "PYTHON", "code": _CODE, **ids}}
    script.update(request.signature())
    result: Json = {"codeExecutionResult": {"outcome": outcome, "output": output, **ids}}
    plot = [Chunk([inline("image/png", png())])] if "plot" in request.question.lower() else []
    return [Chunk([script], "STOP"), Chunk([result]), *plot]


def _invocations(request: Request) -> list[Chunk]:
    """Return the invocations of tools on Google's side, if the request wants to see them."""
    if not (request.body.get("toolConfig") or {}).get("includeServerSideToolInvocations"):
        return []
    chunks = []
    for at, name in enumerate(sources.source_tools(request)):
        kind = sources.TOOL_TYPES[name]
        invocation: Json = {"id": call_id(request, at), "toolType": kind}
        call = {"toolCall": {**invocation, "args": {"queries": [request.question[:100]]}}}
        response = {"toolResponse": {**invocation, "response": {"result": "simulated"}}}
        chunks.append(Chunk([{**call, **request.signature()}, {**response, **request.signature()}]))
    return chunks
