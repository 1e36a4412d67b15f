"""What there is to say about the catalogue's database for `dam doctor`."""

from dataclasses import dataclass

import sqlalchemy as sa

from dam_pipeline.catalogue.catalogue import Catalogue
from dam_pipeline.catalogue.migrating import revision
from dam_pipeline.catalogue.postgres import SCHEMA

_CONNECTIONS = """
SELECT current_setting('max_connections')::int
       - current_setting('superuser_reserved_connections')::int
       - (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')
"""


@dataclass(frozen=True, slots=True)
class DatabaseFacts:
    """The database of a catalogue: what it is and where, the form of its tables.

    `free_connections` is how many more the server takes; None where there is no server. `damage` is
    what SQLite finds wrong in its file, or empty.
    """

    name: str
    where: str
    form: str
    free_connections: int | None = None
    damage: str = ""


def database_facts(catalogue: Catalogue) -> DatabaseFacts:
    """Facts of a catalogue's database; a file of SQLite is read whole. Raises StoreUnavailable."""
    engine, form = catalogue.engine, str(revision(catalogue.engine))
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            version = connection.scalar(sa.text("SELECT sqlite_version()"))
            found = str(connection.scalar(sa.text("PRAGMA quick_check(1)")))
            damage = "" if found == "ok" else found
            return DatabaseFacts(f"SQLite {version}", str(engine.url.database), form, None, damage)
        version = connection.scalar(sa.text("SHOW server_version"))
        free = connection.scalar(sa.text(_CONNECTIONS))
    url = engine.url
    where = f"{url.host or 'this machine'}:{url.port or 5432}/{url.database}, schema {SCHEMA}"
    return DatabaseFacts(f"Postgres {str(version).split()[0]}", where, form, int(free or 0))
