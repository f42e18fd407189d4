"""The streaming helper of the public openai SDK: it joins deltas by rules of its own."""

import openai
import pytest

from tests.faults.scripted import LAST, ScriptedUpstream, stream
from tests.running import LICENSE, settings_for

pytestmark = pytest.mark.filterwarnings("ignore")

PICTURE = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}
SOUND = {"inlineData": {"mimeType": "audio/L16;codec=pcm;rate=24000", "data": "AAAAAAAA"}}
PARTS = {
    "code_execution": [
        {"executableCode": {"language": "PYTHON", "code": "print(1)"}},
        {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1\n"}},
    ],
    "native_parts": [{"toolCall": {"id": "a"}}, {"toolResponse": {"id": "a"}}],
    "images": [PICTURE, PICTURE],
    "audio": [SOUND, SOUND],
    "tool_calls": [{"functionCall": {"name": "f", "args": {"a": n}}} for n in range(2)],
}


@pytest.mark.parametrize("field", PARTS)
async def test_everything_that_a_message_holds_is_joined(running, field):
    events = [{"candidates": [{"content": {"parts": [part]}}]} for part in PARTS[field]]
    async with (
        ScriptedUpstream(stream(*events, LAST)) as upstream,
        running(settings_for(upstream.url)) as gateway,
        openai.AsyncOpenAI(base_url=f"{gateway.url}/v1", api_key=LICENSE, max_retries=0) as client,
        client.chat.completions.stream(
            model="gemini-2.5-flash",
            messages=[{"role": "user", "content": "hi"}],
            extra_body={"google": {"image_output": "images"}},
        ) as helper,
    ):
        async for _ in helper:
            pass
        final = await helper.get_final_completion()
    message = final.choices[0].message.model_dump()
    assert len(message[field]) == (4 if field == "audio" else 2)
    assert message["content"].endswith("end")
    if field == "audio":
        assert message["audio"]["id"].count("audio_") == 1
