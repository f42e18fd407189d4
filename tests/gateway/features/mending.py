"""Bodies that a model refused, mended."""

from gateway.exchange import Notes, UpstreamCall
from gateway.healing import heal

CONTENTS = [{"role": "user", "parts": [{"text": "Hi"}]}]
FUNCTIONS = {"functionDeclarations": [{"name": "f"}]}


def mended(message, config=None, **body):
    """Return the mended call, if it can be, after the refusal *message*, and its notes."""
    whole_body = {"contents": CONTENTS, **body}
    if config is not None:
        whole_body["generationConfig"] = config
    notes = Notes()
    healed = heal(UpstreamCall("m", whole_body, stream=False), message, notes)
    return healed, notes
