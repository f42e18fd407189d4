"""`license import` and `license export`: many licenses, from a file and into one."""

import csv
from pathlib import Path
from typing import Any

import click

from gateway.commands import config_option
from gateway.commands.database import settings_of, with_licenses
from gateway.commands.output import json_option, show_json, show_table
from gateway.licenses import exports
from gateway.licenses.imports import Candidate, candidates
from gateway.licenses.records import Refused

_FIXED = Refused("duplicate", "config.toml has a license of that id")


@click.command(name="import")
@config_option
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@json_option
def import_(path: Path | None, file: Path, *, as_json: bool) -> None:
    """Add the licenses in a file: an export of this gateway, new-api or one-api, CSV or JSON."""
    settings = settings_of(path)
    stored = with_licenses(settings, lambda store: store.stored())
    ids = {one.license.id for one in stored} | {one.id for one in settings.licenses}
    rows = _candidates(file, ids)
    fixed_ids = {one.id for one in settings.licenses}
    accepted = [one.new for one in rows if one.new is not None and one.id not in fixed_ids]
    refused = iter(with_licenses(settings, lambda store: store.add_all(accepted)))
    report = [
        _imported(
            one, _FIXED if one.id in fixed_ids else None if one.new is None else next(refused)
        )
        for one in rows
    ]
    if as_json:
        show_json(report)
    else:
        _show_report(report)


@click.command()
@config_option
@click.option("--csv", "csv_", is_flag=True, help="Print CSV instead of JSON.")
@click.option(
    "--with-pepper",
    is_flag=True,
    help="Include the pepper: without it the digests are useless.",
)
def export(path: Path | None, *, csv_: bool, with_pepper: bool) -> None:
    """Print all licenses, with the digests of their keys; `import` reads it back."""
    settings = settings_of(path)
    stored = with_licenses(settings, lambda store: store.stored())
    pepper = with_licenses(settings, lambda store: store.pepper())
    rows = exports.to_rows(stored, pepper, with_pepper=with_pepper)
    if csv_:
        click.echo(exports.as_csv(rows).encode(), nl=False)
    else:
        show_json(rows)


def _candidates(file: Path, taken_ids: set[str]) -> list[Candidate]:
    try:
        with file.open(encoding="utf-8-sig", newline="") as opened:
            return list(candidates(opened.read(), taken_ids.__contains__))
    except UnicodeDecodeError:
        raise click.ClickException(f"{file}: is not UTF-8 text; save it as UTF-8") from None
    except (ValueError, OSError, csv.Error) as error:
        raise click.ClickException(f"{file}: {error}") from None


def _imported(candidate: Candidate, refused: Refused | None) -> dict[str, Any]:
    return {
        "row": candidate.row,
        "name": candidate.name,
        "license": candidate.id,
        "result": "invalid" if candidate.new is None else refused.result if refused else "added",
        "why": candidate.reason or (refused.reason if refused else ""),
        "not_carried": list(candidate.not_carried),
    }


def _show_report(report: list[dict[str, Any]]) -> None:
    show_table(
        ("row", "name", "license", "result", "why", "not carried"),
        (list(line.values()) for line in report),
    )
    results = [line["result"] for line in report]
    counts = (f"{results.count(word)} {word}" for word in ("added", "duplicate", "invalid"))
    click.echo(", ".join(counts))
