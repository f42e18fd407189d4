import pytest

from tests.gateway.simulator.strict.asking import refusal


def user(*parts):
    return {"role": "user", "parts": list(parts)}


def model(*parts):
    return {"role": "model", "parts": list(parts)}


def call(name, **fields):
    return {"functionCall": {"name": name, "args": {}, **fields}}


def result(name, **fields):
    return {"functionResponse": {"name": name, "response": {"ok": 1}, **fields}}


ASK, SAID = user({"text": "go"}), model({"text": "gone"})
COUNT = "number of function response parts is equal to the number of function call parts"
EMPTY = "required oneof field 'data' must have one initialized field"

REFUSED = [
    ([], "contents is not specified"),
    ([user()], "contents.parts must not be empty"),
    ([user({})], EMPTY),
    ([user({"text": ""})], EMPTY),
    ([user({"thought": True})], EMPTY),
    ([ASK, model({"text": ""}), ASK], EMPTY),
    ([{"role": "assistant", "parts": [{"text": "a"}]}], "valid role: user, model"),
    ([{"role": "system", "parts": [{"text": "a"}]}], "valid role: user, model"),
    ([SAID, ASK], "start with a user turn"),
    ([ASK, SAID], "ends with a user role"),
    ([model(call("f")), user(result("f"))], "comes immediately after a user turn"),
    ([ASK, model(call("f")), user({"text": "so?"})], COUNT),
    ([ASK, model(call("f"), call("g")), user(result("f"))], COUNT),
    ([ASK, model(call("f")), user(result("f"), result("f"))], COUNT),
    ([ASK, model(call("f"), call("g")), user(result("g"), result("f"))], "stands where"),
    ([user(result("f"))], "comes immediately after a function call turn"),
    ([ASK, SAID, user(result("f"))], "comes immediately after a function call turn"),
    ([user(call("f")), user(result("f"))], "has the role model"),
    ([ASK, model(call("f"), result("f")), ASK], "has the role user"),
    ([ASK, model(call("f", id="1")), user(result("f", id="2"))], "does not match"),
    ([ASK, model(call("f")), user(result("f", id="2"))], "does not match"),
    ([ASK, model(call("")), user(result("f"))], "Name cannot be empty"),
    (
        [ASK, model(call("f")), user(result("f", response={"a": [{"$ref": "b"}]}))],
        "does not match to a display_name",
    ),
]
ACCEPTED = [
    [{"parts": [{"text": "no role"}]}],
    [ASK, SAID, ASK],
    [ASK, ASK],
    [ASK, model(call("f")), user(result("f"))],
    [ASK, model(call("f")), {"role": "function", "parts": [result("f")]}],
    [ASK, model(call("f"), call("g")), user(result("f")), user(result("g")), ASK],
    [ASK, model(call("f", id="1")), user(result("f", id="1"))],
    [ASK, model({"text": ""}, call("f")), user(result("f"))],
    [ASK, model(call("f")), model({"text": ""}), user(result("f"))],
    [ASK, model({"text": "", "thoughtSignature": "skip_thought_signature_validator"}), ASK],
]


@pytest.mark.parametrize(("contents", "said"), REFUSED)
def test_a_wrong_conversation_is_refused(contents, said):
    assert said in refusal({"contents": contents})


@pytest.mark.parametrize("contents", ACCEPTED)
def test_a_right_conversation_is_accepted(contents):
    assert refusal({"contents": contents}) is None


@pytest.mark.parametrize(
    ("contents", "said"),
    [
        ([ASK, SAID], "Requests ending with a model turn are not supported"),
        (
            [
                ASK,
                model({**call("f"), "thoughtSignature": "skip_thought_signature_validator"}),
                {"role": "function", "parts": [result("f")]},
            ],
            "Role 'function' is not supported",
        ),
        ([ASK, model(call("f", id="1")), user(result("f"))], "missing the id of its call"),
    ],
)
def test_newer_models_refuse_more(contents, said):
    assert said in refusal({"contents": contents}, "gemini-3.7-flash")


def test_a_system_instruction_holds_texts_and_not_every_model_takes_one():
    picture = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}
    assert "only text parts" in refusal({"systemInstruction": {"parts": [picture]}})
    assert refusal({"systemInstruction": {"parts": [{"text": "a"}]}}) is None
    said = refusal({"systemInstruction": {"parts": [{"text": "a"}]}}, "gemini-2.5-flash-image")
    assert "Developer instruction is not enabled" in said
