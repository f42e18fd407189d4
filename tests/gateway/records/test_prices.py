"""What a reply costs."""

from datetime import UTC, date, datetime

import genai_prices
import pytest

from gateway.config import read
from gateway.exchange import Usage
from gateway.records.prices import Prices
from gateway.settings import LongRates, NextPrice, Price

PRICES = Prices(
    {
        "m": Price(input=1.0, output=10.0, cached=0.1),
        "plain": Price(input=2.0, output=4.0),
        "media": Price(
            input=1.0,
            output=10.0,
            cached=0.1,
            audio_input=3.0,
            audio_cached=0.3,
            image_output=30.0,
            audio_output=20.0,
            video_output=40.0,
        ),
        "flash": Price(input=0.30, output=2.50),
    }
)
MILLION = 1_000_000


@pytest.mark.parametrize(
    ("model", "usage", "usd"),
    [
        ("m", Usage(prompt=1_000_000), 1.0),
        ("m", Usage(prompt=1_000_000, cached=1_000_000), 0.1),
        ("m", Usage(prompt=1_000_000, cached=500_000, completion=100_000, thoughts=50_000), 1.55),
        ("plain", Usage(prompt=1_000_000, cached=1_000_000), 2.0),
        ("m", Usage(prompt=10, cached=1_000_000), 0.000_001),
        ("m", Usage(), 0.0),
        ("plain", Usage(prompt=MILLION, audio_input=MILLION, audio_cached=5), 2.0),
        ("media", Usage(prompt=MILLION, audio_input=MILLION), 3.0),
        ("media", Usage(prompt=2 * MILLION, audio_input=MILLION), 4.0),
        (
            "media",
            Usage(
                prompt=4 * MILLION,
                audio_input=2 * MILLION,
                cached=2 * MILLION,
                audio_cached=MILLION,
            ),
            1.0 + 3.0 + 0.1 + 0.3,
        ),
        ("media", Usage(prompt=MILLION, cached=MILLION, audio_input=MILLION), 0.1),
        ("media", Usage(prompt=10, audio_input=99 * MILLION), 0.000_03),
        ("media", Usage(completion=2 * MILLION, image_output=MILLION, thoughts=MILLION), 40.0),
        ("media", Usage(completion=2 * MILLION, audio_output=MILLION), 30.0),
        ("media", Usage(completion=10, image_output=MILLION, audio_output=MILLION), 0.000_3),
        ("media", Usage(completion=2 * MILLION, video_output=MILLION), 50.0),
        ("media", Usage(completion=10, audio_output=4, video_output=MILLION), 0.000_32),
        ("m", Usage(completion=MILLION, video_output=MILLION), 10.0),
    ],
)
def test_each_kind_of_token_has_its_price_and_thoughts_are_output(model, usage, usd):
    assert PRICES.cost(model, usage) == pytest.approx(usd)


def test_a_model_without_a_price_has_no_cost():
    assert PRICES.cost("other", Usage(prompt=1)) is None


LONG = LongRates(above=200_000, input=2.0, output=20.0, cached=0.5)


@pytest.mark.parametrize(
    ("usage", "usd"),
    [
        (Usage(prompt=200_000, completion=1_000), 0.2 + 0.01),
        (Usage(prompt=200_001, completion=1_000), 0.400_002 + 0.02),
        (Usage(prompt=300_000, cached=100_000), 0.4 + 0.05),
        (Usage(prompt=450_000, calls=3), 0.45),
        (Usage(prompt=600_003, calls=3), 1.200_006),
    ],
)
def test_a_call_with_a_long_prompt_has_other_prices_for_all_its_tokens(usage, usd):
    prices = Prices({"m": Price(input=1.0, output=10.0, cached=0.1, long=LONG)})
    assert prices.cost("m", usage) == pytest.approx(usd)


@pytest.mark.parametrize(
    ("usage", "usd"),
    [
        (Usage(prompt=1_000), 0.001),
        (Usage(prompt=1_000, searches=3), 0.001 + 3 * 0.014 + 0.035),
        (Usage(prompt=200_002, searches=1, calls=2), 0.200_002 + 0.014 + 2 * 0.035),
        (Usage(prompt=1_000, maps=2), 0.001 + 2 * 0.014 + 0.025),
        (Usage(maps=1, searches=3, calls=2), 4 * 0.014 + 2 * (0.025 + 0.035)),
    ],
)
def test_searches_have_their_price_by_the_query_or_by_the_prompt(usage, usd):
    by_prompt = {"search_prompts": 35.0, "map_prompts": 25.0}
    price = Price(input=1.0, output=10.0, search_queries=14.0, **by_prompt, long=LONG)
    assert Prices({"m": price}).cost("m", usage) == pytest.approx(usd)
    assert Prices({"m": Price(input=1.0, output=1.0)}).cost("m", Usage(searches=9)) == 0


