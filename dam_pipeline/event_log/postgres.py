"""Dagster's event log and runs in Postgres, over connections that stay open, events in batches."""

from collections.abc import Mapping, Sequence
from typing import Any, Self

from dagster._core.events.log import EventLogEntry
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage
from dagster._serdes import ConfigurableClassData
from dagster_postgres import PostgresEventLogStorage, PostgresRunStorage
from dagster_postgres.utils import pg_url_from_config

from dam_pipeline.event_log.rows import are_asset_events, insert, newest_of_assets

POOL = {"statement_timeout": 60_000, "pool_recycle": 3600, "max_overflow": 5}
"""One connection is kept, for a new one takes 5 ms; milliseconds, seconds, further connections."""


class PooledPostgresRuns(PostgresRunStorage):
    """Dagster's runs in Postgres with connections that stay open."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.optimize_for_webserver(**POOL)

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> Self:
        """The storage that `dagster.yaml` configures."""
        return cls(pg_url_from_config(config_value), inst_data=inst_data)


class BatchedPostgresEventLog(PostgresEventLogStorage):
    """Dagster's event log in Postgres with one transaction a batch."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.optimize_for_webserver(**POOL)

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> Self:
        """The storage that `dagster.yaml` configures."""
        return cls(pg_url_from_config(config_value), inst_data=inst_data)

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
