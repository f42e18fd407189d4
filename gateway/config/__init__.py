"""Reads `config.toml` and the environment into `Settings`, or reports exactly what is wrong.

The raw tree is checked along the types of `gateway.settings`, so that every message names the path
(`upstream.credentials[1].weight`) and, for an unknown name, the nearest known one. Secrets are
resolved last; no message ever holds one.
"""

import os
import tomllib
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from difflib import get_close_matches
from pathlib import Path
from types import UnionType
from typing import Any, get_args, get_origin

import msgspec
from msgspec.structs import FieldInfo

from gateway.config import checks, secrets
from gateway.config.files import content
from gateway.settings import ConfigError, Section, Settings
from gateway.zones import zone_of

PREFIX = "GATEWAY_"
DEFAULT_PATH = Path("config.toml")
DEFAULTS = Path(__file__).parents[1] / "defaults.toml"

NO_CREDENTIAL = (
    "There is no Gemini key. Either set the environment variable GEMINI_API_KEY, or name keys "
    "under [[upstream.credentials]] in the configuration (key_env, key_file or key). "
    "To try the gateway without a key: python -m gateway demo"
)


def load(path: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Return the checked settings of the file at *path*, with the secrets resolved.

    Without *path* it is the file named by `GATEWAY_CONFIG`, else `config.toml` in the working
    directory if there is one. Every credential has its `key` afterwards, every license its `key` or
    its `key_sha256`. Raises `ConfigError`.
    """
    environ = os.environ if environ is None else environ
    settings = read(path, environ)
    try:
        return secrets.resolve(settings, environ)
    except ValueError as error:
        raise ConfigError(str(error)) from None


def read(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """Return the checked settings without resolving secrets, for commands that need none."""
    tree = _dated(_merged(_defaults(), _tree(path, environ)))
    _check_section(tree, Settings, "")
    for name, place, text in _overrides(environ):
        _override(tree, name, place, text)
    settings = msgspec.convert(tree, Settings)
    try:
        checks.check(settings)
    except ValueError as error:
        raise ConfigError(str(error)) from None
    return settings


def require_credentials(settings: Settings) -> None:
    """Raise `ConfigError` unless there is a key for upstream."""
    if not settings.upstream.credentials:
        raise ConfigError(NO_CREDENTIAL)


def nearest(name: str, known_names: list[str]) -> str:
    """Return the message about an unknown *name*, with the nearest of *known_names*."""
    matches = get_close_matches(name, known_names, n=1, cutoff=0.5)
    return (
        f"did you mean {matches[0]!r}?" if matches else f"known: {', '.join(sorted(known_names))}"
    )


def _tree(path: Path | None, environ: Mapping[str, str]) -> dict[str, Any]:
    chosen = path or (Path(environ["GATEWAY_CONFIG"]) if environ.get("GATEWAY_CONFIG") else None)
    if chosen is None and not DEFAULT_PATH.exists():
        return {}
    chosen = chosen or DEFAULT_PATH
    try:
        return tomllib.loads(content(chosen).decode("utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"{chosen}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{chosen}: is not UTF-8 text") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{chosen}: not TOML: {error}") from error


def _defaults() -> dict[str, Any]:
    return tomllib.loads(DEFAULTS.read_text(encoding="utf-8"))


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Merge the file into the shipped tables: `models.replacements` and `models.prices` by name."""
    models = above.get("models")
    if models is not None and not isinstance(models, dict):
        return above
    merged = dict(models or {})
    for name, table in below["models"].items():
        own = merged.get(name, {})
        merged[name] = {**table, **own} if isinstance(own, dict) else own
    return {**above, "models": merged}


def _dated(tree: dict[str, Any]) -> dict[str, Any]:
    """Turn each `expires` into a moment: a day means its beginning, in the license's time zone."""
    licenses = tree.get("licenses")
    for table in licenses if isinstance(licenses, list) else ():
        expires = table.get("expires") if isinstance(table, dict) else None
        if isinstance(expires, date):
            moment = datetime.fromisoformat(expires.isoformat())
            zone = zone_of(table.get("timezone", "UTC")) or UTC
            table["expires"] = moment if moment.tzinfo else moment.replace(tzinfo=zone)
    return tree


def _fields(kind: type[Section]) -> dict[str, FieldInfo]:
    return {field.name: field for field in msgspec.structs.fields(kind)}


def _check_section(value: Any, kind: type[Section], path: str) -> None:
    if not isinstance(value, dict):
        raise ConfigError(f"{path}: must be a table, not {_type_name(value)}")
    fields = _fields(kind)
    for name, item in value.items():
        place = f"{path}.{name}" if path else name
        if name not in fields:
            raise ConfigError(f"{place}: unknown option; {nearest(name, list(fields))}")
        _check(item, fields[name].type, place)
    for name, field in fields.items():
        if field.required and name not in value:
            raise ConfigError(f"{path}: the option {name!r} is missing")


def _check(value: Any, kind: Any, path: str) -> None:
    """Check *value* against the type *kind*; tables recurse, msgspec checks everything else."""
    origin, arguments = get_origin(kind), get_args(kind)
    if _is_section(kind):
        _check_section(value, kind, path)
    elif origin is tuple and _is_section(arguments[0]) and isinstance(value, list):
        for index, item in enumerate(value):
            _check_section(item, arguments[0], f"{path}[{index}]")
    elif origin is dict and isinstance(value, dict):
        for name, item in value.items():
            _check(item, arguments[1], f"{path}.{name}")
    elif origin is UnionType and _is_section(arguments[0]):
        _check_section(value, arguments[0], path)
    else:
        _convert(value, kind, path, strict=True)


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Section)


