"""`usage`: reports usage by license, model and day."""

import time
from pathlib import Path
from zoneinfo import ZoneInfo

import click

from gateway.commands import config_option
from gateway.commands.database import settings_of, with_database
from gateway.commands.output import json_option, show_json, show_table
from gateway.database.tables import KINDS
from gateway.ledger import times
from gateway.ledger.report import GROUPS, Selection, Sum, sums
from gateway.zones import zone_of


@click.command()
@config_option
@click.option("--license", "license_id", help="Report only this license.")
@click.option(
    "--since",
    default="7d",
    show_default=True,
    help="How far back: 24h, 7d, or a day such as 2026-11-01.",
)
@click.option(
    "--by",
    multiple=True,
    type=click.Choice(GROUPS),
    help="What to group by; may be given several times. Default: all three.",
)
@click.option("--timezone", default="UTC", show_default=True, help="Where days begin.")
@json_option
def usage(  # noqa: PLR0913 - click passes one argument per option
    path: Path | None,
    license_id: str | None,
    *,
    since: str,
    by: tuple[str, ...],
    timezone: str,
    as_json: bool,
) -> None:
    """Report usage by license, model and day."""
    by, zone = by or GROUPS, _zone(timezone)
    try:
        start = times.since(since, zone, time.time())
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--since") from None
    selection = Selection(start, license=license_id)
    totals = with_database(settings_of(path), lambda database: sums(database, selection, by, zone))
    if as_json:
        show_json([one._asdict() for one in totals])
        return
    left_out = {name for name in GROUPS if name not in by}
    # Most have none of them, and a terminal is narrow.
    left_out |= {name for name in KINDS if not any(getattr(one, name) for one in totals)}
    columns = [name for name in Sum._fields if name not in left_out]
    show_table(columns, ([getattr(one, name) for name in columns] for one in totals))


def _zone(name: str) -> ZoneInfo:
    zone = zone_of(name)
    if zone is None:
        raise click.BadParameter(f"{name!r} is not a time zone", param_hint="--timezone")
    return zone
