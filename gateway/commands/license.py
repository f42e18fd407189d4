"""`license`: manages the licenses in the database. A key is shown once, when it is made."""

import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from gateway.commands import config_option
from gateway.commands.database import settings_of, with_licenses
from gateway.commands.license_files import export, import_
from gateway.commands.output import json_option, show_json, show_table
from gateway.exchange import License
from gateway.ledger import times
from gateway.licenses import exports
from gateway.licenses.digest import new_key, normalised
from gateway.licenses.making import FIELDS, change_license, fields_of, make_license
from gateway.licenses.records import StoredLicense
from gateway.licenses.store import LicenseStore
from gateway.settings import Settings

LISTED = ("id", "owner", "models", "requests_per_minute", "tokens_per_minute", "expires")
LONGEST_OVERLAP_S = 100 * 366 * 86_400
CLEARABLE = tuple(name for name in FIELDS if name not in {"disabled", "timezone"})
_HELP = {
    "owner": "For your information.",
    "note": "For your information.",
    "models": "Models it may use, such as 'gemini-2.5-*'; may be given several times.",
    "networks": "Addresses it may be used from, as CIDR; may be given several times.",
    "concurrent_requests": "Limit of requests to models that run at the same time.",
    "timezone": "Where its days and months begin, such as Asia/Shanghai.",
    "expires": "The day (at its beginning) or moment of its end: 2027-01-01",
}

Command = Callable[..., None]


def _help(name: str) -> str:
    what, _, window = name.partition("_per_")
    return _HELP.get(name) or f"Limit of {'USD' if what == 'usd' else what} per {window}."


def _fields(command: Command) -> Command:
    """Add an option for each field of a license."""
    for name in reversed(FIELDS):
        if name == "disabled":
            option = click.option(
                "--disabled/--enabled", default=None, help="Refuse the license, or accept it again."
            )
        else:
            many = name in {"models", "networks"}
            flag = f"--{name.replace('_', '-')}"
            option = click.option(flag, multiple=many, default=None, help=_help(name))
        command = option(command)
    return command


@click.group(name="license")
def license_() -> None:
    """Make, change and end licenses."""


license_.add_command(import_)
license_.add_command(export)


@license_.command()
@config_option
@click.option("--id", "id_", help="Its name in the log and in usage; random if omitted.")
@click.option("--key", help="The key that clients present; random if omitted.")
@_fields
@json_option
def create(
    path: Path | None, id_: str | None, key: str | None, *, as_json: bool, **fields: Any
) -> None:
    """Make a license and show its key once.

    An omitted limit or list does not restrict it. Its days begin in UTC unless --timezone is given.
    """
    settings = settings_of(path)
    try:
        new_license = make_license({"id": id_ or secrets.token_hex(4), **_given_fields(fields)})
    except ValueError as error:
        raise click.ClickException(str(error)) from None
    _refuse_fixed(settings, new_license.id)
    key = _key(key, new_license.id)
    with_licenses(settings, lambda store: store.create(new_license, key))
    _show_key(new_license, key, as_json=as_json)


@license_.command(name="list")
@config_option
@json_option
def list_(path: Path | None, *, as_json: bool) -> None:
    """List the licenses of the database."""
    licenses = with_licenses(settings_of(path), lambda store: store.stored())
    if as_json:
        show_json([exports.to_row(stored) for stored in licenses])
        return
    rows = (
        [
            *(fields_of(stored.license)[name] for name in LISTED),
            "disabled" if stored.license.disabled else "",
        ]
        for stored in licenses
    )
    show_table((*LISTED, ""), rows)


@license_.command()
@config_option
@click.argument("id_", metavar="ID")
@json_option
def show(path: Path | None, id_: str, *, as_json: bool) -> None:
    """Show one license."""
    [stored] = with_licenses(settings_of(path), lambda store: store.stored([id_]))
    if as_json:
        show_json(exports.to_row(stored))
        return
    fields = fields_of(stored.license) | {"created": _moment(stored.created)}
    # Digests are for programs: nobody can read a key from them.
    keys = [
        ("key", f"of {_moment(key.created)}, {_end(key.expires)}")
        for key in sorted(stored.keys, key=lambda key: (key.created, key.expires is None))
    ]
    show_table(("", ""), [*((name, value) for name, value in fields.items() if value != []), *keys])


