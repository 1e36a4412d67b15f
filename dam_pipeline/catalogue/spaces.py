"""Which embedding spaces the library knows, which of them is active, and the switch between two.

The active one of a kind has its states in `stage_state`, where everybody looks; those of the others
lie in `shadow_state` under their stem. This is an index of the journal `spaces`.
"""

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from typing import Any

import sqlalchemy as sa

from dam_pipeline.catalogue.database import is_alive, upsert
from dam_pipeline.catalogue.migrating import MIGRATION_LOCK
from dam_pipeline.catalogue.tables import LEASE, SHADOW_STATE, SPACE, STAGE_STATE
from dam_pipeline.records import Json, State


class Status(StrEnum):
    """What a space is to the library."""

    ACTIVE = "active"
    CANDIDATE = "candidate"
    PREVIOUS = "previous"


@dataclass(frozen=True, slots=True)
class SpaceRecord:
    """An embedding space of the library.

    `stage` is the stage whose vectors lie in it, `stem` the name of that stage's derived files and
    states in this space. `model` is the name or path by which settings would ask for it. Times are
    ISO 8601 in UTC. `comparison` is the last one with the active space, or empty.
    """

    name: str
    kind: str
    stage: str
    stem: str
    model: str
    dimension: int
    status: Status
    added_at: str
    switched_at: str = ""
    comparison: Mapping[str, Json] = field(default_factory=dict)


class Spaces:
    """Reads and writes `space`; each method is one transaction."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def all(self) -> list[SpaceRecord]:
        """All spaces, by kind and age."""
        with self._engine.connect() as connection:
            return _all(connection)

    def beside_active(self) -> list[SpaceRecord]:
        """The candidates, and those that were active before."""
        return [one for one in self.all() if one.status is not Status.ACTIVE]

    def apart(self) -> set[str]:
        """Names of the spaces that are kept beside the active ones."""
        return {one.name for one in self.beside_active()}

    def put(self, record: SpaceRecord) -> None:
        """Add a space, or write over what was known of it."""
        with self._engine.begin() as connection:
            upsert(connection, SPACE, [_values(record)])

    def switch(self, new: SpaceRecord, home: SpaceRecord, when: str) -> None:
        """Make `new` the active space of its kind, in one step; nothing happens where it is.

        The states of both change places, so that the results of the new space are the library's.
        `home` is the space that the settings choose: the active one until the first switch.
        """
        with self._engine.begin() as connection:
            _lock(connection, is_writer=True)
            known = _all(connection)
            old = next((one for one in known if _is_active(one, new.kind)), home)
            if old.name == new.name and old in known:
                return
            changed = [replace(new, status=Status.ACTIVE, switched_at=when)]
            if old.name != new.name:
                _move(connection, STAGE_STATE, SHADOW_STATE, old.stage, old.stem)
                _move(connection, SHADOW_STATE, STAGE_STATE, new.stem, new.stage, when)
                since = old.switched_at or old.added_at
                changed.append(replace(old, status=Status.PREVIOUS, switched_at=since))
            upsert(connection, SPACE, [_values(one) for one in changed])

    def is_being_built(self, record: SpaceRecord) -> bool:
        """Whether some live process is at work in a space."""
        held = sa.and_(LEASE.c.stage == record.stem, LEASE.c.expires_at >= time.time())
        with self._engine.connect() as connection:
            owners = connection.scalars(sa.select(LEASE.c.owner).where(held).distinct()).all()
        return any(is_alive(owner) for owner in owners)

    def forget_states(self, record: SpaceRecord) -> None:
        """Delete the states of a space that is not active: its files count as never made."""
        with self._engine.begin() as connection:
            connection.execute(sa.delete(SHADOW_STATE).where(SHADOW_STATE.c.stage == record.stem))

    def remove(self, record: SpaceRecord) -> None:
        """Delete a space that is not active, with its states.

        Where the one that is left has the stage's own files, the settings decide again.
        """
        self.forget_states(record)
        with self._engine.begin() as connection:
            connection.execute(sa.delete(SPACE).where(SPACE.c.name == record.name))
            left = [one for one in _all(connection) if one.kind == record.kind]
            if len(left) == 1 and left[0].stem == left[0].stage:
                connection.execute(sa.delete(SPACE).where(SPACE.c.name == left[0].name))

    def states(self, record: SpaceRecord) -> dict[str, tuple[State, str]]:
        """State and data version by media of a space's stage; what never ran is left out."""
        is_active = record.status is Status.ACTIVE
        table = STAGE_STATE if is_active else SHADOW_STATE
        stage = record.stage if is_active else record.stem
        query = sa.select(table.c.media_id, table.c.state, table.c.data_version)
        with self._engine.connect() as connection:
            rows = connection.execute(query.where(table.c.stage == stage)).all()
        return {media_id: (State(state), version) for media_id, state, version in rows}


def active_stems(connection: sa.Connection) -> dict[str, str]:
    """Stage → stem, of all stages that have spaces side by side."""
    rows = connection.execute(sa.select(SPACE.c.stage, SPACE.c.stem, SPACE.c.status)).all()
    found = {stage: stage for stage, _stem, _status in rows}
    return found | {stage: stem for stage, stem, status in rows if status == Status.ACTIVE}


def hold_still(connection: sa.Connection) -> None:
    """Let nobody switch spaces until the transaction ends, which must not have read anything yet."""
    _lock(connection, is_writer=False)


def _is_active(record: SpaceRecord, kind: str) -> bool:
    return record.kind == kind and record.status is Status.ACTIVE


def _lock(connection: sa.Connection, *, is_writer: bool) -> None:
    """Let nobody switch spaces until the transaction ends, or as a writer nobody record states."""
    if connection.dialect.name == "sqlite":
        # A write first: SQLite then locks at once instead of failing on the upgrade later.
        connection.execute(sa.delete(SPACE).where(sa.false()))
        return
    name = "pg_advisory_xact_lock" if is_writer else "pg_advisory_xact_lock_shared"
    key = sa.func.hashtext(SPACE.name)
    connection.execute(sa.select(getattr(sa.func, name)(MIGRATION_LOCK, key)))
    if is_writer:
        connection.exec_driver_sql("SET LOCAL statement_timeout = 0")


def _move(
    connection: sa.Connection,
    source: sa.Table,
    target: sa.Table,
    of: str,
    to: str,
    when: str | None = None,
) -> None:
    """Move all rows of the stage `of` from one table to the stage `to` of the other."""
    connection.execute(sa.delete(target).where(target.c.stage == to))
    taken: dict[str, Any] = {"stage": sa.literal(to)}
    if when:  # so that whoever looks for news sees that there are some
        taken["updated_at"] = sa.literal(when)
    columns = [taken.get(column.name, column) for column in source.c]
    rows = sa.select(*columns).where(source.c.stage == of)
    names = [column.name for column in source.c]
    connection.execute(sa.insert(target).from_select(names, rows))
    connection.execute(sa.delete(source).where(source.c.stage == of))


def _all(connection: sa.Connection) -> list[SpaceRecord]:
    rows = connection.execute(sa.select(SPACE).order_by(SPACE.c.kind, SPACE.c.added_at))
    return [SpaceRecord(**{**row._mapping, "status": Status(row.status)}) for row in rows]


def _values(record: SpaceRecord) -> dict[str, Any]:
    return {**asdict(record), "status": record.status.value}
