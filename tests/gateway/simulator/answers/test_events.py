from tests.gateway.simulator.answers.answering import answer, events


def test_every_candidate_has_its_index():
    got = answer("echo a", generationConfig={"candidateCount": 3})
    assert [candidate["index"] for candidate in got["candidates"]] == [0, 1, 2]


def test_streamed_usage_grows_with_every_event():
    counts = [event["usageMetadata"]["totalTokenCount"] for event in events("story of 5 chunks")]
    assert counts == sorted(set(counts))
    assert len(counts) == 5
