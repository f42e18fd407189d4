"""Checks JSON against the message types, returns it in camelCase with upper-case enum values.

As the real API does, it accepts snake_case names, enum values in any case, a single value where a
list is expected and null for an unset field; one 400 names all faults of a body.
"""

import base64
import binascii
import math
import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from gateway.simulator.refusal import bad_request
from gateway.simulator.strict.config_types import CONFIG, TOOLS
from gateway.simulator.strict.types import CONTENTS, REQUESTS, Field

_MESSAGES: dict[str, dict[str, Field]] = {**REQUESTS, **CONTENTS, **CONFIG, **TOOLS}
_PACKAGE = "type.googleapis.com/google.ai.generativelanguage.v1beta."
_STANDARD = str.maketrans("-_", "+/")
_Violations = list[tuple[str, str]]
# The fields of which a Part may hold only one.
_DATA = frozenset(
    {
        "text", "inlineData", "fileData", "functionCall", "functionResponse", "executableCode",
        "codeExecutionResult", "toolCall", "toolResponse",
    }
)  # fmt: skip


def normalise(value: object, type_: str) -> Any:
    """Return *value* as a message of *type_* in one spelling; raise `Refusal` for any fault."""
    violations: _Violations = []
    result = _message(value, type_, "", violations)
    if violations:
        raise bad_request(*violations)
    return result


@cache
def snake(name: str) -> str:
    """Return *name* in snake_case, as Google's messages spell paths."""
    return re.sub(r"(?<=[a-z0-9])([A-Z])", lambda match: "_" + match[0].lower(), name)


@cache
def _names(type_: str) -> Mapping[str, str]:
    fields = _MESSAGES[type_]
    return {**{snake(name): name for name in fields}, **{name: name for name in fields}}


def _message(value: object, type_: str, path: str, violations: _Violations) -> Any:
    if not isinstance(value, dict):
        violations.append((path, f"Invalid value at '{path}' ({_PACKAGE}{type_}), {_show(value)}"))
        return {}
    fields, names = _MESSAGES[type_], _names(type_)
    result: dict[str, Any] = {}
    for key, item in value.items():
        name = names.get(key)
        if name is None:
            violations.append((path, _unknown(key, path, "Cannot find field.")))
        elif item is not None:
            if name in _DATA and type_ == "Part" and (other := _DATA & result.keys()):
                violations.append((path, _already_set(path, other, name)))
            result[name] = _field(
                item, fields[name], f"{path}.{snake(name)}".lstrip("."), violations
            )
    return result


def _already_set(path: str, other: frozenset[str], name: str) -> str:
    return (
        f"Invalid value at '{path}' (oneof), oneof field 'data' is already set by"
        f" {min(other)!r}. Cannot set '{name}'"
    )


def _field(value: object, field: Field, path: str, violations: _Violations) -> Any:
    if field.many:
        items = value if isinstance(value, list) else [value]
        return [_one(item, field, f"{path}[{at}]", violations) for at, item in enumerate(items)]
    if isinstance(value, list) and field.type != "any":
        parent, _, name = path.rpartition(".")
        fault = _unknown(name, parent, "Proto field is not repeating, cannot start list.")
        violations.append((parent, fault))
        return None
    if field.keyed:
        return _map(value, field, path, violations)
    return _one(value, field, path, violations)


def _map(value: object, field: Field, path: str, violations: _Violations) -> Any:
    if not isinstance(value, dict):
        violations.append((path, f"Invalid value at '{path}' (Map), {_show(value)}"))
        return {}
    return {
        key: _one(item, field, f"{path}[{at}].value", violations)
        for at, (key, item) in enumerate(value.items())
    }


def _one(value: object, field: Field, path: str, violations: _Violations) -> Any:
    if field.values is not None:
        return _enum(value, field, path, violations)
    if field.type in _MESSAGES:
        return _message(value, field.type, path, violations)
    wire_name, check = _SCALARS[field.type]
    try:
        return check(value)
    except (TypeError, ValueError, OverflowError):
        violations.append((path, f"Invalid value at '{path}' ({wire_name}), {_show(value)}"))
        return None


def _enum(value: object, field: Field, path: str, violations: _Violations) -> Any:
    if isinstance(value, str) and value.upper() in (field.values or ()):
        return value.upper()
    violations.append((path, f"Invalid value at '{path}' ({_PACKAGE}{field.type}), {_show(value)}"))
    return None


def _unknown(name: str, path: str, why: str) -> str:
    at = f" at '{path}'" if path else ""
    return f'Invalid JSON payload received. Unknown name "{name}"{at}: {why}'


def _show(value: object) -> str:
    return f'"{value}"' if isinstance(value, str) else str(value)[:100]


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _bool(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError
    return value


def _number(value: object) -> float:
    # Proto JSON accepts numbers as strings, too.
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError
    number = float(value)
    if not math.isfinite(number):
        raise ValueError
    return number


def _whole(bits: int) -> Callable[[object], int]:
    def check(value: object) -> int:
        number = _number(value)
        if number != int(number) or not -(2 ** (bits - 1)) <= number < 2 ** (bits - 1):
            raise ValueError
        return int(number)

    return check


def _bytes(value: object) -> str:
    text = _string(value)
    plain = text.translate(_STANDARD).rstrip("=")
    try:
        base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except binascii.Error as error:
        raise ValueError from error
    return text


def _object(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError
    return value


def _duration(value: object) -> str:
    text = _string(value)
    if not re.fullmatch(r"-?\d+(\.\d{1,9})?s", text):
        raise ValueError
    return text


_SCALARS: dict[str, tuple[str, Callable[[object], Any]]] = {
    "string": ("TYPE_STRING", _string),
    "bytes": ("TYPE_BYTES", _bytes),
    "duration": ("type.googleapis.com/google.protobuf.Duration", _duration),
    "time": ("type.googleapis.com/google.protobuf.Timestamp", _string),
    "int32": ("TYPE_INT32", _whole(32)),
    "int64": ("TYPE_INT64", _whole(64)),
    "float": ("TYPE_FLOAT", _number),
    "bool": ("TYPE_BOOL", _bool),
    "any": ("Value", lambda value: value),
    "object": ("type.googleapis.com/google.protobuf.Struct", _object),
}
