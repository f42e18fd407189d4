"""A request for vectors in one line, and what it notes."""

from gateway.dialects.openai_embeddings import DIALECT
from gateway.exchange import Known, Notes

MODEL = "gemini-embedding-001"


def ask(*, refusals=frozenset(), alias=None, **fields):
    """Return payload, call and notes of a checked request."""
    payload = {"model": MODEL, "input": "Hi", **fields}
    DIALECT.check(payload)
    notes = Notes()
    known = Known(exchange_id="x", model=alias, refusals=refusals)
    return payload, DIALECT.call(payload, known, notes), notes
