"""The simulator is no stricter than the real API: what that accepted, it accepts."""

import re

from gateway.simulator.models import LOW_TO_HIGH, MINIMAL_TO_HIGH, MODELS, Model
from gateway.simulator.refusal import Refusal
from gateway.simulator.strict import generate
from tests.discovery import needs_schema
from tests.gateway.simulator.recorded import requests

# The API took a user turn that is one empty text from gemini-3-flash-preview; elsewhere users
# report a 400 for it, so the gateway must never send it.
EMPTY_TURN = "contents[0].parts[0].data: required oneof field 'data' must have one initialized"


def model_of(name):
    """Return the model of this name, or for one that is gone a like one."""
    if name in MODELS:
        return MODELS[name]
    version = re.search(r"gemini-(\d)(?:\.(\d))?", name)
    numbers = (int(version[1]), int(version[2] or 0)) if version else (2, 0)
    kind = "image" if "image" in name else "tts" if "tts" in name else "chat"
    if numbers < (3, 0):
        return Model(name, numbers, kind, budget=(0, 32_768), budget_off=True)
    return Model(name, numbers, kind, levels=MINIMAL_TO_HIGH if "flash" in name else LOW_TO_HIGH)


def bypassed(value):
    """Return *value* with each signature replaced: the real ones are not the simulator's."""
    if isinstance(value, list):
        return [bypassed(item) for item in value]
    if isinstance(value, dict):
        return {
            name: "skip_thought_signature_validator"
            if name in {"thoughtSignature", "thought_signature"}
            else bypassed(item)
            for name, item in value.items()
        }
    return value


@needs_schema
def test_what_the_real_api_accepted_is_accepted():
    generations = [one for one in requests() if one.action.endswith("enerateContent")]
    assert len(generations) > 500
    refused = []
    for one in generations:
        try:
            generate(bypassed(one.body), model_of(one.model))
        except Refusal as refusal:
            refused.append((one.id, refusal.message))
    assert [(id_, said) for id_, said in refused if EMPTY_TURN not in said] == []
    assert len(refused) <= 3
