"""Stage states and leases: what ran on which media, with what, and who is at it now."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

import sqlalchemy as sa

from dam_pipeline.catalogue.database import chunks, insert_or, is_alive, this_process
from dam_pipeline.catalogue.tables import LEASE, STAGE_STATE
from dam_pipeline.records import StageRow, State


class StageStates:
    """Reads and writes `stage_state` and `lease`; each method is one transaction or a few reads."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._owner = this_process()

    def of(self, media_ids: Sequence[str]) -> dict[str, dict[str, StageRow]]:
        """Rows by media and stage; a media without any row has an empty mapping."""
        found: dict[str, dict[str, StageRow]] = {media_id: {} for media_id in media_ids}
        with self._engine.connect() as connection:
            for piece in chunks(media_ids):
                query = sa.select(STAGE_STATE).where(STAGE_STATE.c.media_id.in_(piece))
                for row in connection.execute(query):
                    found[row.media_id][row.stage] = _stage_row(row)
        return found

    def record(self, rows: Iterable[StageRow]) -> None:
        """Write outcomes over what stood there and give up their leases, all or none."""
        values = [{**asdict(row), "state": row.state.value} for row in rows]
        if not values:
            return
        statement = insert_or(self._engine, STAGE_STATE)
        changed = {c.name: statement.excluded[c.name] for c in STAGE_STATE.c if not c.primary_key}
        statement = statement.on_conflict_do_update(["media_id", "stage"], set_=changed)
        with self._engine.begin() as connection:
            connection.execute(statement, values)
            connection.execute(
                sa.delete(LEASE).where(
                    LEASE.c.media_id == sa.bindparam("m"),
                    LEASE.c.stage == sa.bindparam("s"),
                ),
                [{"m": v["media_id"], "s": v["stage"]} for v in values],
            )

    def forget(self, media_ids: Sequence[str], stages: Sequence[str]) -> None:
        """Delete the rows of these stages, so that they count as never run."""
        with self._engine.begin() as connection:
            for piece in chunks(media_ids):
                connection.execute(
                    sa.delete(STAGE_STATE).where(
                        STAGE_STATE.c.media_id.in_(piece),
                        STAGE_STATE.c.stage.in_(stages),
                    )
                )

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
                "stage": stage,
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
            # A write first: SQLite then locks at once instead of failing on the upgrade later.
            connection.execute(sa.delete(LEASE).where(LEASE.c.expires_at < now))
            self._drop_dead_owners(connection)
            statement = insert_or(self._engine, LEASE).on_conflict_do_nothing()
            connection.execute(statement, values)
            held: dict[tuple[str, str], str] = {}
            for piece in chunks(media_ids):
                query = sa.select(LEASE.c.media_id, LEASE.c.stage, LEASE.c.run_id).where(
                    LEASE.c.stage.in_(stages),
                    LEASE.c.media_id.in_(piece),
                    sa.or_(LEASE.c.owner != self._owner, LEASE.c.run_id != run_id),
                )
                rows = connection.execute(query)
                held |= {(row.media_id, row.stage): row.run_id for row in rows}
        return held

    def extend(self, run_id: str, lease_s: float) -> None:
        """Move the expiry of all leases that this process holds for a run."""
        with self._engine.begin() as connection:
            connection.execute(
                sa.update(LEASE)
                .where(LEASE.c.owner == self._owner, LEASE.c.run_id == run_id)
                .values(expires_at=time.time() + lease_s)
            )

    def release(self, run_id: str) -> None:
        """Give up all leases that this process holds for a run."""
        with self._engine.begin() as connection:
            connection.execute(
                sa.delete(LEASE).where(LEASE.c.owner == self._owner, LEASE.c.run_id == run_id)
            )

    def running(self) -> dict[tuple[str, str], str]:
        """(media id, stage) → run id of all leases that are alive now."""
        with self._engine.connect() as connection:
            rows = connection.execute(sa.select(LEASE).where(LEASE.c.expires_at >= time.time()))
            return {(row.media_id, row.stage): row.run_id for row in rows if is_alive(row.owner)}

    def drop_dead_leases(self) -> int:
        """Delete leases that expired or whose process died on this host; returns how many."""
        with self._engine.begin() as connection:
            expired = sa.delete(LEASE).where(LEASE.c.expires_at < time.time())
            return connection.execute(expired).rowcount + self._drop_dead_owners(connection)

    def stamps(self, stages: Sequence[str]) -> dict[str, dict[str, str]]:
        """By stage and media, a text that changes whenever the stage's row on the media does."""
        found: dict[str, dict[str, str]] = {stage: {} for stage in stages}
        names = ("stage", "media_id", "updated_at", "state", "data_version")
        query = sa.select(*(STAGE_STATE.c[name] for name in names))
        with self._engine.connect() as connection:
            for stage, media_id, *row in connection.execute(
                query.where(STAGE_STATE.c.stage.in_(stages))
            ):
                found[stage][media_id] = " ".join(row)
        return found

    def newest(self) -> str:
        """When any state last changed (ISO 8601, UTC), or an empty string."""
        with self._engine.connect() as connection:
            return connection.scalar(sa.select(sa.func.max(STAGE_STATE.c.updated_at))) or ""

    def _drop_dead_owners(self, connection: sa.Connection) -> int:
        owners = connection.scalars(sa.select(LEASE.c.owner).distinct()).all()
        dead = [owner for owner in owners if not is_alive(owner)]
        return connection.execute(sa.delete(LEASE).where(LEASE.c.owner.in_(dead))).rowcount


def _stage_row(row: Any) -> StageRow:
    values = dict(row._mapping)
    return StageRow(**{**values, "state": State(values["state"])})
