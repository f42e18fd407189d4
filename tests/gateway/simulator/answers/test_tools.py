from tests.gateway.simulator.answers.answering import NEW, answer, events, parts_of


def test_code_runs_with_a_stop_in_mid_stream():
    got = events("Run it and plot it", tools=[{"codeExecution": {}}])
    kinds = [next(iter(parts_of(event)[0])) for event in got]
    assert kinds == ["text", "executableCode", "codeExecutionResult", "inlineData", "text"]
    stops = [event["candidates"][0].get("finishReason") for event in got]
    assert stops == [None, "STOP", None, None, "STOP"]
    failed = parts_of(answer("fail", NEW, tools=[{"codeExecution": {}}]))
    assert failed[2]["codeExecutionResult"]["outcome"] == "OUTCOME_FAILED"
    assert failed[1]["executableCode"]["id"] == failed[2]["codeExecutionResult"]["id"]


def test_citations_point_at_bytes_and_a_start_of_zero_is_absent():
    got = answer("who?", tools=[{"googleSearch": {}}, {"urlContext": {}}])
    said = parts_of(got)[0]["text"].encode()
    supports = got["candidates"][0]["groundingMetadata"]["groundingSupports"]
    assert "startIndex" not in supports[0]["segment"]
    assert len(supports) == 3
    for support in supports:
        segment = support["segment"]
        found = said[segment.get("startIndex", 0) : segment["endIndex"]].decode()
        assert found == segment["text"]
    assert got["candidates"][0]["urlContextMetadata"]["urlMetadata"]
    assert got["usageMetadata"]["toolUsePromptTokenCount"]
