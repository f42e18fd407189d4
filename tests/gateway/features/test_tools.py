"""Bodies without tools that a model refuses."""

from tests.gateway.features.mending import FUNCTIONS, mended


def test_a_refusal_of_one_built_in_tool_leaves_the_others():
    config = {
        "functionCallingConfig": {"mode": "VALIDATED"},
        "includeServerSideToolInvocations": True,
    }
    kept = [FUNCTIONS, {"googleSearch": {}}]
    tools = [*kept, {"googleMaps": {}}]
    healed, notes = mended("Google Maps tool is not enabled", tools=tools, toolConfig=config)
    assert healed.call.body["tools"] == kept
    assert healed.call.body["toolConfig"] == config
    assert list(notes.dropped) == ["tools.googleMaps"]


def test_a_built_in_tool_goes_where_functions_refuse_its_company():
    healed, notes = mended(
        "Tool use with function calling is unsupported",
        tools=[FUNCTIONS, {"googleSearch": {}}],
        toolConfig={
            "functionCallingConfig": {"mode": "VALIDATED"},
            "includeServerSideToolInvocations": True,
        },
    )
    assert healed is not None
    assert healed.call.body["tools"] == [FUNCTIONS]
    assert healed.call.body["toolConfig"] == {"functionCallingConfig": {"mode": "AUTO"}}
    assert list(notes.dropped) == ["tools.googleSearch"]
