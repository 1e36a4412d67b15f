"""What daily operation keeps: estimates of runs, who is at what, deaths of workers, fixity."""

import sqlalchemy as sa
from alembic import op

from dam_pipeline.catalogue.columns import Text

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the four tables; written out, so that later changes of `tables` do not alter it."""
    op.create_table(
        "estimate",
        sa.Column("run_id", Text, primary_key=True),
        sa.Column("job", Text, nullable=False, server_default=""),
        sa.Column("files", sa.Integer, nullable=False),
        sa.Column("footage_s", sa.Float, nullable=False),
        sa.Column("size_bytes", sa.BigInteger, nullable=False),
        sa.Column("low_s", sa.Float, nullable=False),
        sa.Column("likely_s", sa.Float, nullable=False),
        sa.Column("high_s", sa.Float, nullable=False),
        sa.Column("work_s", sa.Float, nullable=False),
        sa.Column("started_s", sa.Float, nullable=False, index=True),
        sa.Column("ended_s", sa.Float),
    )
    op.create_table(
        "under_way",
        sa.Column("owner", Text, primary_key=True),
        sa.Column("lane", Text, primary_key=True),
        sa.Column("run_id", Text, nullable=False),
        sa.Column("stage", Text, nullable=False),
        sa.Column("media_ids", sa.JSON, nullable=False),
        sa.Column("since_s", sa.Float, nullable=False),
    )
    op.create_table(
        "death",
        sa.Column("media_id", Text, primary_key=True),
        sa.Column("stage", Text, primary_key=True),
        sa.Column("deaths", sa.Integer, nullable=False),
        sa.Column("last_s", sa.Float, nullable=False),
    )
    op.create_table(
        "fixity",
        sa.Column("uri", Text, primary_key=True),
        sa.Column("media_id", Text, nullable=False, index=True),
        sa.Column("verdict", Text, nullable=False, index=True),
        sa.Column("reason", Text, nullable=False, server_default=""),
        sa.Column("sha256", Text, nullable=False, server_default=""),
        sa.Column("checked_at", Text, nullable=False),
        sa.Column("seconds", sa.Float, nullable=False, server_default="0"),
    )
