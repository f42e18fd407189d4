"""What a reply costs."""

import pytest

from gateway.config import read
from gateway.exchange import Usage
from gateway.prices import Prices
from gateway.settings import Price

PRICES = Prices(
    {"m": Price(input=1.0, output=10.0, cached=0.1), "plain": Price(input=2.0, output=4.0)}
)


@pytest.mark.parametrize(
    ("model", "usage", "usd"),
    [
        ("m", Usage(prompt=1_000_000), 1.0),
        ("m", Usage(prompt=1_000_000, cached=1_000_000), 0.1),
        ("m", Usage(prompt=1_000_000, cached=500_000, completion=100_000, thoughts=50_000), 1.55),
        ("plain", Usage(prompt=1_000_000, cached=1_000_000), 2.0),
        ("m", Usage(prompt=10, cached=1_000_000), 0.000_001),
        ("m", Usage(), 0.0),
    ],
)
def test_cached_tokens_are_cheaper_and_thoughts_are_output(model, usage, usd):
    assert PRICES.cost(model, usage) == pytest.approx(usd)
    assert PRICES.of(model)(usage) == pytest.approx(usd)


def test_a_model_without_a_price_has_no_cost():
    assert PRICES.cost("other", Usage(prompt=1)) is None
    assert PRICES.of("other") is None


def test_the_shipped_table_is_sane():
    shipped = read(None, {}).models.prices
    assert "gemini-2.5-flash" in shipped
    for price in shipped.values():
        assert 0 < price.input < price.output
        assert price.cached is None or price.cached < price.input
