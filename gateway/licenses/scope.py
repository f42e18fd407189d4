"""The models that a license covers."""

from fnmatch import fnmatchcase

from gateway.errors import Forbidden
from gateway.exchange import License


def covers(license_: License, model: str) -> bool:
    """Tell whether one of the license's globs, if it has any, matches *model*."""
    return not license_.models or any(fnmatchcase(model, glob) for glob in license_.models)


def require_model(license_: License, model: str) -> None:
    """Raise `Forbidden` unless *license_* covers *model*."""
    if not covers(license_, model):
        raise Forbidden(
            f"The license does not cover the model {model!r}.",
            param="model",
            code="model_not_allowed",
        )
