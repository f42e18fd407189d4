from gateway.dialects.openai_chat.reply.collect import choices


def chunk(index, delta, **fields):
    return {"choices": [{"index": index, "delta": delta, "finish_reason": None, **fields}]}


def test_chunks_of_several_choices_become_choices_in_order():
    folded = choices(
        [
            chunk(1, {"role": "assistant", "content": ""}),
            chunk(0, {"role": "assistant", "content": ""}),
            chunk(1, {"content": "b"}),
            chunk(0, {"content": "a"}),
            chunk(0, {"reasoning_content": "x"}),
            chunk(0, {"reasoning_content": "y"}),
            chunk(0, {}, finish_reason="stop"),
            {"choices": [], "usage": {}},
        ]
    )
    assert [(one["index"], one["message"]["content"]) for one in folded] == [(0, "a"), (1, "b")]
    assert folded[0]["message"]["reasoning_content"] == "xy"
    assert folded[0]["finish_reason"] == "stop"
    for one in folded:
        assert one.keys() == {"index", "message", "finish_reason", "logprobs"}


def test_log_probabilities_are_joined_and_fields_of_a_choice_kept():
    parts = [{"token": "a"}, {"token": "b"}]
    [folded] = choices(
        [
            chunk(0, {"role": "assistant", "content": "a"}, logprobs={"content": parts[:1]}),
            chunk(0, {"content": "b"}, logprobs={"content": parts[1:]}, extra=1),
            chunk(0, {}, finish_reason="stop"),
        ]
    )
    assert folded == {
        "index": 0,
        "message": {"role": "assistant", "content": "ab", "refusal": None},
        "finish_reason": "stop",
        "logprobs": {"content": parts, "refusal": None},
        "extra": 1,
    }


def test_a_tool_call_of_a_whole_message_has_no_index():
    call = {"index": 0, "id": "c1", "type": "function", "function": {}}
    [folded] = choices([chunk(0, {"content": ""}), chunk(0, {"tool_calls": [call]})])
    assert folded["message"]["tool_calls"] == [{"id": "c1", "type": "function", "function": {}}]
    assert folded["message"]["content"] is None


def test_a_refused_message_without_text_has_no_content():
    [folded] = choices([chunk(0, {"content": ""}), chunk(0, {"refusal": "no"})])
    assert (folded["message"]["content"], folded["message"]["refusal"]) == (None, "no")