@pytest.mark.parametrize(
    ("usage", "usd"),
    [
        (Usage(prompt=MILLION, completion=MILLION, tier="standard"), 11.0),
        (Usage(prompt=MILLION, completion=MILLION, tier="priority"), 11.0 * 1.8),
        (Usage(prompt=MILLION, completion=MILLION, tier="flex"), 11.0 / 2),
        (Usage(prompt=MILLION, completion=MILLION, tier="unheard of"), 11.0),
        # Cached tokens are not cheaper in a cheaper tier.
        (Usage(prompt=2 * MILLION, cached=MILLION, tier="flex"), 0.5 + 0.1),
        (Usage(prompt=2 * MILLION, cached=MILLION, tier="priority"), 1.8 + 0.18),
        (Usage(prompt=MILLION, audio_input=MILLION, tier="priority"), 3 * 1.8),
        (Usage(prompt=MILLION, cached=MILLION, audio_cached=MILLION, tier="priority"), 0.3 * 1.8),
        (Usage(prompt=MILLION, cached=MILLION, audio_cached=MILLION, tier="flex"), 0.3),
        (Usage(completion=MILLION, image_output=MILLION, tier="flex"), 30 / 2),
        (Usage(completion=MILLION, audio_output=MILLION, tier="flex"), 20 / 2),
        (Usage(completion=MILLION, video_output=MILLION, tier="flex"), 40 / 2),
        # Nor are searches.
        (Usage(prompt=MILLION, searches=2, tier="flex"), 0.5 + 2 * 0.014),
    ],
)
def test_a_tier_has_its_share_of_the_price(usage, usd):
    price = Price(
        input=1.0,
        output=10.0,
        cached=0.1,
        audio_input=3.0,
        audio_cached=0.3,
        image_output=30.0,
        audio_output=20.0,
        video_output=40.0,
        search_queries=14.0,
    )
    prices = Prices({"m": price}, read(None, {}).models.tiers)
    assert prices.cost("m", usage) == pytest.approx(usd)


def test_a_tier_has_its_share_of_long_prompts_and_of_what_has_no_price_of_its_own():
    prices = Prices({"m": Price(input=1.0, output=10.0, long=LONG)}, {"flex": 0.5})
    assert prices.cost("m", Usage(prompt=300_000, tier="flex")) == pytest.approx(0.3)
    cached = Usage(prompt=100_000, cached=100_000, audio_cached=10, tier="flex")
    assert prices.cost("m", cached) == pytest.approx(0.05)


def noon(year: int, month: int, day: int) -> float:
    return datetime(year, month, day, 12, tzinfo=UTC).timestamp()


def test_announced_prices_begin_on_their_day_while_the_gateway_runs():
    then = NextPrice(since=date(2027, 3, 1), input=4.0, output=4.0)
    soon = NextPrice(since=date(2027, 1, 1), input=2.0, output=2.0, long=LONG, next=then)
    other = NextPrice(since=date(2027, 2, 1), input=7.0, output=7.0)
    now = [noon(2026, 12, 31)]
    prices = Prices(
        {
            "m": Price(input=1.0, output=1.0, next=soon),
            "other": Price(input=6.0, output=6.0, next=other),
            "fixed": Price(input=9.0, output=9.0),
        },
        clock=lambda: now[0],
    )

    def cost() -> list[float | None]:
        return [prices.cost(model, Usage(prompt=100_000)) for model in ("m", "other", "fixed")]

    assert cost() == [0.1, 0.6, 0.9]
    now[0] = datetime(2027, 1, 1, tzinfo=UTC).timestamp()
    assert cost() == [0.2, 0.6, 0.9]
    now[0] = noon(2027, 2, 1)
    assert cost() == [0.2, 0.7, 0.9]
    now[0] = noon(2027, 6, 1)
    assert cost() == [0.4, 0.7, 0.9]


def test_a_gateway_that_starts_later_begins_with_the_price_of_its_day():
    then = NextPrice(since=date(2027, 3, 1), input=4.0, output=4.0)
    soon = NextPrice(since=date(2027, 1, 1), input=2.0, output=2.0, next=then)
    table = {"m": Price(input=1.0, output=1.0, next=soon)}
    prices = Prices(table, clock=lambda: noon(2027, 3, 1))
    assert prices.cost("m", Usage(prompt=100_000)) == 0.4


