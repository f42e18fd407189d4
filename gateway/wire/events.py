"""Events that have none of the shapes in which Gemini is known to answer."""

from typing import Final

STRANGE: Final = "Gemini sent an event that cannot be understood."
