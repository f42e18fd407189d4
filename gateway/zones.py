"""Time zones by the names that people write."""

from typing import Any
from zoneinfo import ZoneInfo


def zone_of(name: Any) -> ZoneInfo | None:
    """Return the time zone called *name*; None if there is none, whatever *name* is."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, TypeError, OSError):
        return None
