"""Dagster's event log in SQLite (the default), written in batches."""

import os
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, Self

from dagster._core.events.log import EventLogEntry
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable
from dagster._core.storage.event_log.sqlite.sqlite_event_log import SqliteEventLogStorage
from dagster._serdes import ConfigurableClassData

from dam_pipeline.errors import ConfigurationError
from dam_pipeline.event_log.rows import are_asset_events, insert, newest_of_assets


class BatchedSqliteEventLog(SqliteEventLogStorage):
    """Dagster's SQLite event log with two transactions a batch: the run's file and the index."""

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """Nothing is configured: a home that is moved takes its event log along."""
        return {}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> Self:
        """The storage under `DAGSTER_HOME`, where Dagster's own would be."""
        home = os.environ.get("DAGSTER_HOME")
        if not home:
            raise ConfigurationError("DAGSTER_HOME is not set. Set it to DAM_HOME/dagster.")
        return cls(os.path.join(home, "history", "runs"), inst_data)

    def store_event_batch(self, events: Sequence[EventLogEntry]) -> None:
        """Store events, which Dagster sends many at once only when they are of assets."""
        if not are_asset_events(events):
            super().store_event_batch(events)
            return
        rows = [self._event_to_row(event) for event in events]
        for run_id, of_run in groupby(rows, key=lambda row: str(row["run_id"])):
            with self.run_connection(run_id) as connection:
                connection.execute(SqlEventLogStorageTable.insert(), list(of_run))
        with self.index_transaction() as connection:
            ids = insert(connection, rows)
            self._store_asset_event_tags(connection, events, ids)
            for event, number in newest_of_assets(events, ids):
                self._store_asset_event(connection, event, number)
