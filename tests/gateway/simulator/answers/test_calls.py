import json

from gateway.simulator.answers import Request, whole
from gateway.simulator.models import MODELS
from gateway.simulator.strict import generate
from tests.gateway.simulator.answers.answering import NEW, answer, events, parts_of

FUNCTION = {
    "name": "weather",
    "parameters": {
        "type": "OBJECT",
        "properties": {"city": {"type": "STRING"}, "days": {"type": "INTEGER", "minimum": 2}},
        "required": ["city", "days"],
    },
}
TOOLS = [{"functionDeclarations": [FUNCTION, {"name": "sunrise"}]}]


def test_older_models_call_and_stop_at_once_newer_ones_stop_afterwards():
    (old,) = events("weather in Rome", tools=TOOLS)
    assert old["candidates"][0]["finishReason"] == "STOP"
    assert old["candidates"][0]["finishMessage"] == "Model generated function call(s)."
    (part,) = parts_of(old)
    assert part["functionCall"] == {"name": "weather", "args": {"city": "Rome", "days": 2}}
    call, end = events("weather in Rome", NEW, tools=TOOLS)
    assert "finishReason" not in call["candidates"][0]
    assert parts_of(call)[0]["functionCall"]["id"]
    assert parts_of(call)[0]["thoughtSignature"]
    assert (parts_of(end), end["candidates"][0]["finishReason"]) == ([{"text": ""}], "STOP")


def test_parallel_calls_are_signed_once_and_have_ids_of_their_own():
    parts = parts_of(answer("in parallel", NEW, tools=TOOLS))
    assert [part["functionCall"]["name"] for part in parts] == ["weather", "sunrise"]
    assert ["thoughtSignature" in part for part in parts] == [True, False]
    assert len({part["functionCall"]["id"] for part in parts}) == 2
    single = [{"functionDeclarations": [FUNCTION]}]
    parts = parts_of(answer("parallel: weather in Rome and Oslo", tools=single))
    # LiteLLM takes two that are the same for one.
    assert [part["functionCall"]["args"]["city"] for part in parts] == ["Rome", "Oslo"]


def test_the_choice_of_tools_is_followed():
    def names(**config):
        calling = {"functionCallingConfig": config}
        parts = parts_of(answer("echo a", tools=TOOLS, toolConfig=calling))
        return [part["functionCall"]["name"] for part in parts if "functionCall" in part]

    assert names(mode="NONE") == []
    assert parts_of(answer("now the sunrise", tools=TOOLS))[0]["functionCall"]["name"] == "sunrise"


def then(question, *more, calls=1, **fields):
    """Return what a model says to the results of *calls* calls that it made, and to *more*."""
    call = parts_of(answer(question, NEW, tools=TOOLS))
    function_call = call[0]["functionCall"]
    result = {"id": function_call["id"], "name": function_call["name"], "response": {"sky": "blue"}}
    contents = [
        {"role": "user", "parts": [{"text": question}]},
        {"role": "model", "parts": call * calls},
        {"role": "user", "parts": [{"functionResponse": result}] * calls},
        *more,
    ]
    model = MODELS[NEW]
    request = generate({"contents": contents, "tools": TOOLS, **fields}, model)
    return parts_of(whole(Request(request, model)))


def test_results_become_text_unless_more_steps_are_wanted():
    assert then("weather")[0]["text"] == 'weather answered {"sky":"blue"}.'
    assert "functionCall" in then("weather in 2 steps")[0]
    # Mastra puts all steps into one message.
    assert "functionCall" not in then("weather in 2 steps", calls=2)[0]


def test_images_beside_results_are_no_new_question():
    image = {"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}}
    seen = then("weather", {"role": "user", "parts": [image]})
    assert seen[0]["text"] == 'weather answered {"sky":"blue"}.'


def test_nothing_is_handed_over_unasked():
    """Google's ADK offers each agent to hand back to the first."""
    agents = [{"functionDeclarations": [{"name": "transfer_to_agent"}]}]
    assert "functionCall" not in parts_of(answer("hello", tools=agents))[0]
    assert "functionCall" in parts_of(answer("now transfer_to_agent", tools=agents))[0]


def test_forced_calls_take_turns():
    """LangChain's agents and others wait for a function of theirs that takes the answer."""
    forced = {"functionCallingConfig": {"mode": "ANY"}}
    (part, *_) = then("weather", toolConfig=forced)
    assert part["functionCall"]["name"] == "sunrise"


def test_results_become_json_where_it_is_asked_for():
    schema = {"type": "object", "properties": {"n": {"type": "integer", "minimum": 7}}}
    config = {"responseMimeType": "application/json", "responseJsonSchema": schema}
    assert json.loads(then("weather", generationConfig=config)[0]["text"]) == {"n": 7}
