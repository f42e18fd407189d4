import pytest

from tests.gateway.simulator.strict.asking import WEATHER, refusal

OLD, NEW = "gemini-2.5-flash", "gemini-3.5-flash"
FUNCTIONS = {"functionDeclarations": [WEATHER]}
SEARCH = {"googleSearch": {}}
JSON = {"generationConfig": {"responseMimeType": "application/json"}}
JSON_FORMAT = {"generationConfig": {"responseFormat": {"text": {"mimeType": "APPLICATION_JSON"}}}}
MAPS = {"googleMaps": {}}
SHOWN = {"includeServerSideToolInvocations": True}


def mode(name, *allowed, **config):
    calling = {"mode": name, "allowedFunctionNames": list(allowed)}
    return {"toolConfig": {"functionCallingConfig": calling, **config}}


def named(name):
    return {"tools": [{"functionDeclarations": [{"name": name}]}]}


@pytest.mark.parametrize(
    ("model", "body", "said"),
    [
        (OLD, named("1st"), "Invalid function name"),
        (OLD, named("with space"), "Invalid function name"),
        (OLD, named("a" * 65), "Invalid function name"),
        (OLD, named(""), "Invalid function name"),
        (OLD, {"tools": [FUNCTIONS, FUNCTIONS]}, "Duplicate function declaration found: weather"),
        (
            OLD,
            {"tools": [{"functionDeclarations": [{"name": f"f{at}"} for at in range(513)]}]},
            "At most 512",
        ),
        (OLD, mode("ANY"), "set without function_declarations"),
        (OLD, {"tools": [FUNCTIONS], **mode("AUTO", "weather")}, "is ANY or VALIDATED"),
        (OLD, {"tools": [FUNCTIONS], **mode("ANY", "rain")}, "'rain' is not a declared function"),
        (OLD, {"tools": [FUNCTIONS, SEARCH]}, "Tool use with function calling is unsupported"),
        (OLD, {"tools": [{"googleSearchRetrieval": {}}]}, "Please use google_search tool"),
        (OLD, {"tools": [FUNCTIONS], **JSON}, "Function calling with a response mime type"),
        (OLD, {"tools": [SEARCH], **JSON}, "Tool use with a response mime type"),
        (NEW, {"tools": [FUNCTIONS], **mode("ANY"), **JSON}, "Forced function calling (ANY mode)"),
        (NEW, {"tools": [MAPS], **JSON}, "Google Maps tool with a response mime type"),
        (OLD, {"tools": [MAPS], **JSON_FORMAT}, "Tool use with a response mime type"),
        (NEW, {"tools": [FUNCTIONS, SEARCH]}, "include_server_side_tool_invocations"),
        (NEW, {"tools": [FUNCTIONS, SEARCH], "toolConfig": SHOWN}, "mode AUTO is not supported"),
        ("gemini-2.5-flash-image", {"tools": [FUNCTIONS]}, "Function calling is not enabled"),
        ("gemini-2.5-flash-image", {"tools": [SEARCH]}, "Search Grounding is not enabled"),
        ("gemini-3-pro-image", {"tools": [{"codeExecution": {}}]}, "Code execution is not enabled"),
    ],
)  # fmt: skip
def test_wrong_tools_are_refused(model, body, said):
    assert said in refusal(body, model)


@pytest.mark.parametrize(
    ("model", "body"),
    [
        (OLD, {"tools": [FUNCTIONS], **mode("ANY", "weather")}),
        (OLD, {"tools": [FUNCTIONS], **mode("NONE")}),
        (OLD, {"tools": [SEARCH, {"codeExecution": {}}, {"urlContext": {}}]}),
        (OLD, named("a.b:c-d_" + "e" * 56)),
        (NEW, {"tools": [FUNCTIONS], **JSON}),
        (NEW, {"tools": [MAPS], **JSON_FORMAT}),
        (NEW, {"tools": [FUNCTIONS, SEARCH], **mode("VALIDATED", **SHOWN)}),
        ("gemini-3-pro-image", {"tools": [SEARCH]}),
    ],
)
def test_right_tools_are_accepted(model, body):
    assert refusal(body, model) is None
