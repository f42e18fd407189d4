"""The models that a license covers."""

from fnmatch import fnmatchcase

from gateway.errors import Forbidden
from gateway.exchange import License


def require_model(license_: License, model: str) -> None:
    """Raise `Forbidden` unless one of the license's globs, if it has any, matches *model*."""
    patterns = license_.models
    if patterns and not any(fnmatchcase(model, pattern) for pattern in patterns):
        raise Forbidden(
            f"The license does not cover the model {model!r}.",
            param="model",
            code="model_not_allowed",
        )
