"""Events that wait to be told to other programs."""

import sqlalchemy as sa
from alembic import op

from dam_pipeline.catalogue.columns import Text

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the table `outbox`."""
    op.create_table(
        "outbox",
        sa.Column(
            "number",
            sa.BigInteger().with_variant(sa.Integer, "sqlite"),
            primary_key=True,
            autoincrement=True,
        ),
        sa.Column("sink", Text, nullable=False, index=True),
        sa.Column("event_id", Text, nullable=False),
        sa.Column("type", Text, nullable=False),
        sa.Column("body", Text, nullable=False),
        sa.Column("waits_since", Text, nullable=False),
    )
