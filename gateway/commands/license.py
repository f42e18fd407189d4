"""`license`: the life of the licenses in the database. A key is shown once, when it is made."""

import secrets
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from gateway.commands.database import (
    config_option,
    json_option,
    settings_of,
    show_json,
    show_table,
    with_licenses,
)
from gateway.commands.license_files import export, import_
from gateway.exchange import License
from gateway.ledger import spans
from gateway.licenses import exports
from gateway.licenses.digest import new_key, normalised
from gateway.licenses.making import FIELDS, changed, flat, made
from gateway.licenses.records import Kept
from gateway.licenses.store import LicenseStore
from gateway.settings import Settings

LISTED = ("id", "owner", "models", "requests_per_minute", "tokens_per_minute", "expires")
LONGEST_OVERLAP_S = 100 * 366 * 86_400
CLEARABLE = tuple(name for name in FIELDS if name not in {"disabled", "timezone"})
_HELP = {
    "models": "Models it may use, as globs; may be given several times. All without.",
    "networks": "Addresses it may be used from; may be given several times. All without.",
    "timezone": "Where its days and months begin. UTC without.",
    "expires": "The day or moment of its end: 2027-01-01",
}

Command = Callable[..., None]


def _fields(command: Command) -> Command:
    """Add an option for each field of a license."""
    for name in reversed(FIELDS):
        if name == "disabled":
            option = click.option("--disabled/--enabled", default=None, help="Refuse it, or not.")
        else:
            many = name in {"models", "networks"}
            flag = f"--{name.replace('_', '-')}"
            option = click.option(flag, multiple=many, default=None, help=_HELP.get(name))
        command = option(command)
    return command


@click.group(name="license")
def license_() -> None:
    """Make, change and end licenses."""


license_.add_command(import_)
license_.add_command(export)


@license_.command()
@config_option
@click.option("--id", "id_", help="Its name in logs; made up without.")
@click.option("--key", help="The key to be presented, a random one without.")
@_fields
@json_option
def create(
    path: Path | None, id_: str | None, key: str | None, *, as_json: bool, **fields: Any
) -> None:
    """Make a license and show its key, this once."""
    settings = settings_of(path)
    one = _checked(made, {"id": id_ or secrets.token_hex(4), **_given(fields)})
    _refuse_fixed(settings, one.id)
    key = _key(key, one.id)
    with_licenses(settings, lambda store: store.create(one, key))
    _show_key(one, key, as_json=as_json)


@license_.command(name="list")
@config_option
@json_option
def list_(path: Path | None, *, as_json: bool) -> None:
    """List the licenses of the database."""
    found = with_licenses(settings_of(path), lambda store: store.kept())
    if as_json:
        show_json([exports.plain(one) for one in found])
        return
    rows = (
        [*(flat(one.license)[name] for name in LISTED), "disabled" if one.license.disabled else ""]
        for one in found
    )
    show_table((*LISTED, ""), rows)


@license_.command()
@config_option
@click.argument("id_", metavar="ID")
@json_option
def show(path: Path | None, id_: str, *, as_json: bool) -> None:
    """Show one license."""
    [one] = with_licenses(settings_of(path), lambda store: store.kept([id_]))
    if as_json:
        show_json(exports.plain(one))
        return
    show_table(
        ("", ""), [(name, value) for name, value in exports.plain(one).items() if value != []]
    )


@license_.command()
@config_option
@click.argument("id_", metavar="ID")
@click.option("--clear", multiple=True, type=click.Choice(CLEARABLE), help="Take a field away.")
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
    """Change a license."""
    settings = settings_of(path)
    bare = flat(License(id_))
    given = _given(fields)
    for name in set(clear) & set(given):
        raise click.UsageError(f"{name} is both cleared and given.")
    if not clear and not given:
        raise click.UsageError("Nothing to change is given.")
    changes = {name: bare[name] for name in clear} | given
    kept = _changed(settings, id_, lambda old: changed(old, changes))
    _show_done(kept, "changed", as_json=as_json)


@license_.command()
@config_option
@click.argument("id_", metavar="ID")
@click.option("--overlap", default="0s", show_default=True, help="The old key lives on: 24h, 7d")
@click.option("--key", help="The new key, a random one without.")
@json_option
def rotate(path: Path | None, id_: str, overlap: str, key: str | None, *, as_json: bool) -> None:
    """Give a license a new key and show it, this once."""
    try:
        overlap_s = spans.seconds(overlap)
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
    """End a license; what it used stays known."""
    # Whatever else is wrong with it.
    kept = _changed(settings_of(path), id_, lambda old: replace(old, disabled=True))
    _show_done(kept, "revoked", as_json=as_json)


def _changed(settings: Settings, id_: str, make: Callable[[License], License]) -> Kept:
    """Change license *id_* and give it as it is then."""

    async def change(store: LicenseStore) -> Kept:
        await store.change(id_, make)
        [kept] = await store.kept([id_])
        return kept

    try:
        return with_licenses(settings, change)
    except ValueError as error:
        raise click.ClickException(str(error)) from None


def _given(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None and value != ()}


def _checked(make: Callable[[dict[str, Any]], License], fields: dict[str, Any]) -> License:
    try:
        return make(fields)
    except ValueError as error:
        raise click.ClickException(str(error)) from None


def _key(chosen: str | None, id_: str) -> str:
    """Give the key as it will be looked for. A chosen one may be any text."""
    key = new_key(id_) if chosen is None else normalised(chosen)
    if not key:
        raise click.BadParameter("is empty", param_hint="--key")
    return key


def _refuse_fixed(settings: Settings, id_: str) -> None:
    if id_ in {one.id for one in settings.licenses}:
        raise click.ClickException(f"config.toml has a license {id_!r} already")


def _show_key(one: License, key: str, *, as_json: bool) -> None:
    if as_json:
        show_json({"id": one.id, "key": key})
        return
    click.echo(f"{one.id}: {key}")
    click.echo("This is the only time the key is shown.", err=True)


def _show_done(one: Kept, what: str, *, as_json: bool) -> None:
    if as_json:
        show_json(exports.plain(one))
        return
    click.echo(f"{one.license.id}: {what}")
