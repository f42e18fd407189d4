import pytest

from tests.gateway.dialects.openai_chat.replying import (
    deltas,
    event,
    make_reply,
    message,
    run,
    stop,
)

CODE = {"executableCode": {"language": "PYTHON", "code": "print(2)"}}
RESULT = {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "2\n"}}


def test_code_and_output_are_fenced_blocks_in_order():
    """Seen elsewhere: code execution parts were dropped."""
    answer = message([event("Let me count:"), event(CODE), event(RESULT), stop("It is 2.")])
    assert answer["content"] == (
        "Let me count:\n\n```python\nprint(2)\n```\n\n```output\n2\n```\nIt is 2."
    )
    assert answer["code_execution"] == [
        {"type": "code", "language": "python", "code": "print(2)"},
        {"type": "result", "outcome": "ok", "output": "2\n"},
    ]


def test_a_stop_between_code_and_result_ends_nothing():
    """Seen elsewhere: the answer behind such a STOP was lost, or clients stopped reading."""
    chunks = run(make_reply(), [stop(CODE), event(RESULT), stop("2")])
    reasons = [choice["finish_reason"] for chunk in chunks for choice in chunk["choices"]]
    assert [reason for reason in reasons if reason] == ["stop"]
    assert reasons[-1] == "stop"
    assert deltas(chunks)[-1] == {"content": "2"}


def test_several_results_of_one_code_are_all_told():
    answer = message([event(CODE, RESULT, RESULT), stop("ok")])
    assert [item["type"] for item in answer["code_execution"]] == ["code", "result", "result"]
    assert answer["content"].count("```output") == 2


@pytest.mark.parametrize(
    ("outcome", "heading", "word"),
    [
        ("OUTCOME_FAILED", "Code execution failed:", "failed"),
        ("OUTCOME_DEADLINE_EXCEEDED", "Code execution took too long:", "deadline_exceeded"),
    ],
)
def test_failures_are_visible(outcome, heading, word):
    result = {"codeExecutionResult": {"outcome": outcome, "output": "Traceback", "id": "c1"}}
    answer = message([event(CODE), stop(result)])
    assert answer["content"].endswith(f"{heading}\n\n```output\nTraceback\n```\n")
    assert answer["code_execution"][1] == {
        "type": "result",
        "id": "c1",
        "outcome": word,
        "output": "Traceback",
    }


def test_a_fence_within_the_code_does_not_end_the_block():
    code = {"executableCode": {"code": "'''\n```\n'''\n"}}
    answer = message([event("x\n", code, {"codeExecutionResult": {}}), stop("")])
    assert answer["content"] == "x\n\n````python\n'''\n```\n'''\n````\n\n```output\n```\n"


def test_only_a_stream_counts_its_entries():
    """OpenAI's own client joins lists by index."""
    chunks = run(make_reply(), [event(CODE), event(RESULT), stop("2")])
    items = [item for delta in deltas(chunks) for item in delta.get("code_execution", ())]
    assert [item["index"] for item in items] == [0, 1]
    answer = message([event(CODE), event(RESULT), stop("2")])
    assert not any("index" in item for item in answer["code_execution"])
