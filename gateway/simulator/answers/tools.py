"""What the built-in tools add: code with its results, and citations."""

from gateway.simulator.answers.ask import Ask, Chunk
from gateway.simulator.answers.media import inline, png
from gateway.simulator.refusal import Json

_CODE = "print(sum(range(1, 11)))\n"
_SOURCES = (
    ("https://vertexaisearch.cloud.google.com/grounding-api-redirect/one", "example.com"),
    ("https://vertexaisearch.cloud.google.com/grounding-api-redirect/two", "example.org"),
)
_SENTENCES = ("Das Café schließt um 18 Uhr.", " 巴黎是法国的首都。", " The source says so 😀.")


def code(ask: Ask) -> list[Chunk]:
    """Give two rounds of code, the first failing when the question says "fail".

    The STOP beside the code, in mid-stream, is what real streams of code execution have.
    """
    ids: Json = {"id": "code1"} if ask.model.ids else {}
    failing = "fail" in ask.question.lower()
    outcome = "OUTCOME_FAILED" if failing else "OUTCOME_OK"
    output = "ZeroDivisionError: division by zero\n" if failing else "55\n"
    script: Json = {"executableCode": {"language": "PYTHON", "code": _CODE, **ids}}
    script.update(ask.signature())
    result: Json = {"codeExecutionResult": {"outcome": outcome, "output": output, **ids}}
    plot = [Chunk([inline("image/png", png())])] if "plot" in ask.question.lower() else []
    return [
        Chunk([{"text": "I will run some code.\n"}]),
        Chunk([script], "STOP"),
        Chunk([result]),
        *plot,
        Chunk([{"text": "The sum is 55."}], "STOP"),
    ]


def grounded(ask: Ask) -> list[Chunk]:
    """Give sentences with citations, the metadata in the last chunk."""
    return [
        *(Chunk([{"text": sentence}], extra={"groundingMetadata": {}}) for sentence in _SENTENCES),
        Chunk([{"text": ""}], "STOP", {"groundingMetadata": _grounding(ask), **_urls(ask)}),
    ]


def _grounding(ask: Ask) -> Json:
    return {
        "searchEntryPoint": {"renderedContent": "<div>simulated search</div>"},
        "groundingChunks": [{"web": {"uri": uri, "title": title}} for uri, title in _SOURCES],
        "groundingSupports": _supports(),
        "webSearchQueries": [ask.question[:100]],
    }


def _supports() -> list[Json]:
    """Give a support per sentence: offsets count UTF-8 bytes, a start of 0 is absent."""
    supports, start = [], 0
    for at, sentence in enumerate(_SENTENCES):
        end = start + len(sentence.encode())
        lead = len(sentence) - len(sentence.lstrip())
        segment: Json = {"startIndex": start + lead} if start + lead else {}
        segment.update(endIndex=end, text=sentence.strip())
        supports.append({"segment": segment, "groundingChunkIndices": [at % len(_SOURCES)]})
        start = end
    return supports


def _urls(ask: Ask) -> Json:
    if not any("urlContext" in tool for tool in ask.request.get("tools") or ()):
        return {}
    metadata = {
        "retrievedUrl": "https://example.com/",
        "urlRetrievalStatus": "URL_RETRIEVAL_STATUS_SUCCESS",
    }
    return {"urlContextMetadata": {"urlMetadata": [metadata]}}
