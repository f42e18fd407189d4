"""What clients are told of their limits, by itself; over HTTP with the middleware's tests."""

import pytest

from gateway.errors import GatewayError, QuotaSpent, RateLimited
from gateway.exchange import License, Limits
from gateway.limit_report import duration, header_rules_of, refusal, set_headers
from gateway.state.rules import Plan
from gateway.state.store import Grant


def license_with(**limits: float) -> License:
    return License("alice", limits=Limits(**limits))


def reported(license_: License, used: tuple[float, ...], *, degraded: bool = False) -> dict:
    plan = Plan.of(license_)
    grant = Grant(plan, (1, 1, 1, 1), plan.calendar.at(0.0), 0.0, used, degraded=degraded)
    headers: dict[str, str] = {}
    set_headers(headers, header_rules_of(plan), grant)
    return headers


def refused(rule: int, wait_s: float, **limits: float) -> GatewayError:
    license_ = license_with(**limits)
    return refusal(license_, Plan.of(license_).rules[rule], wait_s)


def test_limits_without_headers_of_openai_are_not_reported():
    assert reported(license_with(concurrent_requests=3, usd_per_day=1.0), (1, 5)) == {}


def test_what_is_left_is_never_below_zero():
    headers = reported(license_with(tokens_per_day=100), (250.0,))
    assert headers == {
        "x-ratelimit-limit-tokens": "100",
        "x-ratelimit-remaining-tokens": "0",
        "x-ratelimit-reset-tokens": "24h0m0s",
    }


def test_of_several_limits_of_a_unit_the_one_with_the_least_left_is_reported():
    license_ = license_with(requests_per_minute=60, requests_per_day=100)
    assert reported(license_, (1, 1))["x-ratelimit-limit-requests"] == "60"
    assert reported(license_, (1, 99))["x-ratelimit-limit-requests"] == "100"
    assert reported(license_, (59, 50))["x-ratelimit-limit-requests"] == "60"


@pytest.mark.parametrize(("used", "left"), [(0, "9"), (7.5, "1"), (8, "1"), (8.5, "0"), (9, "0")])
def test_only_whole_units_are_left(used, left):
    headers = reported(license_with(requests_per_minute=9), (used,))
    assert headers["x-ratelimit-remaining-requests"] == left


def test_counting_alone_is_named():
    headers = reported(license_with(requests_per_day=9), (1,), degraded=True)
    assert headers["x-gateway-degraded"] == "limits"


@pytest.mark.parametrize(
    ("wait_s", "kind", "words"),
    [
        (60.0, RateLimited, "'alice' may use 5 requests per minute; try again in 1m0s."),
        (60.1, QuotaSpent, "5 requests per minute, and they are used up; more are available in"),
    ],
)
def test_only_a_wait_that_sdks_may_sleep_for_can_be_retried(wait_s, kind, words):
    error = refused(0, wait_s, requests_per_minute=5)
    assert type(error) is kind
    assert words in error.message
    assert error.retry_after == (wait_s if kind is RateLimited else None)


def test_a_slot_is_waited_for_and_money_is_named_in_usd():
    busy = refused(0, 90.0, concurrent_requests=2)
    assert "2 requests at once; wait for one of them to end" in busy.message
    assert busy.retry_after == 90.0
    assert "may use 0.25 USD per day" in refused(0, 90.0, usd_per_day=0.25).message


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0s"),
        (0, "0s"),
        (0.0004, "0s"),
        (0.001, "1ms"),
        (0.02, "20ms"),
        (0.9996, "1s"),
        (1, "1s"),
        (8.64, "8.64s"),
        (59.9999, "1m0s"),
        (86.4, "1m26.4s"),
        (360, "6m0s"),
        (3600, "1h0m0s"),
        (86_399.5, "23h59m59.5s"),
    ],
)
def test_durations_are_written_as_openai_does(seconds, text):
    assert duration(seconds) == text
