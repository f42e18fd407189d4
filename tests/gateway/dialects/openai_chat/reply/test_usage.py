from gateway.dialects.openai_chat.reply.usage import service_tier, wire
from gateway.wire.counts import count, tally
from tests.gateway.wire.test_counts import FULL


def test_the_details_tell_of_cache_thoughts_and_modalities():
    usage = wire(*tally(FULL))
    assert usage["prompt_tokens_details"] == {
        "cached_tokens": 64,
        "text_tokens": 80,
        "image_tokens": 30,
    }
    assert usage["completion_tokens_details"] == {
        "reasoning_tokens": 50,
        "audio_tokens": 20,
        "text_tokens": 0,
    }
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (
        120,
        80,
        200,
    )


def test_the_tier_is_told_in_openais_words():
    words = {"standard": "default", "FLEX": "flex", "priority": "priority"}
    for tier, word in words.items():
        assert service_tier(count({"serviceTier": tier})) == {"service_tier": word}
    for strange in ("new", "", None, ["flex"]):
        assert service_tier(count({"serviceTier": strange})) == {}
    assert service_tier(count({})) == {}
