import pytest

from gateway.exchange import Usage
from gateway.wire.counts import count, count_of

FULL = {
    "promptTokenCount": 100,
    "toolUsePromptTokenCount": 20,
    "cachedContentTokenCount": 64,
    "candidatesTokenCount": 30,
    "thoughtsTokenCount": 50,
    "totalTokenCount": 200,
    "promptTokensDetails": [
        {"modality": "TEXT", "tokenCount": 60},
        {"modality": "IMAGE", "tokenCount": 30},
        {"modality": "VIDEO", "tokenCount": 10},
    ],
    "toolUsePromptTokensDetails": [{"modality": "TEXT", "tokenCount": 20}],
    "candidatesTokensDetails": [
        {"modality": "AUDIO", "tokenCount": 20},
        {"modality": "VIDEO", "tokenCount": 10},
        {"modality": "TEXT"},
    ],
}


def test_tool_tokens_are_prompt_and_thoughts_are_completion():
    assert count(FULL) == Usage(
        prompt=120,
        completion=80,
        total=200,
        cached=64,
        thoughts=50,
        image_input=30,
        audio_output=20,
        video_output=10,
    )


def test_counts_that_were_added_up_tell_of_how_many_calls():
    assert count({"promptTokenCount": 9, "calls": 3}).calls == 3
    assert count({"promptTokenCount": 9}).calls == 1


def test_what_costs_another_price_than_text_is_counted_besides():
    found = count(
        {
            "promptTokenCount": 100,
            "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 70}, {"modality": "TEXT"}],
            "toolUsePromptTokensDetails": [{"modality": "AUDIO", "tokenCount": 5}],
            "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 40}],
            "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 1290}],
        }
    )
    assert (found.audio_input, found.audio_cached, found.image_output) == (75, 40, 1290)


def test_missing_and_null_counts_are_zero():
    assert count({"promptTokenCount": 5, "thoughtsTokenCount": None}) == Usage(prompt=5, total=5)


def test_counts_that_are_no_numbers_are_zero():
    strange = {"promptTokenCount": "many", "promptTokensDetails": [None, {"modality": [1]}]}
    assert count(strange | {"candidatesTokensDetails": 5}).total == 0
    kinds = [None, *({"modality": kind, "tokenCount": "many"} for kind in ("AUDIO", "VIDEO"))]
    usage = count(strange | {"candidatesTokensDetails": kinds})
    assert (usage.audio_output, usage.video_output) == (0, 0)


def test_an_event_alone_tells_of_its_searches_too():
    searched = {"groundingMetadata": {"webSearchQueries": ["a", "b"]}}
    found = count_of({"candidates": [searched, searched], "usageMetadata": FULL})
    assert (found.total, found.searches) == (200, 4)
    assert count_of({"candidates": [searched]}) is None


@pytest.mark.parametrize("candidates", [None, 5, {"a": 1}, [5], [None], ["x"]])
def test_an_event_of_a_strange_shape_is_counted(candidates):
    assert count_of({"candidates": candidates, "usageMetadata": FULL}).total == 200


@pytest.mark.parametrize("number", [-5, 2**64 - 1, 2**53 + 1, "5", 5.0, True, None])
def test_a_number_that_is_no_count_counts_for_nothing(number):
    detail = [{"modality": "AUDIO", "tokenCount": number}]
    metadata = {**FULL, "thoughtsTokenCount": number, "candidatesTokensDetails": detail}
    found = count(metadata)
    assert (found.completion, found.thoughts, found.audio_output) == (30, 0, 0)
