"""Requests for the tests of strictness, and what is answered to them."""

from gateway.simulator.models import MODELS
from gateway.simulator.refusal import Refusal
from gateway.simulator.strict import generate

WEATHER = {
    "name": "weather",
    "parameters": {"type": "OBJECT", "properties": {"city": {"type": "STRING"}}},
}
HELLO = [{"role": "user", "parts": [{"text": "Hello"}]}]


def refusal(body, model="gemini-2.5-flash"):
    """Return the message that *body* is refused with, None when it is accepted."""
    try:
        generate({"contents": HELLO, **body}, MODELS[model])
    except Refusal as refused:
        return refused.message
    return None


def configured(model="gemini-2.5-flash", **config):
    """Return the message that a generationConfig is refused with."""
    return refusal({"generationConfig": config}, model)
