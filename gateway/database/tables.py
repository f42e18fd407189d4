"""The tables. Moments are Unix seconds or milliseconds, so both databases hold the same."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

METADATA = MetaData()

# `models` and `networks` are JSON lists; `expires` and `created` are seconds.
LICENSES = Table(
    "licenses",
    METADATA,
    Column("id", String(128), primary_key=True),
    Column("owner", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("models", Text, nullable=False),
    Column("networks", Text, nullable=False),
    Column("requests_per_minute", BigInteger),
    Column("tokens_per_minute", BigInteger),
    Column("requests_per_day", BigInteger),
    Column("concurrent_requests", BigInteger),
    Column("tokens_per_day", BigInteger),
    Column("tokens_per_month", BigInteger),
    Column("usd_per_day", Float),
    Column("usd_per_month", Float),
    Column("timezone", String(64), nullable=False),
    Column("expires", BigInteger),
    Column("disabled", Boolean, nullable=False),
    Column("created", BigInteger, nullable=False),
)

# A license has several keys while one replaces another: the old one has an end.
LICENSE_KEYS = Table(
    "license_keys",
    METADATA,
    Column("digest", LargeBinary(32), primary_key=True),
    Column("license", String(128), ForeignKey("licenses.id"), nullable=False, index=True),
    Column("expires", BigInteger),
    Column("created", BigInteger, nullable=False),
)

# One number per kind of data that processes keep in memory; it grows with each change.
REVISIONS = Table(
    "revisions",
    METADATA,
    Column("name", String(64), primary_key=True),
    Column("number", BigInteger, nullable=False),
)

# What all processes must agree on: the pepper, or the fingerprint of a configured one.
FACTS = Table(
    "facts",
    METADATA,
    Column("name", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)

# What is counted separately because it is not text, some of it within the other counts.
KINDS = ("audio_input", "image_input", "audio_output", "image_output", "video_output", "searches")

# `key` is made by the gateway: the request's id comes from the client and may repeat. `at` and
# `milliseconds` are milliseconds, `cost_nanos` billionths of a USD. The kinds of tokens and the
# searches are null if there is only text, as in nearly all rows.
USAGE = Table(
    "usage",
    METADATA,
    Column("key", String(64), primary_key=True),
    Column("at", BigInteger, nullable=False),
    Column("id", String(128), nullable=False),
    Column("license", String(128), nullable=False),
    Column("asked", Text),
    Column("model", Text),
    Column("credential", Text),
    Column("prompt", BigInteger, nullable=False),
    Column("completion", BigInteger, nullable=False),
    Column("cached", BigInteger, nullable=False),
    Column("thoughts", BigInteger, nullable=False),
    Column("total", BigInteger, nullable=False),
    Column("cost_nanos", BigInteger),
    Column("milliseconds", BigInteger, nullable=False),
    Column("status", Integer, nullable=False),
    Column("finish", Text),
    Column("error", Text),
    *(Column(name, BigInteger) for name in KINDS),
    Index("ix_usage_license_at", "license", "at"),
    Index("ix_usage_at", "at"),
)
