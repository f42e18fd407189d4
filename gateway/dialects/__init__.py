"""How clients speak: one folder a dialect."""

from gateway.dialects.openai_chat import DIALECT as OPENAI_CHAT
from gateway.exchange import Dialect

__all__ = ["DIALECTS", "OPENAI_CHAT"]

# By the first word of the names of their routes.
DIALECTS: dict[str, Dialect] = {OPENAI_CHAT.name: OPENAI_CHAT}
