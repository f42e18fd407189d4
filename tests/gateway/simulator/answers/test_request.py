from tests.gateway.simulator.answers.answering import NEW, answer, events, parts_of


def test_thoughts_come_first_and_only_when_asked_for():
    thinking = {"generationConfig": {"thinkingConfig": {"includeThoughts": True}}}
    got = answer("echo a", **thinking)
    assert [part.get("thought") for part in parts_of(got)] == [True, None]
    assert got["usageMetadata"]["thoughtsTokenCount"] == 12
    assert not any(part.get("thought") for part in parts_of(answer("echo a")))
    off = {"generationConfig": {"thinkingConfig": {"thinkingBudget": 0}}}
    assert "thoughtsTokenCount" not in answer("echo a", **off)["usageMetadata"]


def test_newer_models_end_with_a_signature_on_an_empty_text():
    last = parts_of(events("echo a", NEW)[-1])
    assert last[0]["text"] == ""
    assert last[0]["thoughtSignature"]
    assert len(parts_of(events("signature of 3000 bytes", NEW)[-1])[0]["thoughtSignature"]) == 4000
