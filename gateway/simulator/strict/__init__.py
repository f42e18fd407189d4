"""Google's strictness: what the real API refuses with a 400 is refused here, too.

`shape` checks JSON against the message types in `types` and returns it in one spelling; the other
modules check what types cannot express: turns, signatures, options of the model, tools, media.
"""

from collections.abc import Callable

from gateway.simulator.models import Model
from gateway.simulator.refusal import Json
from gateway.simulator.strict import media, options, schemas, signatures, tools, turns
from gateway.simulator.strict.shape import normalise

__all__ = ["generate", "normalise"]

_CHECKS: tuple[Callable[[Json, Model], None], ...] = (
    turns.check,
    media.check,
    options.check,
    tools.check,
    schemas.check,
    signatures.check,
)


def generate(body: object, model: Model) -> Json:
    """Return *body* as a GenerateContentRequest in one spelling. Raises `Refusal` as Google."""
    request: Json = normalise(body, "GenerateContentRequest")
    for check in _CHECKS:
        check(request, model)
    return request
