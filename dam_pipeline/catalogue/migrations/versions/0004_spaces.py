"""Embedding spaces side by side: which there are, and the states of those that are not active."""

import sqlalchemy as sa
from alembic import op

from dam_pipeline.catalogue.columns import Text

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make the two tables; written out, so that later changes of `tables` do not alter it."""
    op.create_table(
        "space",
        sa.Column("name", Text, primary_key=True),
        sa.Column("kind", Text, nullable=False),
        sa.Column("stage", Text, nullable=False),
        sa.Column("stem", Text, nullable=False),
        sa.Column("model", Text, nullable=False),
        sa.Column("dimension", sa.Integer, nullable=False),
        sa.Column("status", Text, nullable=False),
        sa.Column("added_at", Text, nullable=False),
        sa.Column("switched_at", Text, nullable=False, server_default=""),
        sa.Column("comparison", sa.JSON, nullable=False),
    )
    op.create_table(
        "shadow_state",
        sa.Column("media_id", Text, primary_key=True),
        sa.Column("stage", Text, primary_key=True),
        sa.Column("state", Text, nullable=False),
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
        sa.Column("updated_at", Text, nullable=False),
    )
    op.create_index("ix_shadow_state_stage", "shadow_state", ["stage"])
