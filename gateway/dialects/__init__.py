"""How clients speak: one folder a dialect."""

from gateway.dialects.openai_chat import DIALECT as OPENAI_CHAT
from gateway.exchange import Dialect

DIALECTS: dict[str, Dialect] = {OPENAI_CHAT.name: OPENAI_CHAT}
