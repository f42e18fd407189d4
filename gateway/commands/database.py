"""What the commands on licenses and usage share: the configured database, and tables."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gateway import config
from gateway.commands import exiting_on_error
from gateway.database.engine import Database, DatabaseDown, error_text
from gateway.licenses.pepper import WrongPepper
from gateway.licenses.store import LicenseError, LicenseStore
from gateway.settings import Settings

WIDTH = 240

Result = TypeVar("Result")

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


def settings_of(path: Path | None) -> Settings:
    """Read the configuration at *path*; credentials are not needed."""
    with exiting_on_error():
        return config.load(path)


def with_database(settings: Settings, work: Callable[[Database], Awaitable[Result]]) -> Result:
    """Return the result of *work* on the database, created if necessary; exit if it fails."""

    async def run() -> Result:
        database = Database(settings.database.url)
        try:
            await database.migrate()
            return await work(database)
        finally:
            await database.close()

    with exiting_on_error():
        try:
            return asyncio.run(run())
        except (LicenseError, WrongPepper) as error:
            raise click.ClickException(str(error)) from None
        except DatabaseDown as error:
            raise click.ClickException(printable(f"the database: {error_text(error)}")) from None


def with_licenses(settings: Settings, work: Callable[[LicenseStore], Awaitable[Result]]) -> Result:
    """Return the result of *work* on the licenses in the database; exit if it fails."""
    return with_database(
        settings, lambda database: work(LicenseStore(database, settings.database.pepper))
    )


def show_json(value: Any) -> None:
    """Print *value* for programs, in UTF-8 whatever the terminal uses."""
    click.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2))


def show_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print *rows* for people; numbers are right-aligned."""
    table = Table(*columns, box=None, header_style="bold")
    for row in rows:
        # Literally: a name in brackets is no markup.
        table.add_row(*(Text(_cell(value)) for value in row))
    # A reader of a pipe has no width.
    console = Console()
    Console(width=None if console.is_terminal else WIDTH).print(table)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, (list, tuple)):
        value = ", ".join(map(str, value))
    return printable(f"{value:.4f}" if isinstance(value, float) else str(value))


def printable(text: str) -> str:
    """Return *text* with what a terminal would obey escaped: names and errors may be others'."""
    return text if text.isprintable() else "".join(map(_escape, text))


def _escape(char: str) -> str:
    return char if char.isprintable() else repr(char)[1:-1]
