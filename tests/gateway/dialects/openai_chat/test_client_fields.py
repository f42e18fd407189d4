import pytest

from gateway.dialects.openai_chat.client_fields import client_field
from gateway.exchange import Blob
from tests.gateway.dialects.openai_chat.asking import ask, assistant, call, function, result, user

VIDEO = {"type": "video_url", "video_url": {"url": "https://youtu.be/x"}}
PAYLOAD = {
    "model": "gemini-3.5-flash",
    "messages": [
        {"role": "system", "content": "Be brief"},
        {"role": "developer", "content": [{"type": "text", "text": "Be kind"}]},
        user([{"type": "text", "text": ""}, {"type": "text", "text": "Look"}, VIDEO]),
        assistant(None, call("1", "a b", '{"x": 1}'), call("2", "a b", '{"x": 2}')),
        result("2", "[2]"),
        result("1", '{"one": 1}'),
        user("And now?"),
    ],
    "tools": [{"type": "web_search"}, function("f"), function("a b", {"type": "object"})],
    "tool_choice": "auto",
    "max_tokens": 5,
    "stop": "x",
    "reasoning_effort": "low",
    "google": {"top_k": 5, "cached_content": None},
}
MEDIA = {(2, 2): Blob(None, uri="https://youtu.be/x")}
PLACES = {
    "system_instruction.parts[0].text": "messages[0].content",
    "system_instruction.parts[1].text": "messages[1].content[0]",
    "contents[0].parts[0].text": "messages[2].content[1]",
    "contents[0].parts[1].file_data.file_uri": "messages[2].content[2]",
    "contents[0].parts[1].video_metadata.fps": "messages[2].content[2].video_metadata",
    "contents[1].parts[0].thought_signature": "messages[3].tool_calls[0]",
    "contents[1].parts[1].function_call.args": "messages[3].tool_calls[1]",
    "contents[2].parts[0].function_response.response": "messages[5].content",
    "contents[2].parts[1].functionResponse.name": "messages[4].content",
    "contents[3].parts[0].data": "messages[6].content",
    "generation_config.max_output_tokens": "max_tokens",
    "generationConfig.stopSequences[0]": "stop",
    "generation_config.thinking_config.thinking_level": "reasoning_effort",
    "generation_config.top_k": "google.top_k",
    "tools[0].function_declarations[0].name": "tools[1].function.name",
    "tools[0].function_declarations[1].parameters_json_schema.x": "tools[2].function.parameters",
    "tools[0].function_declarations[1]": "tools[2].function",
    "safety_settings[0].category": "google.safety_settings",
    "service_tier": "service_tier",
    "store": "google.store",
    "tool_config.retrieval_config.lat_lng": "google.retrieval_config",
    "tool_config.function_calling_config.mode": "tool_choice",
}


@pytest.mark.parametrize(("field", "path"), PLACES.items())
def test_what_gemini_names_has_the_clients_name(field, path):
    call, _ = ask(PAYLOAD, media=MEDIA)
    assert client_field(PAYLOAD, MEDIA, call, field) == path


@pytest.mark.parametrize(
    "field",
    [
        "",
        "x",
        "contents",
        "contents[9].parts[0]",
        "contents[0].parts[9].text",
        "contents[99999999999].parts[0]",
        "generation_config.seed",
        "messages[0].content",
        "tools[7].x",
    ],
)
def test_what_nobody_knows_keeps_its_name(field):
    call, _ = ask(PAYLOAD, media=MEDIA)
    assert client_field(PAYLOAD, MEDIA, call, field) == field


def test_a_native_setting_that_overrides_is_the_one_at_fault():
    google = {"service_tier": "flex", "function_calling_config": {"mode": "AUTO"}}
    payload = PAYLOAD | {"google": google}
    call, _ = ask(payload, media=MEDIA)
    for field in ("service_tier", "tool_config.function_calling_config"):
        path = f"google.{field.removeprefix('tool_config.')}"
        assert client_field(payload, MEDIA, call, field) == path


def test_functions_of_old_have_their_place():
    payload = {"functions": [{"name": "f", "parameters": {"type": "object", "title": "t"}}]}
    call, _ = ask(payload)
    field = "tools[0].function_declarations[0].parameters.title"
    assert client_field(payload, {}, call, field) == "functions[0].parameters"


def test_of_a_payload_that_is_gone_nothing_is_told():
    call, _ = ask(PAYLOAD, media=MEDIA)
    assert client_field({}, {}, call, "contents[0].parts[0].text") == "contents[0].parts[0].text"
