"""Which runs say that they live."""

import sqlalchemy as sa
from alembic import op

from dam_pipeline.catalogue.columns import Text

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Make the table; written out, so that later changes of `tables` do not alter it."""
    op.create_table(
        "beat",
        sa.Column("run_id", Text, primary_key=True),
        sa.Column("owner", Text, nullable=False),
        sa.Column("beats", sa.BigInteger, nullable=False),
    )
