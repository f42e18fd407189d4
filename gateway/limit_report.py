"""What a client is told of its limits: the headers of each answer, and the error of a refusal."""

from typing import Final

from multidict import istr

from gateway.errors import LONGEST_RETRY_AFTER_S, GatewayError, QuotaSpent, RateLimited
from gateway.exchange import NANOS_PER_USD, License
from gateway.state.rules import MINUTE_US, REQUESTS, SLACK, TOKENS, USD, Plan, Rule
from gateway.state.store import Grant

_WORDS: Final = {
    "requests_per_minute": "requests per minute",
    "tokens_per_minute": "tokens per minute",
    "requests_per_day": "requests per day",
    "tokens_per_day": "tokens per day",
    "tokens_per_month": "tokens per month",
    "usd_per_day": "USD per day",
    "usd_per_month": "USD per month",
    "concurrent_requests": "requests at once",
}
_HEADERS: Final = {
    unit: tuple(istr(f"x-ratelimit-{what}-{word}") for what in ("limit", "remaining", "reset"))
    for unit, word in ((REQUESTS, "requests"), (TOKENS, "tokens"))
}

# The three header names of a unit, and the indexes of the rules that they may report.
HeaderRules = list[tuple[tuple[istr, ...], list[int]]]


def header_rules_of(plan: Plan) -> HeaderRules:
    """Return what the headers of a license with *plan* may report, worked out once."""
    header_rules = []
    for unit, names in _HEADERS.items():
        indexes = [index for index, rule in enumerate(plan.rules) if rule.unit == unit]
        if indexes:
            header_rules.append((names, indexes))
    return header_rules


def set_headers(headers: dict[str, str], header_rules: HeaderRules, grant: Grant) -> None:
    """Put into *headers* what *grant* leaves: of several limits of a unit the nearest one."""
    if grant.degraded:
        headers["x-gateway-degraded"] = "limits"
    rules, used = grant.plan.rules, grant.used
    if not rules:
        # The state server is down and everybody is admitted: there is nothing to report.
        return
    for (limit, remaining, reset), indexes in header_rules:
        index = indexes[0]
        rule, count = rules[index], used[index]
        for index in indexes[1:]:
            if rules[index].limit - used[index] < rule.limit - count:
                rule, count = rules[index], used[index]
        headers[limit] = str(rule.limit)
        room = int(rule.limit - count + SLACK)
        headers[remaining] = str(room) if room > 0 else "0"
        headers[reset] = duration(_reset_s(rule, count, grant))


def _reset_s(rule: Rule, used: float, grant: Grant) -> float:
    if rule.kind == "rate":
        return used * MINUTE_US / rule.limit / 1e6
    windows = grant.windows
    return (windows.day_end if rule.kind == "day" else windows.month_end) - grant.now


def duration(seconds: float) -> str:
    """Format *seconds* as OpenAI does: `120ms`, `1s`, `6m0s`, `23h59m58.5s`."""
    milliseconds = int(seconds * 1000 + 0.5)
    if milliseconds < 1000:
        return f"{milliseconds}ms" if milliseconds > 0 else "0s"
    minutes, rest_ms = divmod(milliseconds, 60_000)
    text = f"{rest_ms / 1000:g}s"
    if not minutes:
        return text
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes}m{text}" if hours else f"{minutes}m{text}"


def refusal(license_: License, rule: Rule, wait_s: float) -> GatewayError:
    """Return the error for a request that *rule* refuses and that may be sent in *wait_s*."""
    limit = f"{rule.limit / NANOS_PER_USD:g}" if rule.unit == USD else str(rule.limit)
    limit_text = f"The license {license_.id!r} may use {limit} {_WORDS[rule.name]}"
    if rule.kind == "slots":
        return RateLimited(f"{limit_text}; wait for one of them to end.", retry_after=wait_s)
    if wait_s <= LONGEST_RETRY_AFTER_S:
        return RateLimited(f"{limit_text}; try again in {duration(wait_s)}.", retry_after=wait_s)
    return QuotaSpent(
        f"{limit_text}, and they are used up; more are available in {duration(wait_s)}."
    )
