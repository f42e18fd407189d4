import base64

import pytest

from gateway.simulator.models import MODELS
from gateway.simulator.strict.signatures import sign
from tests.gateway.simulator.strict.asking import refusal

NEW, OLD = "gemini-3.5-flash", "gemini-2.5-flash"
VALID = sign(MODELS[NEW])
ASK = {"role": "user", "parts": [{"text": "go"}]}


def step(*signatures):
    """Return a model turn with a call for each of *signatures*, and the turn of its results."""
    calls = [
        {"functionCall": {"name": "f"}, **({"thoughtSignature": one} if one else {})}
        for one in signatures
    ]
    results = [{"functionResponse": {"name": "f", "response": {}}} for _ in signatures]
    return [{"role": "model", "parts": calls}, {"role": "user", "parts": results}]


@pytest.mark.parametrize(
    "contents",
    [
        [ASK, *step(None)],
        [ASK, *step(None, VALID)],
        [ASK, *step(VALID), *step(None)],
        [ASK, *step(None), *step(VALID)],
    ],
)
def test_the_first_call_of_each_step_of_the_current_turn_must_be_signed(contents):
    assert "missing a thought_signature" in refusal({"contents": contents}, NEW)


@pytest.mark.parametrize(
    "contents",
    [
        [ASK, *step(VALID)],
        [ASK, *step(VALID, None)],
        [ASK, *step(VALID), *step(VALID)],
        [ASK, *step(None), ASK],
        [ASK, *step("skip_thought_signature_validator")],
        [ASK, *step("context_engineering_is_the_way_to_go")],
        [ASK, *step(base64.b64encode(b"skip_thought_signature_validator").decode())],
        [ASK, *step("ErYCCrMCAdHtim9kOoOkrPiCNVsmlpMIKd7ZMxgi")],
        [ASK, *step(VALID.replace("+", "-").replace("/", "_"))],
    ],
)
def test_signed_calls_bypasses_and_past_turns_are_accepted(contents):
    assert refusal({"contents": contents}, NEW) is None


@pytest.mark.parametrize("signature", ["aW52ZW50ZWQ=", sign(MODELS[OLD])])
def test_a_signature_of_somebody_else_is_not_valid(signature):
    assert refusal({"contents": [ASK, *step(signature)]}, NEW) == "Thought signature is not valid."


def test_older_models_demand_none():
    assert refusal({"contents": [ASK, *step(None)]}, OLD) is None


def test_signatures_can_be_large_and_are_then_still_known():
    large = sign(MODELS[NEW], 3_000_000)
    assert len(large) == 4_000_000
    assert refusal({"contents": [ASK, *step(large)]}, NEW) is None


def test_image_models_demand_a_signature_on_images_of_the_model():
    picture = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}
    contents = [ASK, {"role": "model", "parts": [picture]}, ASK]
    assert "Image part is missing" in refusal({"contents": contents}, "gemini-3.1-flash-image")
    assert refusal({"contents": contents}, "gemini-2.5-flash-image") is None
    picture["thoughtSignature"] = sign(MODELS["gemini-3.1-flash-image"])
    assert refusal({"contents": contents}, "gemini-3.1-flash-image") is None
