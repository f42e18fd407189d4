"""What a reply costs."""

import pytest

from gateway.config import read
from gateway.exchange import Usage
from gateway.prices import Prices
from gateway.settings import Price

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
    ],
)
def test_each_kind_of_token_has_its_price_and_thoughts_are_output(model, usage, usd):
    assert PRICES.cost(model, usage) == pytest.approx(usd)
    assert PRICES.of(model)(usage) == pytest.approx(usd)


def test_a_model_without_a_price_has_no_cost():
    assert PRICES.cost("other", Usage(prompt=1)) is None
    assert PRICES.of("other") is None


def test_the_shipped_table_is_sane():
    shipped = read(None, {}).models.prices
    assert "gemini-2.5-flash" in shipped
    for name, price in shipped.items():
        # Vectors have a price by their texts alone.
        assert (price.output == 0) == ("embedding" in name)
        assert price.input > 0
        assert price.output == 0 or price.input < price.output
        assert price.cached is None or price.cached < price.input
        assert price.audio_input is None or price.audio_input > price.input
        assert price.image_output is None or price.image_output > price.output


def test_a_cost_has_no_noise_of_binary_fractions_behind_it():
    assert repr(PRICES.cost("flash", Usage(prompt=202))) == "6.06e-05"
    assert PRICES.cost("flash", Usage(prompt=1, completion=1)) == 0.000_002_8
