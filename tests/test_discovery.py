import pytest

from gateway.dialects.openai_chat import request
from gateway.exchange import UpstreamCall
from tests.discovery import SENT, TYPES, needs_schema, validate
from tests.faults.scripted import LAST, ScriptedUpstream, answer
from tests.gateway.simulator.recorded import requests
from tests.running import settings_for

pytestmark = needs_schema


def test_all_recorded_requests_fit_but_those_with_files_in_function_responses():
    recorded = [one for one in requests() if one.action in TYPES]
    assert len(recorded) > 550
    faults = [fault for one in recorded for fault in validate(one.body, TYPES[one.action])]
    unknown = [fault for fault in faults if "FunctionResponsePart" not in fault]
    assert unknown == []


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"contents": [{"parts": [{"txt": "a"}]}]}, "contents[0].parts[0].txt is unknown to Part"),
        ({"generation_config": {"top_k": "many"}}, "top_k is no integer"),
        ({"generationConfig": {"thinkingConfig": {"thinkingLevel": "MUCH"}}}, "is none of"),
        ({"contents": "hello"}, "contents[0] is no Content"),
        ({"tools": [{"functionDeclarations": [{"parameters": {"const": 1}}]}]}, "const is unknown"),
        ({"contents": [{"parts": [{"thoughtSignature": "?"}]}]}, "is no string byte"),
        ({"store": 1}, "store is no boolean"),
        ({"toolConfig": []}, "toolConfig is no ToolConfig"),
        ({"contents": [{"parts": [{"functionCall": {"args": 1}}]}]}, "args is no object"),
    ],
)
def test_what_does_not_fit_is_told(body, said):
    assert any(said in fault for fault in validate(body, "GenerateContentRequest"))


def test_both_spellings_and_unset_fields_fit():
    body = {
        "contents": {"parts": [{"inline_data": {"mime_type": "image/png", "data": "a-_w"}}]},
        "generationConfig": {"responseModalities": ["text"], "seed": None},
    }
    assert validate(body, "GenerateContentRequest") == []


async def test_whatever_goes_upstream_in_a_test_is_checked(running, monkeypatch):
    body = {"contents": [{"parts": [{"text": "hi"}]}], "store": "yes"}
    call = UpstreamCall("m", body, stream=False)
    fault = "GenerateContentRequest.store is no boolean "
    monkeypatch.setattr(request, "call", lambda *_: call)
    async with (
        ScriptedUpstream(answer(200, LAST)) as upstream,
        running(settings_for(upstream.url)) as gateway,
    ):
        assert (await gateway.whole())[0] == 200
    # By the dialect, by the upstream client, and by the peer on its socket.
    assert SENT.faults == [fault] * 3
    SENT.faults.clear()
