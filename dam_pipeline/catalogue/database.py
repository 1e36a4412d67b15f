"""Opening the catalogue's database, in SQLite or Postgres, and where the two differ."""

import os
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from dam_pipeline.catalogue.migrating import MIGRATION_LOCK, migrate
from dam_pipeline.catalogue.postgres import SCHEMA, at_the_door, postgres_engine
from dam_pipeline.catalogue.sqlite import sqlite_engine

CATALOGUE_FILE = "catalogue.db"
IN_LIST = 500  # values in one IN (…): SQLite's old limit is 999 variables a statement
LAST_CHARACTER = "\U0010ffff"

Row = Mapping[str, Any]


def open_database(home: Path, postgres_url: str = "") -> sa.Engine:
    """The catalogue of a home, in the Postgres of that address or else in a SQLite file.

    It is made or migrated to the newest form. Raises StoreUnavailable when it cannot be reached or
    written, ConfigurationError for a wrong address or login, SchemaMismatch when it is newer.
    """
    engine = catalogue_engine(home, postgres_url)
    with at_the_door():
        migrate(engine)
    return engine


def catalogue_engine(home: Path, postgres_url: str = "") -> sa.Engine:
    """As `open_database`, with the tables left as they are."""
    if not postgres_url:
        return sqlite_engine(home / CATALOGUE_FILE)
    return postgres_engine(postgres_url, SCHEMA, "catalogue", hide_parameters=True)


def insert_or(engine: sa.Engine, table: sa.Table) -> Any:
    """An INSERT that knows ON CONFLICT, in the engine's dialect."""
    return (postgresql if engine.dialect.name == "postgresql" else sqlite).insert(table)


def upsert(connection: sa.Connection, table: sa.Table, rows: Iterable[Row], kept: str = "") -> None:
    """Insert rows, or write them over those of the same primary key; the column `kept` stays."""
    statement = insert_or(connection.engine, table)
    keys = [column.name for column in table.primary_key]
    changed = {c.name: statement.excluded[c.name] for c in table.c if c.name not in (*keys, kept)}
    if values := in_order(rows, keys):
        connection.execute(
            statement.on_conflict_do_update(index_elements=keys, set_=changed), values
        )


def in_order(rows: Iterable[Row], keys: Sequence[str]) -> list[Row]:
    """Rows in the order of their keys, of two with the same keys the last.

    Two writers that lock rows in one order never wait for each other, and Postgres takes no row
    twice in one statement.
    """
    last = {tuple(row[key] for key in keys): row for row in rows}
    return [last[key] for key in sorted(last)]


def one_at_a_time(connection: sa.Connection, table: sa.Table) -> None:
    """Let no other transaction that says the same change a table, until this one ends.

    SQLite has one writer anyway. Postgres would let two change different rows in turn until each
    waits for the other.
    """
    if connection.dialect.name == "postgresql":
        lock = sa.func.hashtext(table.name)
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(MIGRATION_LOCK, lock)))


def begins_with(column: sa.Column[str], text: str) -> sa.ColumnElement[bool]:
    """Whether a text begins with another, letter for letter; the column's index serves it."""
    return sa.and_(column >= text, column < text + LAST_CHARACTER)


def chunks(values: Sequence[str], size: int = IN_LIST) -> Iterator[list[str]]:
    """`values` in lists short enough for one IN (…)."""
    it = iter(values)
    while piece := list(islice(it, size)):
        yield piece


def this_process() -> str:
    """Owner of leases: `host/pid/start`, where start tells a reused pid from the same process."""
    return f"{socket.gethostname()}/{os.getpid()}/{_process_start(os.getpid())}"


def is_alive(owner: str) -> bool:
    """Whether the owner's process still lives; owners on other hosts are believed to."""
    host, pid, start = owner.rsplit("/", 2)
    if host != socket.gethostname():
        return True
    return _process_start(int(pid)) == start


def _process_start(pid: int) -> str:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):  # the other: it ended between open and read
        return "gone"
    # A zombie has ended all the same: nobody will finish its work.
    return "gone" if fields[0] == "Z" else fields[19]
