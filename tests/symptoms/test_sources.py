"""Citations and executed code: all of it arrives, in order, and points at the right letters."""

import pytest

from tests.symptoms.reply import ask, says

SEARCH = [{"type": "function", "function": {"name": "googleSearch"}}]
FIRST, SECOND = "Das Café öffnet. ", "巴黎很美 😀."
SOURCES = [
    {"web": {"uri": "https://one.example/", "title": "One"}},
    {"web": {"uri": "https://two.example/", "title": "Two"}},
]


def segment(text: str, *, start: int | None) -> dict:
    """Return the place of *text* as Gemini tells it: in bytes, and no start where that is 0."""
    before = {} if start is None else {"startIndex": start}
    return {**before, "endIndex": (start or 0) + len(text.encode()), "text": text}


GROUNDING = {
    "webSearchQueries": ["café"],
    "groundingChunks": SOURCES,
    "groundingSupports": [
        {"segment": segment(FIRST.strip(), start=None), "groundingChunkIndices": [0]},
        {"segment": segment(SECOND, start=len(FIRST.encode())), "groundingChunkIndices": [0, 1]},
    ],
}


def places(reply) -> list[tuple[str, str]]:
    """Return address and covered text of each annotation."""
    found = [one["url_citation"] for one in reply.message["annotations"]]
    return [(one["url"], reply.text[one["start_index"] : one["end_index"]]) for one in found]


@pytest.mark.parametrize("together", [False, True], ids=["at the end", "beside the text"])
async def test_citations_cover_the_letters_that_gemini_meant(scripted, streaming, together):
    """The first one begins at 0, which Gemini leaves out; its bytes become code points.

    Reported in BerriAI/litellm#41492, BerriAI/litellm#42134, BerriAI/litellm#10237,
    BerriAI/litellm#20002, BerriAI/litellm#14140.
    """
    metadata = {"groundingMetadata": GROUNDING}
    if together:
        events = [says({"text": FIRST}), says({"text": SECOND}, finish="STOP", **metadata)]
    else:
        events = [says({"text": FIRST}), says({"text": SECOND}), says(finish="STOP", **metadata)]
    async with scripted(events) as (gateway, _):
        reply = await ask(gateway, streaming=streaming, tools=SEARCH)
    assert places(reply) == [
        ("https://one.example/", FIRST.strip()),
        ("https://one.example/", SECOND),
        ("https://two.example/", SECOND),
    ]
    assert reply.message["annotations"][0]["url_citation"]["start_index"] == 0
    assert reply.message["grounding"]["groundingMetadata"] == GROUNDING


CODE = {"executableCode": {"language": "PYTHON", "code": "print('é')"}}
PLOT = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}


def result(output: str, outcome: str = "OK") -> dict:
    return {"codeExecutionResult": {"outcome": f"OUTCOME_{outcome}", "output": output}}


RUNS = [
    [CODE, result("é\n")],
    [CODE, result("one\n"), result("two\n")],
    [CODE, result("é\n"), PLOT],
    [CODE, result("boom\n", "FAILED"), {"text": "Again. "}, CODE, result("é\n")],
]


@pytest.mark.parametrize(
    "parts", RUNS, ids=["one round", "two results", "a plot", "a failure and a second round"]
)
async def test_all_of_a_code_execution_arrives_in_order(scripted, streaming, parts):
    """Code, every result of it and plots, as text and as a list.

    Reported in BerriAI/litellm#6434, BerriAI/litellm#34802, Portkey#419, vercel/ai#11485,
    vercel/ai#17399.
    """
    tools = [{"type": "function", "function": {"name": "codeExecution"}}]
    events = [says({"text": "I run it. "}), *map(says, parts)]
    events.append(says({"text": "Done."}, finish="STOP"))
    async with scripted(events) as (gateway, _):
        reply = await ask(gateway, streaming=streaming, tools=tools)
    marks = ["I run it."]
    for part in parts:
        if "executableCode" in part:
            marks.append("```python\nprint('é')\n```")
        elif "codeExecutionResult" in part:
            marks.append(f"```output\n{part['codeExecutionResult']['output']}```")
        else:
            marks.append(part.get("text") or "](data:image/png;base64,AAAA)")
    at = 0
    for mark in [*marks, "Done."]:
        at = reply.text.index(mark, at) + len(mark)
    kinds = [one["type"] for one in reply.message["code_execution"]]
    assert kinds == [
        "code" if "executableCode" in part else "result"
        for part in parts
        if "text" not in part and "inlineData" not in part
    ]
    assert ("failed" in reply.text) == ("boom" in reply.text)
    assert reply.finish_reason == "stop"


async def test_code_and_plots_move_the_citations_with_the_text(scripted, streaming):
    """Reported in BerriAI/litellm#41492, BerriAI/litellm#6434."""
    metadata = {"groundingMetadata": GROUNDING}
    events = [
        says({"text": FIRST}),
        says(CODE),
        says(result("é\n"), PLOT),
        says({"text": SECOND}, finish="STOP", **metadata),
    ]
    async with scripted(events) as (gateway, _):
        reply = await ask(gateway, streaming=streaming, tools=SEARCH)
    assert [text for _, text in places(reply)] == [FIRST.strip(), SECOND, SECOND]
