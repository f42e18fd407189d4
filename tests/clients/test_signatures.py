"""Thought signatures on their way back, in every form that clients carry them in."""

import pytest

from tests.running import settings_for

MODEL = "gemini-3.5-flash"
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
ASKED = {"role": "user", "content": "Look"}


def on_the_call(call, signature, name):
    google = {"thought_signature": signature}
    holders = {
        "google": {"extra_content": {"google": google}},
        "litellm": {"provider_specific_fields": google},
        "litellm_function": {"function": {**call["function"], "provider_specific_fields": google}},
        "litellm_id": {"id": f"{call['id']}__thought__{signature}"},
    }
    return {**call, **holders.get(name, {})}


def on_the_message(call, signature, name):
    return {
        "openrouter": {
            "reasoning_details": [
                {"type": "reasoning.encrypted", "id": call["id"], "data": signature}
            ]
        },
        "anthropic": {
            "thinking_blocks": [{"type": "thinking", "thinking": "", "signature": signature}]
        },
    }.get(name, {})


async def second_turn(gateway, call, signature, name, **fields):
    """Send the result of *call*, the signature in the form that *name* says."""
    carried = on_the_call(call, signature, name)
    turn = {"role": "assistant", "content": None, "tool_calls": [carried]}
    turn |= on_the_message(call, signature, name)
    result = {"role": "tool", "tool_call_id": carried["id"], "content": "ok"}
    messages = [ASKED, turn, result]
    return await gateway.whole(model=MODEL, messages=messages, tools=[TOOL], **fields)


async def called(gateway):
    """Give the call of a first turn as a client that knows OpenAI's fields alone keeps it."""
    _, body, _ = await gateway.whole(model=MODEL, messages=[ASKED], tools=[TOOL])
    [call] = body["choices"][0]["message"]["tool_calls"]
    signature = call.pop("extra_content")["google"]["thought_signature"]
    return call, signature


FORMS = ["google", "litellm", "litellm_function", "litellm_id", "openrouter", "anthropic"]


@pytest.mark.parametrize("name", FORMS)
async def test_a_gateway_without_memory_takes_what_the_client_carries(running, simulator, name):
    async with running(settings_for(simulator.url)) as gateway:
        call, signature = await called(gateway)
    async with running(settings_for(simulator.url)) as gateway:
        status, body, headers = await second_turn(gateway, call, signature, name)
    assert status == 200, body
    assert "x-gateway-adjusted" not in headers
    [part] = simulator.received[-1].body["contents"][1]["parts"]
    assert part["thoughtSignature"] == signature
    assert part["functionCall"]["id"] == call["id"]


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("foreign", ["Zm9yZWlnbg==", "Zm9y" * 100])
async def test_a_signature_of_another_model_is_replaced_once(running, simulator, name, foreign):
    call = {"id": "1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
    async with running(settings_for(simulator.url)) as gateway:
        status, body, headers = await second_turn(gateway, call, foreign, name)
    assert status == 200, body
    assert headers["x-gateway-adjusted"] == "thought_signature=bypass;reason=invalid"
    assert [one.status for one in simulator.received] == [400, 200]
