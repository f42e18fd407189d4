"""Tokens of sound, images and videos, and searches, of the requests that had any."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

COLUMNS = (
    "audio_input",
    "image_input",
    "audio_output",
    "image_output",
    "video_output",
    "searches",
)


def upgrade() -> None:
    """Add the columns; processes of the version before go on writing without them."""
    for name in COLUMNS:
        op.add_column("usage", sa.Column(name, sa.BigInteger))


def downgrade() -> None:
    """Drop them again."""
    for name in COLUMNS:
        op.drop_column("usage", name)
