"""Which files killed the process that worked on them: what each process is at, and its deaths.

A process notes what a lane is at before it begins. What a dead process left noted counts as one
death of each of these files at that stage; a batch holds one culprit at most, so its files are
worked on one by one afterwards (`stages.lane`), which clears the others.
"""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from dam_pipeline.catalogue.database import (
    chunks,
    insert_or,
    is_alive,
    one_at_a_time,
    this_process,
    upsert,
)
from dam_pipeline.catalogue.tables import DEATH, LEASE, STAGE_STATE, UNDER_WAY


class Deaths:
    """Reads and writes `under_way` and `death`."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._owner = this_process()

    def begin(self, run_id: str, lane: str, stage: str, media_ids: Sequence[str]) -> None:
        """Note that a lane of this process is at a stage of these files from now on."""
        values = {
            "owner": self._owner,
            "lane": lane,
            "run_id": run_id,
            "stage": stage,
            "media_ids": list(media_ids),
            "since_s": time.time(),
        }
        with self._engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                # Losing the note in a power cut is right: then no file killed the process.
                connection.execute(sa.text("SET LOCAL synchronous_commit = off"))
            upsert(connection, UNDER_WAY, [values])

    def end(self, run_id: str) -> None:
        """Forget what this process was at for a run."""
        with self._engine.begin() as connection:
            connection.execute(
                sa.delete(UNDER_WAY).where(
                    UNDER_WAY.c.owner == self._owner, UNDER_WAY.c.run_id == run_id
                )
            )

    def count(self) -> int:
        """Turn the notes of dead processes into deaths; returns how many processes had died.

        A process of another host is dead when none of its leases is alive.
        """
        counted = 0
        with self._engine.begin() as connection:
            one_at_a_time(connection, DEATH)
            alive = sa.select(LEASE.c.owner).where(LEASE.c.expires_at >= time.time()).distinct()
            holders = set(connection.scalars(alive))
            for row in connection.execute(sa.select(UNDER_WAY)).all():
                is_ours = row.owner.split("/")[0] == self._owner.split("/")[0]
                if is_alive(row.owner) and (is_ours or row.owner in holders):
                    continue
                gone = sa.delete(UNDER_WAY).where(
                    UNDER_WAY.c.owner == row.owner, UNDER_WAY.c.lane == row.lane
                )
                # Of two processes that look at once, one deletes and counts.
                if connection.execute(gone).rowcount:
                    self._add(connection, row)
                    counted += 1
        return counted

    def of(self, media_ids: Sequence[str]) -> dict[tuple[str, str], int]:
        """Deaths by (media id, stage), where there were any."""
        found: dict[tuple[str, str], int] = {}
        with self._engine.connect() as connection:
            for piece in chunks(media_ids):
                rows = connection.execute(sa.select(DEATH).where(DEATH.c.media_id.in_(piece)))
                found |= {(row.media_id, row.stage): row.deaths for row in rows}
        return found

    def forget(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Forget the deaths of these (media id, stage): it was another file, or may try again."""
        if pairs:
            with self._engine.begin() as connection:
                connection.execute(
                    sa.delete(DEATH).where(
                        DEATH.c.media_id == sa.bindparam("m"), DEATH.c.stage == sa.bindparam("s")
                    ),
                    [{"m": media_id, "s": stage} for media_id, stage in pairs],
                )

    def _add(self, connection: sa.Connection, left: sa.Row[Any]) -> None:
        statement = insert_or(self._engine, DEATH)
        statement = statement.on_conflict_do_update(
            index_elements=["media_id", "stage"],
            set_={"deaths": DEATH.c.deaths + 1, "last_s": statement.excluded.last_s},
        )
        began = datetime.fromtimestamp(left.since_s, UTC).isoformat(timespec="microseconds")
        finished = connection.scalars(
            sa.select(STAGE_STATE.c.media_id).where(
                STAGE_STATE.c.media_id.in_(left.media_ids),
                STAGE_STATE.c.stage == left.stage,
                STAGE_STATE.c.updated_at >= began,
            )
        )
        values = [
            {"media_id": media_id, "stage": left.stage, "deaths": 1, "last_s": left.since_s}
            for media_id in sorted(set(left.media_ids) - set(finished))
        ]
        if values:
            connection.execute(statement, values)


def apart(
    media_ids: Sequence[str], deaths: Mapping[tuple[str, str], int], max_deaths: int
) -> list[list[str]]:
    """The files that may be worked on together, then those at which a process died, one by one.

    So the next death costs no other file, and is the fault of the one that was alone. Those with
    `max_deaths` are not tried again and so may be among the others.
    """
    total: Counter[str] = Counter()
    for (media_id, _stage), count in deaths.items():
        total[media_id] += count if count < max_deaths else 0
    calm = [media_id for media_id in media_ids if not total[media_id]]
    suspects = sorted((one for one in media_ids if total[one]), key=lambda one: total[one])
    return [group for group in (calm, *([one] for one in suspects)) if group]
