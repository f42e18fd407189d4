"""Times as people write them: a length such as `90s`, `24h` or `7d`, or a day."""

import re
from datetime import date, datetime, time
from typing import Final
from zoneinfo import ZoneInfo

_UNITS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_LENGTH: Final = re.compile(r"([0-9]{1,6})([smhdw])")


def seconds(text: str) -> int:
    """Return the seconds of a length such as `90s`, `30m`, `24h`, `7d`. Raises `ValueError`."""
    match = _LENGTH.fullmatch(text.strip().lower())
    if match is None:
        raise ValueError(f"{text[:40]!r} is not a length of time such as 90s, 30m, 24h, 7d or 2w")
    return int(match[1]) * _UNITS[match[2]]


def midnight(text: str, zone: ZoneInfo) -> float:
    """Return the beginning of the day *text* (2026-11-30) in *zone*, in Unix seconds.

    Raises `ValueError`.
    """
    day = date.fromisoformat(text.strip())
    return datetime.combine(day, time(), zone).timestamp()


def since(text: str, zone: ZoneInfo, now: float) -> float:
    """Return the moment *text*: a length before *now*, or a day. Raises `ValueError`."""
    try:
        return now - seconds(text)
    except ValueError as error:
        try:
            return midnight(text, zone)
        except ValueError:
            raise ValueError(f"{error}, nor a day such as 2026-11-30") from None
