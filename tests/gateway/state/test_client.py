"""What becomes of a state server's faults and refusals."""

import pytest

from gateway.state.client import Client
from gateway.state.store import StoreDown


async def test_nobody_at_the_address_is_a_server_that_is_down(tmp_path):
    client = Client(f"unix://{tmp_path}/nobody.sock", 1.0, {})
    with pytest.raises(StoreDown):
        await client.send([("PING",)])
    await client.close()


async def test_refusals_are_among_the_replies(valkey):
    client = Client(valkey.url, 1.0, {})
    pong, refusal = await client.send([("PING",), ("NONSENSE",)])
    assert pong in {True, b"PONG"}
    assert isinstance(refusal, Exception)
    await client.close()
