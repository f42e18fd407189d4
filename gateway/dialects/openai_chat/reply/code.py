"""Code that Gemini wrote and ran: fenced blocks in `content`, and the same as a list."""

import re

from gateway.dialects.openai_chat.reply.choice import Choice
from gateway.exchange import Json

_TICKS = re.compile(r"`{3,}")
_HEADINGS = {
    "OUTCOME_FAILED": "Code execution failed:\n\n",
    "OUTCOME_DEADLINE_EXCEEDED": "Code execution took too long:\n\n",
}


def executable_code(choice: Choice, part: Json) -> list[Json]:
    """Return the delta that shows the code of *part*."""
    source = part["executableCode"]
    code, language = source.get("code") or "", (source.get("language") or "python").lower()
    item = {"type": "code", **_id(source), "language": language, "code": code}
    return _delta(choice, part, _fenced(language, code), item)


def execution_result(choice: Choice, part: Json) -> list[Json]:
    """Return the delta that shows the result of running the code, failures included."""
    source = part["codeExecutionResult"]
    output, outcome = source.get("output") or "", source.get("outcome") or "OUTCOME_UNSPECIFIED"
    word = outcome.removeprefix("OUTCOME_").lower()
    item = {"type": "result", **_id(source), "outcome": word, "output": output}
    block = _HEADINGS.get(outcome, "") + _fenced("output", output)
    return _delta(choice, part, block, item)


def _delta(choice: Choice, part: Json, block: str, item: Json) -> list[Json]:
    text = choice.break_before() + block
    choice.add_part(part)
    # OpenAI's own client joins lists by the index of their entries, and fails without one.
    item["index"] = choice.executions
    choice.executions += 1
    return [{**choice.insert(text), "code_execution": [item]}]


def _fenced(info: str, text: str) -> str:
    """Return *text* as a fenced block whose fence is longer than any run of backticks in it."""
    longest = max(map(len, _TICKS.findall(text)), default=2)
    fence = "`" * (longest + 1)
    body = text if not text or text.endswith("\n") else f"{text}\n"
    return f"{fence}{info}\n{body}{fence}\n"


def _id(source: Json) -> Json:
    return {"id": str(source["id"])} if source.get("id") else {}