def _convert(value: Any, kind: Any, path: str, *, strict: bool) -> Any:
    try:
        return msgspec.convert(value, kind, strict=strict)
    except msgspec.ValidationError as error:
        # msgspec appends " - at `$[0]`" for places inside a list.
        reason, _, place = str(error).partition(" - at `$")
        if reason.startswith("Invalid enum value"):
            reason += f"; one of: {', '.join(map(str, get_args(kind)))}"
        if "RFC3339" in reason:
            reason += "; expected a day such as 2027-01-01, or 2027-01-01T12:00:00Z"
        raise ConfigError(f"{path}{place.rstrip('`')}: {reason[0].lower()}{reason[1:]}") from None


def _type_name(value: Any) -> str:
    names = {str: "text", bool: "a boolean", int: "a number", float: "a number", list: "a list"}
    return names.get(type(value), type(value).__name__)


def _overrides(environ: Mapping[str, str]) -> Iterator[tuple[str, list[str], str]]:
    for name, text in sorted(environ.items()):
        if name.startswith(PREFIX) and "__" in name:
            yield name, name.removeprefix(PREFIX).lower().split("__"), text


def _override(tree: dict[str, Any], variable: str, place: list[str], text: str) -> None:
    """Set one scalar of *tree* from the environment; *place* is its section and its name."""
    sections = {name: field.type for name, field in _fields(Settings).items()}
    sections = {name: kind for name, kind in sections.items() if _is_section(kind)}
    section, key = place[0], "__".join(place[1:])
    if section not in sections:
        raise ConfigError(f"{variable}: no section {section!r}; {nearest(section, list(sections))}")
    options = _fields(sections[section])
    if key not in options:
        raise ConfigError(f"{variable}: no option {key!r}; {nearest(key, list(options))}")
    kind = options[key].type
    if any(get_origin(part) in {tuple, dict} for part in (kind, *get_args(kind))):
        raise ConfigError(f"{variable}: lists and tables can only be set in the file")
    tree.setdefault(section, {})[key] = _convert(text, kind, variable, strict=False)
