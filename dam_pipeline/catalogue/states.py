"""Stage states and leases: what ran on which media, with what, and who is at it now."""

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import sqlalchemy as sa

from dam_pipeline.catalogue.beats import given_up
from dam_pipeline.catalogue.database import (
    chunks,
    in_order,
    insert_or,
    is_alive,
    one_at_a_time,
    this_process,
    upsert,
)
from dam_pipeline.catalogue.outbox import Outbox
from dam_pipeline.catalogue.spaces import active_stems, hold_still
from dam_pipeline.catalogue.tables import LEASE, SHADOW_STATE, STAGE_STATE
from dam_pipeline.records import StageRow, State

STAMP = ("stage", "media_id", "updated_at", "state", "data_version")


class StageStates:
    """Reads and writes `stage_state` and `lease`; each method is one transaction or a few reads.

    `stems` says in which embedding spaces the stages of vectors are looked at (see `spaces`): states
    of a space that is not active lie apart, and a run that began before a switch ends in its own.
    Without them it is always the active one.
    """

    def __init__(
        self, engine: sa.Engine, outbox: Outbox, stems: Mapping[str, str] | None = None
    ) -> None:
        self._engine = engine
        self.stems = stems
        self._outbox = outbox
        self._owner = this_process()

    def of(self, media_ids: Sequence[str]) -> dict[str, dict[str, StageRow]]:
        """Rows by media and stage; a media without any row has an empty mapping."""
        found: dict[str, dict[str, StageRow]] = {media_id: {} for media_id in media_ids}
        with self._engine.connect() as connection:
            apart = self._apart(connection)
            for piece in chunks(media_ids):
                query = sa.select(STAGE_STATE).where(STAGE_STATE.c.media_id.in_(piece))
                for row in connection.execute(query):
                    if row.stage not in apart:
                        found[row.media_id][row.stage] = _stage_row(row)
                for stage, stem in apart.items():
                    here = sa.and_(SHADOW_STATE.c.media_id.in_(piece), SHADOW_STATE.c.stage == stem)
                    for row in connection.execute(sa.select(SHADOW_STATE).where(here)):
                        found[row.media_id][stage] = replace(_stage_row(row), stage=stage)
        return found

    def record(self, rows: Iterable[StageRow], run_id: str = "") -> None:
        """Write outcomes over what stood there and give up this process's leases of them, all or none.

        With `run_id`, nothing is written and RunBroken raised when the run holds one of the leases
        no more: it was given up as lost, and another may be at the same files.
        """
        outcomes = list(rows)
        values = [{**asdict(row), "state": row.state.value} for row in outcomes]
        if not values:
            return
        with self._engine.begin() as connection:
            hold_still(connection)
            apart = self._apart(connection)
            upsert(connection, STAGE_STATE, [v for v in values if v["stage"] not in apart])
            shadows = [{**v, "stage": apart[v["stage"]]} for v in values if v["stage"] in apart]
            upsert(connection, SHADOW_STATE, shadows)
            told = [row for row in outcomes if row.stage not in apart]
            self._outbox.tell_outcomes(connection, told)
            one_at_a_time(connection, LEASE)
            if run_id:
                self._check_leases(connection, values, run_id)
            connection.execute(
                sa.delete(LEASE).where(
                    LEASE.c.media_id == sa.bindparam("m"),
                    LEASE.c.stage == sa.bindparam("s"),
                    LEASE.c.owner == self._owner,  # a rebuild must not end a run beside it
                ),
                [{"m": v["media_id"], "s": self._stem(v["stage"])} for v in values],
            )

    def forget(self, media_ids: Sequence[str], stages: Sequence[str]) -> None:
        """Delete the rows of these stages, so that they count as never run."""
        with self._engine.begin() as connection:
            hold_still(connection)
            apart = self._apart(connection)
            places = [
                (STAGE_STATE, [stage for stage in stages if stage not in apart]),
                (SHADOW_STATE, [apart[stage] for stage in stages if stage in apart]),
            ]
            for table, names in places:
                for piece in chunks(media_ids) if names else ():
                    here = sa.and_(table.c.media_id.in_(piece), table.c.stage.in_(names))
                    connection.execute(sa.delete(table).where(here))

    def claim(
        self, stages: Sequence[str], media_ids: Sequence[str], run_id: str, lease_s: float
    ) -> dict[tuple[str, str], str]:
        """Take leases; returns (media id, stage) → run id of those that another live run holds.

        Expired leases, and those whose process no longer lives on this host, are taken over.
        """
        now = time.time()
        values = [
            {
                "media_id": media_id,
                "stage": self._stem(stage),
                "owner": self._owner,
                "run_id": run_id,
                "expires_at": now + lease_s,
            }
            for media_id in media_ids
            for stage in stages
        ]
        if not values:
            return {}
        with self._engine.begin() as connection:
            one_at_a_time(connection, LEASE)
            # A write first: SQLite then locks at once instead of failing on the upgrade later.
            connection.execute(sa.delete(LEASE).where(LEASE.c.expires_at < now))
            self._drop_dead_owners(connection)
            statement = insert_or(self._engine, LEASE).on_conflict_do_nothing()
            connection.execute(statement, in_order(values, ["media_id", "stage"]))
            held: dict[tuple[str, str], str] = {}
            for piece in chunks(media_ids):
                query = sa.select(LEASE.c.media_id, LEASE.c.stage, LEASE.c.run_id).where(
                    LEASE.c.stage.in_([self._stem(stage) for stage in stages]),
                    LEASE.c.media_id.in_(piece),
                    sa.or_(LEASE.c.owner != self._owner, LEASE.c.run_id != run_id),
                )
                rows = connection.execute(query)
                held |= {(row.media_id, self._stage(row.stage)): row.run_id for row in rows}
        return held

    def extend(self, run_id: str, lease_s: float) -> None:
        """Move the expiry of all leases that this process holds for a run."""
        with self._engine.begin() as connection:
            one_at_a_time(connection, LEASE)
            connection.execute(
                sa.update(LEASE)
                .where(LEASE.c.owner == self._owner, LEASE.c.run_id == run_id)
                .values(expires_at=time.time() + lease_s)
            )

    def release(self, run_id: str) -> None:
        """Give up all leases that this process holds for a run."""
        with self._engine.begin() as connection:
            one_at_a_time(connection, LEASE)
            connection.execute(
                sa.delete(LEASE).where(LEASE.c.owner == self._owner, LEASE.c.run_id == run_id)
            )

    def running(self) -> dict[tuple[str, str], str]:
        """(media id, stage) → run id of all leases that are alive now."""
        with self._engine.connect() as connection:
            rows = connection.execute(sa.select(LEASE).where(LEASE.c.expires_at >= time.time()))
            return {
                (row.media_id, self._stage(row.stage)): row.run_id
                for row in rows
                if is_alive(row.owner)
            }

    def drop_dead_leases(self) -> int:
        """Delete leases that expired or whose process died on this host; returns how many."""
        with self._engine.begin() as connection:
            one_at_a_time(connection, LEASE)
            expired = sa.delete(LEASE).where(LEASE.c.expires_at < time.time())
            return connection.execute(expired).rowcount + self._drop_dead_owners(connection)

    def stamps(self, stages: Sequence[str]) -> dict[str, dict[str, str]]:
        """By stage and media, a text that changes whenever the stage's row on the media does."""
        found: dict[str, dict[str, str]] = {stage: {} for stage in stages}
        with self._engine.connect() as connection:
            apart = self._apart(connection)
            places = [
                (STAGE_STATE, [stage for stage in stages if stage not in apart]),
                (SHADOW_STATE, [apart[stage] for stage in stages if stage in apart]),
            ]
            for table, stems in places if stages else ():
                query = sa.select(*(table.c[name] for name in STAMP)).where(
                    table.c.stage.in_(stems)
                )
                for stem, media_id, *row in connection.execute(query):
                    found[self._stage(stem)][media_id] = " ".join(row)
        return found

    def media_of(self, run_ids: Sequence[str]) -> set[str]:
        """Ids of the media of which these runs made a present outcome."""
        query = sa.select(STAGE_STATE.c.media_id).where(STAGE_STATE.c.run_id.in_(run_ids))
        with self._engine.connect() as connection:
            return set(connection.scalars(query.distinct()))

    def newest(self) -> str:
        """When any state last changed (ISO 8601, UTC), or an empty string."""
        with self._engine.connect() as connection:
            return connection.scalar(sa.select(sa.func.max(STAGE_STATE.c.updated_at))) or ""

    def _check_leases(
        self, connection: sa.Connection, values: Sequence[Mapping[str, Any]], run_id: str
    ) -> None:
        """Raise RunBroken unless this process holds the leases of all these rows for a run."""
        mine = sa.select(LEASE.c.media_id, LEASE.c.stage).where(
            LEASE.c.owner == self._owner, LEASE.c.run_id == run_id
        )
        held = {(row.media_id, row.stage) for row in connection.execute(mine)}
        if any((v["media_id"], self._stem(v["stage"])) not in held for v in values):
            raise given_up(run_id)

    def _apart(self, connection: sa.Connection) -> dict[str, str]:
        """Stage → stem, of the stages that are looked at in a space that is not active."""
        if self.stems is None or not (active := active_stems(connection)):
            return {}
        mine = {stage: self._stem(stage) for stage in active}
        return {stage: stem for stage, stem in mine.items() if stem != active[stage]}

    def _stem(self, stage: str) -> str:
        return (self.stems or {}).get(stage, stage)

    def _stage(self, stem: str) -> str:
        return next((stage for stage, mine in (self.stems or {}).items() if mine == stem), stem)

    def _drop_dead_owners(self, connection: sa.Connection) -> int:
        owners = connection.scalars(sa.select(LEASE.c.owner).distinct()).all()
        dead = [owner for owner in owners if not is_alive(owner)]
        return connection.execute(sa.delete(LEASE).where(LEASE.c.owner.in_(dead))).rowcount


def _stage_row(row: Any) -> StageRow:
    values = dict(row._mapping)
    return StageRow(**{**values, "state": State(values["state"])})
