import pytest

from gateway.simulator import Simulator
from tests.gateway.simulator.wire import ask


@pytest.mark.parametrize(
    ("standing", "status", "name", "message"),
    [
        ("bad", 400, "INVALID_ARGUMENT", "API_KEY_INVALID"),
        ("expired", 400, "INVALID_ARGUMENT", "API key expired"),
        ("suspended", 403, "PERMISSION_DENIED", "CONSUMER_SUSPENDED"),
        ("minute", 429, "RESOURCE_EXHAUSTED", "PerMinute"),
        ("day", 429, "RESOURCE_EXHAUSTED", "PerDay"),
        ("region", 400, "FAILED_PRECONDITION", "User location is not supported"),
    ],
)
async def test_each_standing_of_a_key_has_its_refusal(standing, status, name, message):
    async with Simulator(keys={"worn": standing}) as simulator:
        got, body = await ask(simulator, "hello", key="worn")
        assert (got, body["error"]["status"]) == (status, name)
        assert message in str(body)
        simulator.keys["worn"] = "good"
        assert (await ask(simulator, "hello", key="worn"))[0] == 200


async def test_no_key_is_refused(simulator):
    assert (await ask(simulator, "hello", key=""))[0] == 403
