"""What both storages do with a batch of asset events once they are in the table of events."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dagster._core.events import ASSET_EVENTS
from dagster._core.events.log import EventLogEntry
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable
from sqlalchemy import Connection

Row = Mapping[str, Any]


def are_asset_events(events: Iterable[EventLogEntry]) -> bool:
    """Whether all are events of an asset, which is what Dagster sends in batches."""
    return all(
        one.dagster_event is not None
        and one.dagster_event.event_type in ASSET_EVENTS
        and one.dagster_event.asset_key is not None
        for one in events
    )


def insert(connection: Connection, rows: Sequence[Row]) -> list[int]:
    """Insert rows into the table of events; returns their ids in the same order."""
    table = SqlEventLogStorageTable
    statement = table.insert().returning(table.c.id, sort_by_parameter_order=True)
    return [int(row[0]) for row in connection.execute(statement, [dict(row) for row in rows])]


def newest_of_assets(
    events: Sequence[EventLogEntry], ids: Sequence[int]
) -> list[tuple[EventLogEntry, int]]:
    """The last event of each (asset, kind of event) with its id: what an asset's own row shows."""
    newest = {
        (one.get_dagster_event().asset_key, one.get_dagster_event().event_type_value): (one, number)
        for one, number in zip(events, ids, strict=True)
    }
    return list(newest.values())
