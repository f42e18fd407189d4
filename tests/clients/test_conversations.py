"""Any conversation of valid messages passes the simulator's strict rules through a gateway."""

import asyncio

from hypothesis import HealthCheck, given, settings
from openai.types.chat import ChatCompletion

from tests.clients.drawing import CONVERSATIONS, OPTIONS
from tests.running import settings_for


async def test_every_valid_conversation_is_taken(running, simulator):
    async with running(settings_for(simulator.url)) as gateway:

        async def taken(messages: list[dict], options: dict) -> None:
            status, body, _ = await gateway.whole(messages=messages, **options)
            assert status == 200, body
            ChatCompletion.model_validate(body)

        loop = asyncio.get_running_loop()

        @settings(
            max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), database=None
        )
        @given(CONVERSATIONS, OPTIONS)
        def each(messages, options):
            asyncio.run_coroutine_threadsafe(taken(messages, options), loop).result(20)

        await asyncio.to_thread(each)
