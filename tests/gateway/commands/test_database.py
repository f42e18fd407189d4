"""The database of the configuration, and one line for a complaint."""

import click
import pytest

from gateway.commands.database import settings_of, with_database
from gateway.database.engine import Database
from gateway.licenses.store import LicenseError
from gateway.settings import Database as DatabaseSettings
from gateway.settings import Settings


def settings(url: str) -> Settings:
    return Settings(database=DatabaseSettings(url=url))


def test_the_database_is_made_if_need_be(tmp_path):
    file = tmp_path / "new.db"

    async def work(database: Database) -> str:
        return database.__class__.__name__

    assert with_database(settings(f"sqlite+aiosqlite:///{file}"), work) == "Database"
    assert file.exists()


def test_a_complaint_is_one_line(tmp_path):
    async def work(_: Database) -> None:
        raise LicenseError("there is no license 'bob'")

    with pytest.raises(click.ClickException, match="there is no license 'bob'"):
        with_database(settings(f"sqlite+aiosqlite:///{tmp_path}/a.db"), work)


def test_a_database_that_is_not_there_is_told(tmp_path):
    async def work(_: Database) -> None:
        raise AssertionError("never reached")

    with pytest.raises(click.ClickException, match="the database: "):
        with_database(settings(f"sqlite+aiosqlite:///{tmp_path}/no/such/folder/a.db"), work)


def test_a_configuration_is_read_without_credentials(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text("[server]\nport = 1234\n")
    assert settings_of(path).server.port == 1234
