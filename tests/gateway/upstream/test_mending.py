"""What is taken out of a call for a refusal, and when a model is known to refuse it."""

import pytest

from gateway.errors import BadRequest
from gateway.exchange import Notes, UpstreamCall
from gateway.upstream.mending import MOST_MENDS, Mending

REFUSAL = "Developer instruction is not enabled for models/gemma-3"


class Refusals:
    def __init__(self) -> None:
        self.learned = []

    def learn(self, model: str, feature: str) -> None:
        self.learned.append((model, feature))


def call() -> UpstreamCall:
    contents = [{"role": "user", "parts": [{"text": "Hello"}]}]
    system = {"parts": [{"text": "Be kind."}]}
    return UpstreamCall("gemma-3", {"contents": contents, "systemInstruction": system}, False)


def test_what_helped_is_remembered_of_the_model():
    mending = Mending(refusals := Refusals(), Notes())
    mended = mending.mend(call(), REFUSAL)
    assert "systemInstruction" not in mended.body
    assert refusals.learned == []
    mending.prove()
    mending.prove()
    assert refusals.learned == [("gemma-3", "system")]


def test_a_change_after_which_the_same_is_said_proves_nothing():
    mending = Mending(refusals := Refusals(), Notes())
    mended = mending.mend(call(), REFUSAL)
    mending.prove(REFUSAL)
    mending.prove()
    assert mending.mend(mended, REFUSAL) is None
    assert refusals.learned == []


def test_another_complaint_proves_the_change_before_it():
    mending = Mending(refusals := Refusals(), Notes())
    mending.mend(call(), REFUSAL)
    mending.prove("Something else is wrong.")
    assert refusals.learned == [("gemma-3", "system")]


def test_what_nobody_understands_mends_nothing():
    assert Mending(Refusals(), Notes()).mend(call(), "No.") is None


def test_a_client_that_allows_no_change_is_refused():
    notes = Notes()
    notes.is_strict = True
    with pytest.raises(BadRequest) as refused:
        Mending(Refusals(), notes).mend(call(), REFUSAL)
    assert refused.value.code == "strict_mode"


def test_only_so_many_refusals_are_mended():
    mending = Mending(Refusals(), Notes())
    for number in range(MOST_MENDS):
        assert mending.mend(call(), f"{REFUSAL} {number}") is not None
    assert mending.mend(call(), REFUSAL) is None
