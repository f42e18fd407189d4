"""The standing of keys: all are good unless the test says otherwise."""

from typing import Literal

from gateway.simulator.refusal import Refusal, invalid_key, quota_spent, suspended_key

Standing = Literal["good", "bad", "expired", "suspended", "minute", "day", "region"]


def check(key: str, model: str, standing: Standing) -> None:
    """Raise the refusal for a *key* of this *standing*."""
    if not key:
        raise Refusal(
            "Method doesn't allow unregistered callers (callers without established identity)."
            " Please use API Key or other form of API consumer identity to call this API.",
            status=403,
        )
    if standing != "good":
        raise _refusal(standing, model)


def _refusal(standing: Standing, model: str) -> Refusal:
    region = "User location is not supported for the API use."
    return {
        "bad": invalid_key(),
        "expired": invalid_key("API key expired. Please renew the API key."),
        "suspended": suspended_key(),
        "minute": quota_spent(model, per="Minute", retry_s=34.4),
        "day": quota_spent(model, per="Day", retry_s=2.5),
        "region": Refusal(region, name="FAILED_PRECONDITION"),
    }[standing]
