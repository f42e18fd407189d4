"""What users of such gateways run into: each test is one symptom, shown over HTTP.

`gateway` stands in front of the strict simulator; `scripted` puts one in front of an upstream that
says exactly what a test wants it to say.
"""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.faults.scripted import ScriptedUpstream, answer, stream
from tests.running import Gateway, settings_for
from tests.symptoms.reply import joined


@pytest.fixture(params=[False, True], ids=["whole", "streamed"])
def streaming(request) -> bool:
    """Say how the client asks: each test that takes this runs both ways."""
    return request.param


@pytest.fixture
async def gateway(running, simulator) -> AsyncIterator[Gateway]:
    """Yield a gateway in front of `simulator`, whose `received` tells what came upstream."""
    async with running(settings_for(simulator.url)) as one:
        yield one


@pytest.fixture
def scripted(running, streaming):
    """Return a context manager that runs a gateway in front of an upstream with these answers.

    An answer is a list of events, which go out as a stream or joined to one body, whichever the
    client asks for; a tuple is the script of a whole HTTP answer. *settings* are those of
    `settings_for`.
    """

    @asynccontextmanager
    async def run(*answers: list | tuple, **settings: Any):
        scripts = [_script(one, streaming) for one in answers]
        async with (
            ScriptedUpstream(*scripts) as upstream,
            running(settings_for(upstream.url, **settings)) as one,
        ):
            yield one, upstream

    return run


@dataclass
class Ledger:
    """Where a gateway writes what was used. *settings* tell it so."""

    path: Path

    @property
    def settings(self) -> dict[str, Any]:
        return {"database": {"url": f"sqlite+aiosqlite:///{self.path}"}}

    def rows(self) -> list[dict[str, Any]]:
        """Return what was booked by a gateway that has stopped, in the order of time."""
        with closing(sqlite3.connect(self.path)) as database:
            database.row_factory = sqlite3.Row
            return [dict(row) for row in database.execute("SELECT * FROM usage ORDER BY at")]


@pytest.fixture
def ledger(tmp_path) -> Ledger:
    """Return a ledger in a file of its own."""
    return Ledger(tmp_path / "ledger.db")


def _script(said: list | tuple, streaming: bool) -> list:
    if isinstance(said, tuple):
        return list(said)
    return stream(*said) if streaming else answer(200, joined(said))
