"""The pepper of the keyed digests: configured, or generated once and kept in the database.

A configured one protects more, because a thief of the database cannot even guess keys with it. The
database keeps only a check value of it, so that a wrong one is noticed before it refuses everybody.
"""

import hmac
import secrets

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from gateway.database.statements import insert_new
from gateway.database.tables import FACTS

_GENERATED = "pepper"
_CHECK = "pepper_check"


class WrongPepper(Exception):
    """The licenses in the database were made with another pepper."""


async def ensure_pepper(connection: AsyncConnection, configured: str) -> bytes:
    """Return the current pepper, in a writing transaction. Raises `WrongPepper`."""
    facts = await _facts(connection)
    if not facts:
        generated = {"name": _GENERATED, "value": secrets.token_hex(32)}
        row = _check_row(configured) if configured else generated
        await connection.execute(insert_new(connection, FACTS), [row])
        facts = await _facts(connection)
    return agreed_pepper(facts, configured)


async def adopt_pepper(connection: AsyncConnection, pepper: str) -> None:
    """Keep *pepper* instead of the generated one, in a database that holds no digests yet."""
    await connection.execute(delete(FACTS).where(FACTS.c.name == _GENERATED))
    await connection.execute(insert_new(connection, FACTS), [{"name": _GENERATED, "value": pepper}])


def agreed_pepper(facts: dict[str, str], configured: str) -> bytes:
    """Return the pepper that *facts* of the database and *configured* agree on.

    Raises `WrongPepper`.
    """
    if not configured and _GENERATED in facts:
        return facts[_GENERATED].encode()
    if not configured:
        raise WrongPepper("database.pepper: the licenses were made with a pepper; configure it")
    check = _check_row(configured)["value"]
    expected = facts.get(_CHECK) or _check_row(facts.get(_GENERATED, ""))["value"]
    if not hmac.compare_digest(check, expected):
        raise WrongPepper("database.pepper: the licenses were made with another pepper")
    return configured.encode()


async def _facts(connection: AsyncConnection) -> dict[str, str]:
    rows = await connection.execute(select(FACTS).where(FACTS.c.name.in_((_GENERATED, _CHECK))))
    return {row.name: row.value for row in rows}


def check_value(pepper: bytes) -> str:
    """Return a value that identifies *pepper* without revealing it."""
    return hmac.digest(pepper, b"gateway license keys", "sha256").hex()


def _check_row(pepper: str) -> dict[str, str]:
    return {"name": _CHECK, "value": check_value(pepper.encode())}
