"""The model list: one question for many, kept for a while, the last good one in an outage."""

import asyncio
import gc
from datetime import date

import pytest

from gateway.catalog import RETRY_S, Catalog
from gateway.errors import UpstreamError
from gateway.settings import Models, Replacement

FLASH = {
    "name": "models/gemini-2.5-flash",
    "displayName": "Flash",
    "inputTokenLimit": 1048576,
    "outputTokenLimit": 65536,
    "thinking": True,
}
EMBEDDING = {"name": "models/gemini-embedding-001"}
SETTINGS = Models(
    list_ttl_s=60.0,
    aliases={"fast": "gemini-2.5-flash", "far": "unknown"},
    replacements={"old": Replacement(model="gemini-2.5-flash", since=date(2026, 6, 1))},
)


class Upstream:
    """Gives its list, counts how often, fails on demand."""

    def __init__(self) -> None:
        self.asked = 0
        self.down = False
        self.now = 0.0
        self.catalog = Catalog(SETTINGS, self.fetch, lambda: self.now)

    async def fetch(self) -> list[dict]:
        self.asked += 1
        await asyncio.sleep(0)
        if self.down:
            raise UpstreamError("down")
        return [FLASH, EMBEDDING]


async def test_many_who_ask_at_once_cause_one_question():
    upstream = Upstream()
    lists = await asyncio.gather(*(upstream.catalog.native() for _ in range(20)))
    assert upstream.asked == 1
    assert all(models == [FLASH, EMBEDDING] for models in lists)


async def test_the_list_is_kept_and_then_asked_for_again_without_anybody_waiting():
    upstream = Upstream()
    await upstream.catalog.native()
    upstream.now = 59
    await upstream.catalog.native()
    assert upstream.asked == 1
    upstream.now = 60
    assert await upstream.catalog.native() == [FLASH, EMBEDDING]
    await asyncio.sleep(0.01)
    assert upstream.asked == 2


async def test_the_last_good_list_serves_while_upstream_is_down():
    upstream = Upstream()
    await upstream.catalog.native()
    upstream.down = True
    for upstream.now in (61, 62, 61 + RETRY_S):
        assert await upstream.catalog.native() == [FLASH, EMBEDDING]
        await asyncio.sleep(0.01)
    assert upstream.asked == 3, "an upstream that is down is left alone for a while"


async def test_without_any_list_the_upstreams_error_is_told():
    upstream = Upstream()
    upstream.down = True
    with pytest.raises(UpstreamError):
        await upstream.catalog.native()


async def test_an_error_that_nobody_waits_for_is_no_failure_of_the_loop():
    reported = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    upstream = Upstream()
    upstream.down = True
    asking = asyncio.create_task(upstream.catalog.native())
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.sleep(0.01)
    del upstream, asking
    gc.collect()
    assert reported == []


async def test_names_that_the_gateway_adds_stand_beside_upstreams_own():
    models = {model["id"]: model for model in await Upstream().catalog.listed()}
    assert set(models) == {
        "gemini-2.5-flash",
        "gemini-2.5-flash-thinking",
        "gemini-embedding-001",
        "fast",
        "far",
        "old",
    }
    assert models["fast"]["context_length"] == 1048576
    assert models["old"]["shutdown_date"] == "2026-06-01"
    assert models["old"]["replaced_by"] == "gemini-2.5-flash"
    for model in models.values():
        assert model["object"] == "model"
        assert isinstance(model["created"], int)
        assert model["owned_by"] == "google"


async def test_closing_gives_up_a_question_under_way():
    upstream = Upstream()
    asking = asyncio.create_task(upstream.catalog.native())
    await asyncio.sleep(0)
    await upstream.catalog.close()
    with pytest.raises(asyncio.CancelledError):
        await asking


def test_what_answers_for_a_name_that_is_gone_is_known_by_the_table_of_now():
    catalog = Upstream().catalog
    assert (catalog.replacement("old"), catalog.replacement("fast")) == ("gemini-2.5-flash", None)
    catalog.settings = Models(replacements={"old": Replacement(model="newest")})
    assert catalog.replacement("old") == "newest"
