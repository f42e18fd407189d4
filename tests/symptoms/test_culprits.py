"""What Gemini refuses is told by the name under which the client sent it."""

import pytest

from tests.faults.scripted import refusal
from tests.symptoms.reply import ask

VIDEO = {"type": "video_url", "video_url": {"url": "https://www.youtube.com/watch?v=x"}}
LATE = {**VIDEO, "video_metadata": {"start_offset": "late"}}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        (
            {"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": [LATE]}]},
            "messages[1].content[0].video_metadata",
        ),
        ({"google": {"response_mime_type": "text/none"}}, "google.response_mime_type"),
    ],
)
async def test_a_refusal_names_the_clients_field(gateway, streaming, fields, param):
    reply = await ask(gateway, streaming=streaming, **fields)
    assert (reply.status, reply.error["param"]) == (400, param)


async def test_a_refusal_within_a_stream_names_the_clients_field(scripted, streaming):
    """Told after a silence that began the stream, or else as an ordinary error."""
    message = "* GenerateContentRequest.contents[0].parts[0].text: no"
    slow = refusal(400, "INVALID_ARGUMENT", message)
    async with scripted((0.3, *slow), upstream={"commit_after_s": 0.05}) as (gateway, _):
        reply = await ask(gateway, streaming=streaming)
    assert reply.status == (200 if streaming else 400)
    assert reply.error["param"] == "messages[0].content"
