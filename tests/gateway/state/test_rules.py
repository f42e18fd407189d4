"""Limits as rules: what is set, in which unit, and what settling changes."""

from gateway.exchange import LIMITS, NANOS_PER_USD, License, Limits
from gateway.state.rules import Demand, Plan, changes


def plan(**limits):
    return Plan.of(License("alice", limits=Limits(**limits)))


def test_only_limits_that_are_set_become_rules():
    assert [rule.name for rule in plan(tokens_per_day=5, requests_per_minute=3).rules] == [
        "requests_per_minute",
        "tokens_per_day",
    ]
    assert plan().rules == ()


def test_every_limit_of_a_license_is_a_rule():
    everything = plan(**dict.fromkeys(LIMITS, 7))
    assert {rule.name for rule in everything.rules} == set(LIMITS)


def test_money_is_counted_in_billionths():
    [rule] = plan(usd_per_month=0.25).rules
    assert rule.limit == NANOS_PER_USD // 4


def test_a_share_divides_every_limit_and_leaves_at_least_one():
    whole = plan(requests_per_minute=10, concurrent_requests=2)
    assert [rule.limit for rule in whole.share(4).rules] == [2, 1]
    assert whole.share(4) is whole.share(4)
    assert whole.share(1).rules == whole.rules


def test_a_plan_without_rules_keeps_its_license():
    assert plan(requests_per_day=1).without_rules().license_id == "alice"


def test_settling_changes_only_what_was_taken_and_differs():
    limited = plan(requests_per_minute=5, tokens_per_minute=100, usd_per_day=1.0)
    taken, final = Demand(1, 400, 0), Demand(1, 30, 500)
    # Of the 400 tokens only the limit of 100 was taken; no money was.
    assert [(rule.name, more) for rule, more in changes(limited, taken, final)] == [
        ("tokens_per_minute", -70)
    ]
