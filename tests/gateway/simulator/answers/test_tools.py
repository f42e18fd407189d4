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


def test_code_stands_behind_the_first_sentence_where_both_are_on():
    got = events("Recite", tools=[{"codeExecution": {}}])
    kinds = [next(iter(parts_of(event)[0])) for event in got]
    assert kinds == ["text", "executableCode", "codeExecutionResult", "text", "text", "text"]


def test_invocations_on_googles_side_are_shown_where_they_were_asked_for():
    config = {"includeServerSideToolInvocations": True}
    tools = [{"googleSearch": {}}, {"fileSearch": {"fileSearchStoreNames": ["a"]}}]
    parts = parts_of(answer("who?", NEW, tools=tools, toolConfig=config))
    assert [part["toolCall"]["toolType"] for part in parts if "toolCall" in part] == [
        "GOOGLE_SEARCH_WEB",
        "FILE_SEARCH",
    ]
    assert all("thoughtSignature" in part for part in parts[:4])
    for call, response in (parts[:2], parts[2:4]):
        assert call["toolCall"]["id"] == response["toolResponse"]["id"]
    assert "text" in parts_of(answer("who?", NEW, tools=tools))[0]


def test_an_action_on_the_screen_is_a_call():
    got = answer("Click", NEW, tools=[{"computerUse": {"environment": "ENVIRONMENT_BROWSER"}}])
    call = parts_of(got)[1]["functionCall"]
    assert call["name"] == "click_at"
    assert call["id"]
