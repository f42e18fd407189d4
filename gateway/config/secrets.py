"""The secrets of the configuration: given in it, in the environment, or in files."""

from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from gateway.config.files import content
from gateway.licenses.digest import digest, normalised
from gateway.settings import Credential, Database, License, Settings

DEFAULT_KEY_ENV = "GEMINI_API_KEY"
SECRET_OPTIONS = ("key", "key_env", "key_file", "key_sha256")
PEPPER_OPTIONS = ("pepper", "pepper_env", "pepper_file")

Item = TypeVar("Item", bound=Credential | License)


def resolve(settings: Settings, environ: Mapping[str, str]) -> Settings:
    """Return *settings* with each `key_env` and `key_file` replaced by the `key` found there.

    Without any credential, `GEMINI_API_KEY` in *environ* makes one named `main`. Raises
    `ValueError`, whose text names the option and holds no secret.
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


def _check_keys(licenses: tuple[License, ...]) -> None:
    index_of: dict[bytes, int] = {}
    for index, license_ in enumerate(licenses):
        plain_digest = digest(normalised(license_.key or ""))
        key_digest = bytes.fromhex(license_.key_sha256) if license_.key_sha256 else plain_digest
        if (other := index_of.setdefault(key_digest, index)) != index:
            raise ValueError(f"licenses[{index}]: has the same key as licenses[{other}]")


def _resolved(item: Item, path: str, environ: Mapping[str, str]) -> Item:
    """Return *item* with its secret in `key`; one that has only `key_sha256` is unchanged."""
    options = [name for name in SECRET_OPTIONS if getattr(item, name, None) is not None]
    allowed = SECRET_OPTIONS if isinstance(item, License) else SECRET_OPTIONS[:3]
    if len(options) != 1:
        named = f"; not {' and '.join(options)}" if options else "; none is given"
        raise ValueError(f"{path}: give exactly one of {', '.join(allowed)}{named}")
    if options == ["key_sha256"]:
        return item
    place = f"{path}.{options[0]}"
    key = _secret(options[0], getattr(item, options[0]), place, environ)
    if not key:
        raise ValueError(f"{place}: the secret is empty")
    if isinstance(item, Credential):
        _check_upstream_key(key, place)
    return msgspec.structs.replace(item, key=key, key_env=None, key_file=None)


def _check_upstream_key(key: str, place: str) -> None:
    if not (key.isascii() and key.isprintable()):
        raise ValueError(f"{place}: the key holds characters that no Gemini key has")


def _with_pepper(database: Database, environ: Mapping[str, str]) -> Database:
    """Return *database* with its pepper in `pepper`, if there is one."""
    options = [option for option in PEPPER_OPTIONS if getattr(database, option)]
    if len(options) > 1:
        raise ValueError(f"database: give at most one of {', '.join(PEPPER_OPTIONS)}")
    if not options:
        return database
    (option,) = options
    place = f"database.{option}"
    pepper = _secret(option.replace("pepper", "key"), getattr(database, option), place, environ)
    if not pepper:
        raise ValueError(f"{place}: the pepper is empty")
    return msgspec.structs.replace(database, pepper=pepper, pepper_env="", pepper_file="")


def _secret(option: str, value: str, place: str, environ: Mapping[str, str]) -> str:
    if option == "key_env":
        if value not in environ:
            raise ValueError(f"{place}: the environment variable {value} is not set")
        return environ[value].strip()
    if option == "key_file":
        try:
            return content(Path(value)).decode("utf-8-sig").strip()
        except OSError as error:
            raise ValueError(f"{place}: {value} cannot be read: {error.strerror}") from None
        except UnicodeDecodeError:
            raise ValueError(f"{place}: {value} is not UTF-8 text") from None
        except ValueError as error:
            # No path of a file can look like this.
            raise ValueError(f"{place}: {value!r} cannot be read: {error}") from None
    return value.strip()
