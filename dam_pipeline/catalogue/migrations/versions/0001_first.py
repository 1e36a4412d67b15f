"""The first form of the catalogue: media, places, states, leases."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the four tables; written out, so that later changes of `tables` do not alter it."""
    op.create_table(
        "media",
        sa.Column("media_id", sa.String, primary_key=True),
        sa.Column("partition_key", sa.String, nullable=False, unique=True),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("first_name", sa.String, nullable=False),
        sa.Column("asset_id", sa.String, nullable=False, index=True),
        sa.Column("superseded_by", sa.String),
        sa.Column("sidecar_version", sa.String, nullable=False, server_default=""),
        sa.Column("duration_s", sa.Float),
        sa.Column("has_audio", sa.Boolean),
        sa.Column("created_at", sa.String),
        sa.Column("camera", sa.String),
    )
    op.create_table(
        "location",
        sa.Column("uri", sa.String, primary_key=True),
        sa.Column("media_id", sa.String, nullable=False, index=True),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("mtime_ns", sa.BigInteger, nullable=False),
        sa.Column("source", sa.String, nullable=False, server_default="", index=True),
        sa.Column("first_seen", sa.String, nullable=False),
        sa.Column("last_seen", sa.String, nullable=False),
        sa.Column("missing_since", sa.String),
    )
    op.create_table(
        "stage_state",
        sa.Column("media_id", sa.String, primary_key=True),
        sa.Column("stage", sa.String, primary_key=True),
        sa.Column("state", sa.String, nullable=False, index=True),
        sa.Column("reason", sa.String, nullable=False, server_default=""),
        sa.Column("retryable", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("code_version", sa.String, nullable=False, server_default=""),
        sa.Column("model", sa.String, nullable=False, server_default=""),
        sa.Column("weights_sha256", sa.String, nullable=False, server_default=""),
        sa.Column("settings_hash", sa.String, nullable=False, server_default=""),
        sa.Column("data_version", sa.String, nullable=False, server_default=""),
        sa.Column("inputs", sa.JSON, nullable=False),
        sa.Column("seconds", sa.Float, nullable=False, server_default="0"),
        sa.Column("run_id", sa.String, nullable=False, server_default=""),
        sa.Column("updated_at", sa.String, nullable=False, index=True),
    )
    op.create_table(
        "lease",
        sa.Column("media_id", sa.String, primary_key=True),
        sa.Column("stage", sa.String, primary_key=True),
        sa.Column("owner", sa.String, nullable=False, index=True),
        sa.Column("run_id", sa.String, nullable=False),
        sa.Column("expires_at", sa.Float, nullable=False),
    )
