import pytest

from gateway.simulator.refusal import Refusal
from gateway.simulator.strict.shape import normalise, snake
from gateway.simulator.strict.types import REQUESTS

TEXT = {"contents": [{"parts": [{"text": "a"}]}]}


def violations(body, type_="GenerateContentRequest"):
    with pytest.raises(Refusal) as caught:
        normalise(body, type_)
    (detail,) = caught.value.details
    return {(v.get("field", ""), v["description"]) for v in detail["fieldViolations"]}


def test_names_values_and_lists_come_out_in_one_spelling():
    body = {
        "contents": {"parts": {"inline_data": {"mime_type": "image/png", "data": "a-_w"}}},
        "generation_config": {"response_modalities": ["text"], "top_k": "3", "seed": None},
    }
    assert normalise(body, "GenerateContentRequest") == {
        "contents": [{"parts": [{"inlineData": {"mimeType": "image/png", "data": "a-_w"}}]}],
        "generationConfig": {"responseModalities": ["TEXT"], "topK": 3},
    }


@pytest.mark.parametrize(
    ("body", "field", "text"),
    [
        ({**TEXT, "store_it": 1}, "", 'Unknown name "store_it": Cannot find field.'),
        (
            {"contents": [{"parts": [{"text": "a", "cache_control": {}}]}]},
            "contents[0].parts[0]",
            "Unknown name \"cache_control\" at 'contents[0].parts[0]': Cannot find field.",
        ),
        (
            {"tools": [{"functionDeclarations": [{"parameters": {"$schema": "x"}}]}]},
            "tools[0].function_declarations[0].parameters",
            'Unknown name "$schema"',
        ),
        (
            {"generationConfig": {"responseSchema": {"properties": {"a": {"const": 1}}}}},
            "generation_config.response_schema.properties[0].value",
            'Unknown name "const"',
        ),
        (
            {"generationConfig": {"responseSchema": {"type": ["STRING", "NULL"]}}},
            "generation_config.response_schema",
            "Proto field is not repeating, cannot start list.",
        ),
        (
            {"generationConfig": {"thinkingConfig": {"thinkingLevel": "EXTREME"}}},
            "generation_config.thinking_config.thinking_level",
            '.ThinkingLevel), "EXTREME"',
        ),
        ({"generationConfig": {"temperature": "hot"}}, "generation_config.temperature", "TYPE_FLOAT"),
        ({"generationConfig": {"topK": 1.5}}, "generation_config.top_k", "TYPE_INT32"),
        ({"generationConfig": {"seed": 2**31}}, "generation_config.seed", "TYPE_INT32"),
        ({"store": "yes"}, "store", "TYPE_BOOL"),
        ({"systemInstruction": "text"}, "system_instruction", ".Content)"),
        ({"contents": [{"parts": [{"text": 1}]}]}, "contents[0].parts[0].text", "TYPE_STRING"),
        (
            {"contents": [{"parts": [{"inlineData": {"data": "!!"}}]}]},
            "contents[0].parts[0].inline_data.data",
            "TYPE_BYTES",
        ),
        (
            {"contents": [{"parts": [{"functionCall": {"args": "{}"}}]}]},
            "contents[0].parts[0].function_call.args",
            "protobuf.Struct",
        ),
        (
            {"contents": [{"parts": [{"videoMetadata": {"startOffset": "10"}}]}]},
            "contents[0].parts[0].video_metadata.start_offset",
            "protobuf.Duration",
        ),
        (
            {"contents": [{"parts": [{"text": "a", "functionCall": {"name": "b"}}]}]},
            "contents[0].parts[0]",
            "oneof field 'data' is already set",
        ),
        ({"labels": "a"}, "labels", "(Map)"),
        ("text", "", "GenerateContentRequest)"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named_with_its_path(body, field, text):
    assert any(f == field and text in said for f, said in violations(body))


def test_all_faults_are_told_at_once():
    body = {"a": 1, "b": 2, "generationConfig": {"c": 3}}
    assert len(violations(body)) == 3


def test_numbers_may_come_as_strings_and_null_is_unset():
    config = normalise({"temperature": "0.5", "topP": None}, "GenerationConfig")
    assert config == {"temperature": 0.5}


@pytest.mark.parametrize("type_", REQUESTS)
def test_every_field_is_known_by_both_spellings(type_):
    for name in REQUESTS[type_]:
        assert normalise({name: None, snake(name): None}, type_) == {}
