"""The protocols of clients: one package per dialect, an implementation of `exchange.Dialect`.

No I/O: a dialect turns payloads into calls, and events into the client's chunks. What models refuse
is in `gateway.features`.
"""

from gateway.dialects.gemini import DIALECT as GEMINI
from gateway.dialects.openai_chat import DIALECT as OPENAI_CHAT
from gateway.dialects.openai_embeddings import DIALECT as OPENAI_EMBEDDINGS
from gateway.exchange import Dialect

__all__ = ["DIALECTS", "GEMINI", "OPENAI_CHAT", "OPENAI_EMBEDDINGS"]

# By the first word of the names of their routes.
DIALECTS: dict[str, Dialect] = {
    dialect.name: dialect for dialect in (OPENAI_CHAT, OPENAI_EMBEDDINGS, GEMINI)
}
