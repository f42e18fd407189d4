"""Translation: names resolved, memories kept between turns, credentials kept for files."""

from tests.faults.scripted import LAST, ScriptedUpstream, answer, refusal
from tests.running import settings_for

GONE = refusal(404, "NOT_FOUND", "models/x is not found for API version v1beta")
CALL = {
    "candidates": [
        {
            "content": {
                "role": "model",
                "parts": [
                    {
                        "functionCall": {"name": "look", "args": {"at": "sky"}},
                        "thoughtSignature": "c2lnbmVk",
                    }
                ],
            },
            "finishReason": "STOP",
        }
    ]
}
TOOLS = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]


def model_of(seen) -> str:
    return seen.path.split("models/")[1].split(":")[0]


async def test_an_alias_leads_to_its_model_and_the_answer_tells(running):
    models = {"aliases": {"fast": "gemini-2.5-flash"}}
    async with (
        ScriptedUpstream(answer(200, LAST)) as upstream,
        running(settings_for(upstream.url, models=models)) as gateway,
    ):
        status, body, _ = await gateway.whole(model="fast")
        assert status == 200
        assert model_of(upstream.seen[0]) == "gemini-2.5-flash"
        assert body["model"] == "fast"


async def test_a_model_that_is_gone_is_replaced_and_remembered_for_the_next_request(running):
    async with (
        ScriptedUpstream(GONE, answer(200, LAST)) as upstream,
        running(settings_for(upstream.url)) as gateway,
    ):
        status, _, headers = await gateway.whole(model="gemini-2.0-flash")
        assert status == 200
        replacement = headers["x-gateway-model"]
        _, _, again = await gateway.whole(model="gemini-2.0-flash")
        assert [model_of(seen) for seen in upstream.seen] == [
            "gemini-2.0-flash",
            replacement,
            replacement,
        ]
        assert again["x-gateway-model"] == replacement


async def test_an_unchanged_client_gets_its_signature_back_upstream(running):
    async with (
        ScriptedUpstream(answer(200, CALL), answer(200, LAST)) as upstream,
        running(settings_for(upstream.url)) as gateway,
    ):
        first = {"role": "user", "content": "what is up there?"}
        _, body, _ = await gateway.whole(messages=[first], tools=TOOLS)
        (call,) = body["choices"][0]["message"]["tool_calls"]
        kept = {"id": call["id"], "type": "function", "function": call["function"]}
        turn = {"role": "assistant", "content": None, "tool_calls": [kept]}
        result = {"role": "tool", "tool_call_id": call["id"], "content": "stars"}
        status, _, _ = await gateway.whole(messages=[first, turn, result], tools=TOOLS)
        assert status == 200
        sent = upstream.seen[1].body["contents"][1]["parts"][0]
        assert sent["functionCall"]["name"] == "look"
        assert sent["thoughtSignature"] == "c2lnbmVk"
