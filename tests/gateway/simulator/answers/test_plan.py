from tests.gateway.simulator.answers.answering import NEW, answer, events, parts_of, text


def test_texts_stop_where_they_must():
    assert text("echo one two", generationConfig={"stopSequences": ["tw"]}) == "one "
    long = answer("echo " + "a" * 99, NEW, generationConfig={"maxOutputTokens": 14})
    assert long["candidates"][0]["finishReason"] == "MAX_TOKENS"
    assert parts_of(long)[0]["text"] == "a" * 8
    silent = answer("echo a", generationConfig={"maxOutputTokens": 5})
    assert silent["candidates"][0] == {
        "content": {"role": "model"}, "finishReason": "MAX_TOKENS", "index": 0,
    }  # fmt: skip


def test_what_cannot_be_asked_for_otherwise_is_ordered_in_words():
    assert events("block the prompt")[0]["promptFeedback"] == {"blockReason": "PROHIBITED_CONTENT"}
    assert answer("finish with SAFETY")["candidates"][0]["finishReason"] == "SAFETY"
    assert parts_of(answer("say nothing")) == []
