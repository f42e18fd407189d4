"""The configured database, as the commands on licenses and usage work on it."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import click

from gateway import config
from gateway.commands import exiting_on_error
from gateway.commands.output import printable
from gateway.database.engine import Database, DatabaseDown, error_text
from gateway.licenses.pepper import WrongPepper
from gateway.licenses.store import LicenseError, LicenseStore
from gateway.settings import Settings

Result = TypeVar("Result")


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
