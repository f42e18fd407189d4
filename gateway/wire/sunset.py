"""When Google retires a model, as it says beside the model's answers."""

from datetime import UTC, datetime
from email.utils import format_datetime


def http_date(timestamp: object) -> str | None:
    """Return the RFC 3339 *timestamp* as an HTTP date; None if it is not one."""
    try:
        when = datetime.fromisoformat(str(timestamp)).astimezone(UTC)
    except (OverflowError, ValueError):
        return None
    return format_datetime(when, usegmt=True)