def _moment(seconds: int) -> str:
    """Return the moment of the Unix time *seconds*, as `expires` is shown."""
    return str(datetime.fromtimestamp(seconds, UTC))


def _end(expires: int | None) -> str:
    return "valid" if expires is None else f"valid until {_moment(expires)}"


@license_.command()
@config_option
@click.argument("id_", metavar="ID")
@click.option(
    "--clear",
    multiple=True,
    type=click.Choice(CLEARABLE),
    help="Remove a value; may be given several times.",
)
@_fields
@json_option
def update(
    path: Path | None,
    id_: str,
    clear: tuple[str, ...],
    *,
    as_json: bool,
    **fields: Any,
) -> None:
    """Change a license.

    What is omitted stays as it is. --models and --networks replace the whole list.
    """
    settings = settings_of(path)
    defaults = fields_of(License(id_))
    new_values = _given_fields(fields)
    for name in set(clear) & set(new_values):
        raise click.UsageError(f"{name} is both cleared and set.")
    if not clear and not new_values:
        raise click.UsageError(
            "There is nothing to change; give an option such as --owner or --clear."
        )
    changes = {name: defaults[name] for name in clear} | new_values
    stored = _change_stored(settings, id_, lambda old: change_license(old, changes))
    _show_done(stored, "changed", as_json=as_json)


@license_.command()
@config_option
@click.argument("id_", metavar="ID")
@click.option(
    "--overlap",
    default="0s",
    show_default=True,
    help="How long the old key stays valid: 30m, 24h, 7d.",
)
@click.option("--key", help="The new key; random if omitted.")
@json_option
def rotate(path: Path | None, id_: str, overlap: str, key: str | None, *, as_json: bool) -> None:
    """Give a license a new key and show it once."""
    try:
        overlap_s = times.seconds(overlap)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--overlap") from None
    if overlap_s > LONGEST_OVERLAP_S:
        raise click.BadParameter(f"{overlap!r} is over a hundred years", param_hint="--overlap")
    key = _key(key, id_)
    with_licenses(settings_of(path), lambda store: store.rotate(id_, key, overlap_s))
    _show_key(License(id_), key, as_json=as_json)


@license_.command()
@config_option
@click.argument("id_", metavar="ID")
@json_option
def revoke(path: Path | None, id_: str, *, as_json: bool) -> None:
    """End a license; its usage is kept. `update --enabled` undoes it."""
    # Even if it is invalid otherwise.
    stored = _change_stored(settings_of(path), id_, lambda old: replace(old, disabled=True))
    _show_done(stored, "revoked", as_json=as_json)


def _change_stored(
    settings: Settings, id_: str, make: Callable[[License], License]
) -> StoredLicense:
    """Change license *id_* and return it as it is then."""

    async def change(store: LicenseStore) -> StoredLicense:
        await store.change(id_, make)
        [stored] = await store.stored([id_])
        return stored

    try:
        return with_licenses(settings, change)
    except ValueError as error:
        raise click.ClickException(str(error)) from None


def _given_fields(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None and value != ()}


def _key(chosen: str | None, id_: str) -> str:
    """Return the key in the form of look-ups. A chosen one may be any text."""
    key = new_key(id_) if chosen is None else normalised(chosen)
    if not key:
        raise click.BadParameter("is empty", param_hint="--key")
    return key


def _refuse_fixed(settings: Settings, id_: str) -> None:
    if id_ in {license_.id for license_ in settings.licenses}:
        raise click.ClickException(f"config.toml has a license {id_!r} already")


def _show_key(license_: License, key: str, *, as_json: bool) -> None:
    if as_json:
        show_json({"id": license_.id, "key": key})
        return
    click.echo(f"{license_.id}: {key}")
    click.echo("This is the only time the key is shown.", err=True)


def _show_done(stored: StoredLicense, verb: str, *, as_json: bool) -> None:
    if as_json:
        show_json(exports.to_row(stored))
        return
    click.echo(f"{stored.license.id}: {verb}")
