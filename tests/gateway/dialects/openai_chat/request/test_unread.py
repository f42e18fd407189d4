import pytest

from gateway.exchange import Blob
from tests.gateway.dialects.openai_chat.asking import ask, assistant, user

CACHE = {"cache_control": {"type": "ephemeral"}}
TEXT = {"type": "text", "text": "Hi"}
FUNCTION = {"name": "f", "description": "d", "parameters": {"type": "object"}}


def dropped(**fields):
    return list(ask(**fields)[1].dropped)


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"messages": [{**user("Hi"), **CACHE}]}, "messages[0].cache_control"),
        ({"messages": [user([TEXT, {**TEXT, **CACHE}])]}, "messages[0].content[1].cache_control"),
        (
            {"tools": [{"type": "function", "function": FUNCTION, **CACHE}]},
            "tools[0].cache_control",
        ),
        (
            {"tools": [{"type": "function", "function": {**FUNCTION, **CACHE}}]},
            "tools[0].function.cache_control",
        ),
        ({"functions": [{**FUNCTION, **CACHE}]}, "functions[0].cache_control"),
        ({"tools": [{"type": "custom", "custom": {"name": "c"}, "x": 1}]}, "tools[0].x"),
        ({"tools": [{"type": "custom", "custom": {"name": "c", "x": 1}}]}, "tools[0].custom.x"),
        ({"reasoning": {"effort": "low", "summary": "auto"}}, "reasoning.summary"),
        ({"thinking": {"type": "enabled", "display": "a"}}, "thinking.display"),
        ({"stream_options": {"chunk_size": 1}}, "stream_options.chunk_size"),
        (
            {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
            "tool_choice.disable_parallel_tool_use",
        ),
        (
            {
                "tools": [{"type": "function", "function": FUNCTION}],
                "tool_choice": {"type": "function", "function": {"name": "f", "x": 1}},
            },
            "tool_choice.function.x",
        ),
        (
            {
                "model": "gemini-3.8-flash-tts",
                "modalities": ["audio"],
                "audio": {"voice": {"id": "alloy", "x": 1}, "format": "wav"},
            },
            "audio.voice.x",
        ),
    ],
)
def test_a_field_that_nothing_reads_is_named_by_its_place(fields, path):
    assert dropped(**fields) == [path]


@pytest.mark.parametrize(
    ("part", "place"),
    [
        ({"type": "file", "file": {"file_data": "AAAA", "file_id": "files/a"}}, "file.file_id"),
        ({"type": "input_file", "file_id": "files/a", "file_url": "https://a.b/c"}, "file_id"),
        ({"type": "file", "file": {"file_data": "AAAA", "file_id": None}}, ""),
    ],
)
def test_a_second_source_of_one_medium_is_named(part, place):
    media = {(0, 0): Blob("application/pdf", data="AAAA")}
    _, notes = ask(messages=[user([part])], media=media)
    assert list(notes.dropped) == ([f"messages[0].content[0].{place}"] if place else [])


def test_the_first_stands_for_all_of_its_name():
    """A long history would leave no room in the headers for anything else."""
    messages = [user([{**TEXT, **CACHE}]), {**user("a"), "id": "m1"}, {**user("b"), "id": "m2"}]
    assert dropped(messages=messages) == ["messages[0].content[0].cache_control", "messages[1].id"]


@pytest.mark.parametrize(
    "fields",
    [
        {"messages": [{**user([TEXT]), "cache_control": None}]},
        {"messages": [user("Hi"), assistant("Ho", **CACHE, citations=["a"]), user("Hm")]},
        {"messages": [user([TEXT, {"type": "thinking", "thinking": "a", "signature": "b"}])]},
        {"tools": [{"type": "function", "function": {**FUNCTION, "strict": False}}]},
        {"reasoning": {"effort": "low"}, "stream_options": {"include_usage": True}},
    ],
    ids=["unset", "of an answer", "of thoughts", "read", "settings"],
)
def test_what_asks_for_nothing_is_not_named(fields):
    assert dropped(**fields) == []


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({}, ["tools[0].function.strict"]),
        ({"tool_choice": "auto"}, ["tools[0].function.strict"]),
        ({"tool_choice": "required"}, []),
        ({"google": {"function_calling_config": {"mode": "VALIDATED"}}}, []),
    ],
)
def test_strict_is_named_where_gemini_is_not_held_to_the_schema(fields, names):
    tools = [
        {"type": "function", "function": {**FUNCTION, "name": name, "strict": True}}
        for name in ("f", "g")
    ]
    assert dropped(tools=tools, **fields) == names
