"""What commands print: tables for people, JSON for programs."""

from collections.abc import Iterable, Sequence
from typing import Any

import click
import orjson
from rich.console import Console
from rich.table import Table
from rich.text import Text

WIDTH = 240

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")


def show_json(value: Any) -> None:
    """Print *value* for programs, in UTF-8 whatever the terminal uses."""
    click.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2))


def show_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print *rows* for people; numbers are right-aligned."""
    table = Table(*columns, box=None, header_style="bold")
    for row in rows:
        # Literally: a name in brackets is no markup.
        table.add_row(*(Text(_cell(value)) for value in row))
    print_table(table)


def print_table(table: Table) -> None:
    """Print *table* in the width of the terminal; a reader of a pipe has none."""
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
