"""Dagster's event log, runs and schedules in Postgres, over connections that stay open.

Events are written in batches. One pool serves the three storages of a process.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any, Self

import sqlalchemy as sa
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage
from dagster._serdes import ConfigurableClassData
from dagster_postgres import (
    PostgresEventLogStorage,
    PostgresRunStorage,
    PostgresScheduleStorage,
)
from dagster_postgres.utils import pg_url_from_config

from dam_pipeline.catalogue.postgres import (
    SCHEMA_OF_DAGSTER,
    at_the_door,
    in_schema,
    postgres_engine,
)
from dam_pipeline.event_log.rows import are_asset_events, insert, newest_of_assets

TABLES_LOCK = 0x64616773  # "dags": whoever makes Dagster's tables


class _Pooled:
    """What the three storages share; Dagster's own open a connection for every statement."""

    _engine: sa.Engine

    def __init__(self, postgres_url: str, *args: Any, **kwargs: Any) -> None:
        engine = _engine(postgres_url, os.getpid())
        with at_the_door(), _alone(engine):
            super().__init__(in_schema(postgres_url, SCHEMA_OF_DAGSTER), *args, **kwargs)  # type: ignore[call-arg]
        self._engine = engine

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> Self:
        """The storage that `dagster.yaml` configures."""
        return cls(pg_url_from_config(config_value), inst_data=inst_data)

    def optimize_for_webserver(self, *_args: int, **_kwargs: int) -> None:
        """Nothing: a pool is there already, and a second one would take more connections."""


class PooledPostgresRuns(_Pooled, PostgresRunStorage):
    """Dagster's runs in Postgres with connections that stay open."""


class PooledPostgresSchedules(_Pooled, PostgresScheduleStorage):
    """Dagster's schedules, sensors and their ticks in Postgres with connections that stay open."""


class BatchedPostgresEventLog(_Pooled, PostgresEventLogStorage):
    """Dagster's event log in Postgres with one transaction a batch."""

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store events, which Dagster sends many at once only when they are of assets."""
        if not are_asset_events(events):
            SqlEventLogStorage.store_event_batch(self, events)
            return
        with self.index_transaction() as connection:
            ids = insert(connection, [self._event_to_row(event) for event in events])
            self._store_asset_event_tags(connection, events, ids)
            # In one order everywhere, so that two writers never wait for each other.
            newest = newest_of_assets(events, ids)
            newest.sort(key=lambda one: str(one[0].get_dagster_event().asset_key))
            for event, number in newest:
                self._store_asset_event(connection, event, number)


@cache
def _engine(url: str, _pid: int) -> sa.Engine:
    """The pool of this process: one that a parent process opened may not be used by its child."""
    return postgres_engine(url, SCHEMA_OF_DAGSTER, "dagster", isolation_level="AUTOCOMMIT")


@contextmanager
def _alone(engine: sa.Engine) -> Iterator[None]:
    """Let one process at a time make Dagster's tables, where several start on an empty database."""
    with engine.connect() as connection:
        connection.execute(sa.select(sa.func.pg_advisory_lock(TABLES_LOCK)))
        try:
            yield
        finally:
            connection.execute(sa.select(sa.func.pg_advisory_unlock(TABLES_LOCK)))
