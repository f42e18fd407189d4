"""A license that uses every field."""

from datetime import UTC, datetime

from gateway.exchange import License, Limits

FULL = License(
    "alice",
    owner="Alice",
    note="许可证",
    models=("gemini-2.5-*", "x"),
    networks=("192.0.2.0/24", "2001:db8::/32"),
    limits=Limits(requests_per_minute=5, usd_per_month=1.5),
    timezone="Asia/Shanghai",
    expires=datetime(2030, 1, 1, tzinfo=UTC),
    disabled=True,
)