@pytest.mark.parametrize(
    ("name", "like"),
    [
        ("gemini-2.5-flash-preview-09-2025", "gemini-2.5-flash"),
        ("gemini-2.5-pro-preview-05-06", "gemini-2.5-pro"),
        ("gemini-2.5-flash-001", "gemini-2.5-flash"),
        ("gemini-2.5-flash-preview", "gemini-2.5-flash"),
        ("gemini-3.1-pro-preview-customtools", "gemini-3.1-pro-preview"),
        ("gemini-3-pro-image-preview", "gemini-3-pro-image"),
        ("gemini-3-flash", "gemini-3-flash-preview"),
    ],
)
def test_a_version_costs_what_its_model_costs(name, like):
    prices = Prices(read(None, {}).models.prices)
    usage = Usage(prompt=MILLION, completion=MILLION)
    assert prices.cost(name, usage) == prices.cost(like, usage) is not None


def test_a_version_that_has_a_price_of_its_own_costs_that():
    prices = Prices({"m": Price(input=1.0, output=1.0), "m-001": Price(input=2.0, output=2.0)})
    assert prices.cost("m-001", Usage(prompt=MILLION)) == 2.0


@pytest.mark.parametrize(
    "name", ["gemini-2.5-flash-native-audio", "gemini-9-flash-001", "gemini-2.5", "-001", ""]
)
def test_what_is_no_version_of_a_priced_model_has_no_price(name):
    assert Prices(read(None, {}).models.prices).cost(name, Usage(prompt=1)) is None


def test_the_shipped_table_is_sane():
    shipped = read(None, {}).models.prices
    assert "gemini-2.5-flash" in shipped
    for name, price in shipped.items():
        # Vectors have a price by their texts alone, open models none by Google.
        assert (price.output == 0) == ("embedding" in name or "gemma" in name)
        assert (price.input > 0) == ("gemma" not in name)
        assert price.output == 0 or price.input < price.output
        assert price.cached is None or price.cached < price.input
        assert price.audio_input is None or price.audio_input > price.input
        assert price.image_output is None or price.image_output > price.output
        assert price.video_output is None or price.video_output > price.output
        # Google charges for maps by the prompt where it does so for the web.
        assert bool(price.map_prompts) == bool(price.search_prompts)
        assert price.long is None or price.long.input > price.input


# Told by Google's page and LiteLLM's table; pydantic's does not know it.
UNKNOWN_THERE = {"gemini-3.5-transcribe"}
# Before and after each day on which Google said that prices change.
DAYS = [(2026, 11, 23), (2026, 12, 2), (2027, 1, 2)]
AMOUNTS = [
    Usage(prompt=1_000, completion=2_000),
    Usage(prompt=300_000, completion=2_000),
    Usage(prompt=1_000, cached=500, completion=10),
    Usage(prompt=300_000, cached=100_000),
    Usage(prompt=3_000, audio_input=2_000, completion=5),
    Usage(prompt=10, completion=2_000, image_output=1_500),
    Usage(prompt=10, completion=2_000, video_output=1_500),
    Usage(prompt=10, searches=1),
]


@pytest.mark.parametrize("day", DAYS)
@pytest.mark.parametrize("usage", AMOUNTS)
def test_the_shipped_prices_are_those_that_others_found(day, usage):
    at = datetime(*day, 12, tzinfo=UTC)
    shipped = read(None, {}).models.prices
    prices = Prices(shipped, clock=at.timestamp)
    for name in shipped.keys() - UNKNOWN_THERE:
        assert prices.cost(name, usage) == pytest.approx(_cost_elsewhere(name, usage, at)), name


def _cost_elsewhere(model: str, usage: Usage, at: datetime) -> float:
    counts = genai_prices.Usage(
        input_tokens=usage.prompt,
        cache_read_tokens=usage.cached or None,
        input_audio_tokens=usage.audio_input or None,
        output_tokens=usage.completion,
        output_image_tokens=usage.image_output or None,
        output_video_tokens=usage.video_output or None,
        web_searches=usage.searches or None,
    )
    found = genai_prices.calc_price(counts, model, provider_id="google", genai_request_timestamp=at)
    return float(found.total_price)


def test_a_cost_has_no_noise_of_binary_fractions_behind_it():
    assert repr(PRICES.cost("flash", Usage(prompt=202))) == "6.06e-05"
    assert PRICES.cost("flash", Usage(prompt=1, completion=1)) == 0.000_002_8
