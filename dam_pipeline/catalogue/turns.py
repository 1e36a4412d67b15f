"""Locks of a team's Postgres that last as long as their process is connected."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from dam_pipeline.catalogue.database import catalogue_engine
from dam_pipeline.catalogue.migrating import MIGRATION_LOCK
from dam_pipeline.catalogue.postgres import at_the_door


@contextmanager
def held_by_nobody_else(home: Path, postgres_url: str, name: str) -> Iterator[bool]:
    """Take the lock of that name on every machine of a team; False where another process has it.

    The server lets go of it when the connection ends, however it does. Raises StoreUnavailable.
    """
    engine = catalogue_engine(home, postgres_url)
    lock = sa.func.pg_try_advisory_lock(MIGRATION_LOCK, sa.func.hashtext(name))
    try:
        with at_the_door():
            # Without a transaction: one that lasts for hours would be ended by the server.
            connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        with connection:
            yield bool(connection.scalar(sa.select(lock)))
    finally:
        engine.dispose()
