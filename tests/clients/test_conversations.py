"""Any conversation of valid messages passes the simulator's strict rules through a gateway."""

import asyncio
from itertools import chain

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.running import settings_for

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
PARTS = st.lists(st.builds(lambda text: {"type": "text", "text": text}, TEXT), min_size=1)
CONTENT = TEXT | PARTS
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}


@st.composite
def tool_turn(draw) -> list[dict]:
    """Draw an assistant's calls and their results, in any order."""
    ids = draw(st.lists(st.text("abc123", min_size=1), min_size=1, max_size=3, unique=True))
    function = {"name": "look", "arguments": "{}"}
    calls = [{"id": one, "type": "function", "function": function} for one in ids]
    results = [
        {"role": "tool", "tool_call_id": one, "content": draw(CONTENT)}
        for one in draw(st.permutations(ids))
    ]
    return [{"role": "assistant", "content": draw(st.none() | TEXT), "tool_calls": calls}, *results]


def said(role: str) -> st.SearchStrategy[list[dict]]:
    return st.builds(lambda content: [{"role": role, "content": content}], CONTENT)


TURNS = st.lists(
    st.one_of(*map(said, ("system", "developer", "user", "assistant")), tool_turn()), max_size=5
)
CONVERSATIONS = st.builds(
    lambda turns, last: [*chain.from_iterable(turns), *last], TURNS, said("user")
)


async def test_every_valid_conversation_is_taken(running, simulator):
    async with running(settings_for(simulator.url)) as gateway:

        async def taken(messages: list[dict]) -> None:
            status, body, _ = await gateway.whole(messages=messages, tools=[TOOL])
            assert status == 200, (messages, body)

        loop = asyncio.get_running_loop()

        @settings(
            max_examples=30, deadline=None, suppress_health_check=list(HealthCheck), database=None
        )
        @given(CONVERSATIONS)
        def each(messages):
            asyncio.run_coroutine_threadsafe(taken(messages), loop).result(20)

        await asyncio.to_thread(each)
