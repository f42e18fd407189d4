"""Licenses, their keys, and the usage ledger."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the first tables."""
    _make_licenses()
    _make_facts()
    _make_usage()


def _make_licenses() -> None:
    op.create_table(
        "licenses",
        sa.Column("id", sa.String(128), primary_key=True),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("models", sa.Text, nullable=False),
        sa.Column("networks", sa.Text, nullable=False),
        sa.Column("requests_per_minute", sa.BigInteger),
        sa.Column("tokens_per_minute", sa.BigInteger),
        sa.Column("requests_per_day", sa.BigInteger),
        sa.Column("concurrent_requests", sa.BigInteger),
        sa.Column("tokens_per_day", sa.BigInteger),
        sa.Column("tokens_per_month", sa.BigInteger),
        sa.Column("usd_per_day", sa.Float),
        sa.Column("usd_per_month", sa.Float),
        sa.Column("timezone", sa.String(64), nullable=False),
        sa.Column("expires", sa.BigInteger),
        sa.Column("disabled", sa.Boolean, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "license_keys",
        sa.Column("digest", sa.LargeBinary(32), primary_key=True),
        sa.Column("license", sa.String(128), sa.ForeignKey("licenses.id"), nullable=False),
        sa.Column("expires", sa.BigInteger),
        sa.Column("created", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_license_keys_license", "license_keys", ["license"])


def _make_facts() -> None:
    op.create_table(
        "revisions",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("number", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "facts",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
    )


def _make_usage() -> None:
    op.create_table(
        "usage",
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("id", sa.String(128), nullable=False),
        sa.Column("license", sa.String(128), nullable=False),
        sa.Column("asked", sa.Text),
        sa.Column("model", sa.Text),
        sa.Column("credential", sa.Text),
        sa.Column("prompt", sa.BigInteger, nullable=False),
        sa.Column("completion", sa.BigInteger, nullable=False),
        sa.Column("cached", sa.BigInteger, nullable=False),
        sa.Column("thoughts", sa.BigInteger, nullable=False),
        sa.Column("total", sa.BigInteger, nullable=False),
        sa.Column("cost_nanos", sa.BigInteger),
        sa.Column("milliseconds", sa.BigInteger, nullable=False),
        sa.Column("status", sa.Integer, nullable=False),
        sa.Column("finish", sa.Text),
        sa.Column("error", sa.Text),
    )
    op.create_index("ix_usage_license_at", "usage", ["license", "at"])
    op.create_index("ix_usage_at", "usage", ["at"])


def downgrade() -> None:
    """Drop them again."""
    for table in ("usage", "facts", "revisions", "license_keys", "licenses"):
        op.drop_table(table)
