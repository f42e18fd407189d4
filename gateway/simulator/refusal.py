"""Google's refusals: one exception and its envelope."""

from typing import Any

Json = dict[str, Any]

STATUS_NAMES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_TYPE = "type.googleapis.com/google.rpc."


class Refusal(Exception):
    """A request that the simulator refuses, with Google's status and details."""

    def __init__(
        self, message: str, *, status: int = 400, name: str | None = None, details: Any = ()
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.name = name or STATUS_NAMES[status]
        self.details = list(details)

    def body(self) -> Json:
        """Return Google's error envelope."""
        error: Json = {"code": self.status, "message": self.message, "status": self.name}
        if self.details:
            error["details"] = self.details
        return {"error": error}


def bad_request(*violations: tuple[str, str]) -> Refusal:
    """Return the 400 for *violations*, each a field's path and what is wrong with it."""
    field_violations = [
        {"field": field, "description": text} if field else {"description": text}
        for field, text in violations
    ]
    return Refusal(
        "\n".join(text for _, text in violations),
        details=[{"@type": f"{_TYPE}BadRequest", "fieldViolations": field_violations}],
    )


def invalid_key(message: str = "API key not valid. Please pass a valid API key.") -> Refusal:
    """Return the 400 for a key that Google does not know."""
    return Refusal(
        message,
        details=[
            error_info("API_KEY_INVALID"),
            {"@type": f"{_TYPE}LocalizedMessage", "locale": "en-US", "message": message},
        ],
    )


def suspended_key() -> Refusal:
    """Return the 403 for a key whose project was suspended."""
    return Refusal(
        "Permission denied: Consumer 'api_key' has been suspended.",
        status=403,
        details=[error_info("CONSUMER_SUSPENDED")],
    )


def error_info(reason: str) -> Json:
    """Return the detail that names *reason* for programs."""
    return {
        "@type": f"{_TYPE}ErrorInfo",
        "reason": reason,
        "domain": "googleapis.com",
        "metadata": {"service": "generativelanguage.googleapis.com"},
    }


def quota_spent(model: str, *, per: str, retry_s: float) -> Refusal:
    """Return the 429 of a quota *per* "Minute" or "Day"; *retry_s* goes into RetryInfo."""
    metric = "generativelanguage.googleapis.com/generate_content_free_tier_requests"
    violation = {
        "quotaMetric": metric,
        "quotaId": f"GenerateRequestsPer{per}PerProjectPerModel-FreeTier",
        "quotaDimensions": {"model": model, "location": "global"},
        "quotaValue": "10",
    }
    return Refusal(
        "You exceeded your current quota, please check your plan and billing details. \n"
        f"* Quota exceeded for metric: {metric}, limit: 10, model: {model}\n"
        f"Please retry in {retry_s}s.",
        status=429,
        details=[
            {"@type": f"{_TYPE}QuotaFailure", "violations": [violation]},
            {"@type": f"{_TYPE}RetryInfo", "retryDelay": f"{retry_s}s"},
        ],
    )


def unknown_model(model: str, version: str, method: str) -> Refusal:
    """Return the 404 for a *model* that is not, or no longer, served for *method*."""
    return Refusal(
        f"models/{model} is not found for API version {version}, or is not supported for {method}."
        " Call ModelService.ListModels to see the list of available models and their supported"
        " methods.",
        status=404,
    )
