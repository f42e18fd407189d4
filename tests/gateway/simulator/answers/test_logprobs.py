from tests.gateway.simulator.answers.answering import answer


def test_log_probabilities_cover_the_text():
    config = {"responseLogprobs": True, "logprobs": 2}
    candidate = answer("echo a b", generationConfig=config)["candidates"][0]
    result = candidate["logprobsResult"]
    assert "".join(token["token"] for token in result["chosenCandidates"]) == "a b"
    assert [len(top["candidates"]) for top in result["topCandidates"]] == [2, 2]
