from openai.types.chat import ChatCompletion

from tests.gateway.dialects.openai_chat.replying import event, make_reply, run, stop, whole


def token(text, logprob=-0.5):
    return {"token": text, "logProbability": logprob, "tokenId": 7}


RESULT = {
    "chosenCandidates": [token("é"), {"token": "<0xE2>"}],
    "topCandidates": [{"candidates": [token("é"), token("e", -3.0)]}],
}


def test_log_probabilities_stand_beside_their_text_with_bytes():
    chunks = run(make_reply(), [event("é", logprobsResult=RESULT), stop()])
    choice = chunks[1]["choices"][0]
    assert choice["delta"] == {"content": "é"}
    first, second = choice["logprobs"]["content"]
    assert first == {
        "token": "é",
        "logprob": -0.5,
        "bytes": [0xC3, 0xA9],
        "top_logprobs": [
            {"token": "é", "logprob": -0.5, "bytes": [0xC3, 0xA9]},
            {"token": "e", "logprob": -3.0, "bytes": [0x65]},
        ],
    }
    assert second == {"token": "<0xE2>", "logprob": 0.0, "bytes": [0xE2], "top_logprobs": []}


def test_the_whole_answer_has_those_of_all_events():
    answer = whole([event("é", logprobsResult=RESULT), stop(logprobsResult=RESULT)])
    assert len(ChatCompletion.model_validate(answer).choices[0].logprobs.content) == 4
    assert whole([stop("a")])["choices"][0]["logprobs"] is None
    assert whole([stop("a", logprobsResult=None)])["choices"][0]["logprobs"] is None


def test_those_of_one_choice_do_not_stand_at_another():
    first, second = event("a", logprobsResult=RESULT), event(index=1, logprobsResult=RESULT)
    both = {"candidates": first["candidates"] + second["candidates"]}
    begun = [event("b", index=index) for index in (0, 1)]
    ends = [stop("", index=index) for index in (0, 1)]
    choices = whole([*begun, both, *ends], payload={"n": 2})["choices"]
    assert [len(choice["logprobs"]["content"]) for choice in choices] == [2, 2]


def test_what_is_impossible_has_the_number_that_openai_has_for_it():
    """Google writes minus infinity as a string, for JSON has no such number."""
    result = {"chosenCandidates": [token("a", "-Infinity"), token("b", "-0.5")]}
    content = whole([stop("a", logprobsResult=result)])["choices"][0]["logprobs"]["content"]
    assert [entry["logprob"] for entry in content] == [-9999.0, -0.5]
