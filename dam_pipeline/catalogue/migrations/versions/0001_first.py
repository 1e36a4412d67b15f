"""The first form of the catalogue: media, places, states, leases."""

import sqlalchemy as sa
from alembic import op

from dam_pipeline.catalogue.columns import Text

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the four tables; written out, so that later changes of `tables` do not alter it."""
    op.create_table(
        "media",
        sa.Column("media_id", Text, primary_key=True),
        sa.Column("partition_key", Text, nullable=False, unique=True),
        sa.Column("kind", Text, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("first_name", Text, nullable=False),
        sa.Column("asset_id", Text, nullable=False, index=True),
        sa.Column("superseded_by", Text),
        sa.Column("sidecar_version", Text, nullable=False, server_default=""),
        sa.Column("duration_s", sa.Float),
        sa.Column("has_audio", sa.Boolean),
        sa.Column("created_at", Text),
        sa.Column("camera", Text),
    )
    op.create_table(
        "location",
        sa.Column("uri", Text, primary_key=True),
        sa.Column("media_id", Text, nullable=False, index=True),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("mtime_ns", sa.BigInteger, nullable=False),
        sa.Column("source", Text, nullable=False, server_default="", index=True),
        sa.Column("first_seen", Text, nullable=False),
        sa.Column("last_seen", Text, nullable=False),
        sa.Column("missing_since", Text),
    )
    op.create_table(
        "stage_state",
        sa.Column("media_id", Text, primary_key=True),
        sa.Column("stage", Text, primary_key=True),
        sa.Column("state", Text, nullable=False, index=True),
        sa.Column("reason", Text, nullable=False, server_default=""),
        sa.Column("retryable", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("code_version", Text, nullable=False, server_default=""),
        sa.Column("model", Text, nullable=False, server_default=""),
        sa.Column("weights_sha256", Text, nullable=False, server_default=""),
        sa.Column("settings_hash", Text, nullable=False, server_default=""),
        sa.Column("data_version", Text, nullable=False, server_default=""),
        sa.Column("inputs", sa.JSON, nullable=False),
        sa.Column("seconds", sa.Float, nullable=False, server_default="0"),
        sa.Column("run_id", Text, nullable=False, server_default=""),
        sa.Column("updated_at", Text, nullable=False, index=True),
    )
    op.create_table(
        "lease",
        sa.Column("media_id", Text, primary_key=True),
        sa.Column("stage", Text, primary_key=True),
        sa.Column("owner", Text, nullable=False, index=True),
        sa.Column("run_id", Text, nullable=False),
        sa.Column("expires_at", sa.Float, nullable=False),
    )
