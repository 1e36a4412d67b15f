"""Work that nobody has under way: media that never ran, stages whose surroundings were at fault."""

from collections.abc import Iterator
from dataclasses import dataclass

import sqlalchemy as sa

from dam_pipeline.catalogue.catalogue import Catalogue
from dam_pipeline.catalogue.database import chunks
from dam_pipeline.catalogue.tables import LOCATION, MEDIA, STAGE_STATE
from dam_pipeline.records import Media, StageRow, State


@dataclass(frozen=True, slots=True)
class Blocked:
    """A blocked stage of a media, and when that stage last gave a result on any (or empty)."""

    media: Media
    row: StageRow
    stage_worked_at: str


def never_run(catalogue: Catalogue, seen_before: str, limit: int) -> list[Media]:
    """At most `limit` present media without any state, at a place since before a moment (ISO 8601).

    In the order of their keys. Superseded media are left out.
    """
    has_state = sa.exists().where(STAGE_STATE.c.media_id == MEDIA.c.media_id)
    is_present = sa.exists().where(
        LOCATION.c.media_id == MEDIA.c.media_id,
        LOCATION.c.missing_since.is_(None),
        LOCATION.c.first_seen < seen_before,
    )
    query = (
        sa.select(MEDIA.c.media_id)
        .where(MEDIA.c.superseded_by.is_(None), ~has_state, is_present)
        .order_by(MEDIA.c.partition_key)
        .limit(limit)
    )
    with catalogue._engine.connect() as connection:
        ids = list(connection.scalars(query))
    known = catalogue.media(ids)
    return [known[media_id] for media_id in ids]


def blocked(catalogue: Catalogue) -> list[Blocked]:
    """All blocked stages of media that are not superseded, the longest blocked first."""
    worked_at = _worked_at(catalogue)
    found = sorted(_blocked_rows(catalogue), key=lambda row: (row.updated_at, row.media_id))
    known = catalogue.media(sorted({row.media_id for row in found}))
    return [
        Blocked(known[row.media_id], row, worked_at.get(row.stage, ""))
        for row in found
        if row.media_id in known and known[row.media_id].superseded_by is None
    ]


def _worked_at(catalogue: Catalogue) -> dict[str, str]:
    worked = (State.DONE.value, State.EMPTY.value)
    query = (
        sa.select(STAGE_STATE.c.stage, sa.func.max(STAGE_STATE.c.updated_at).label("last"))
        .where(STAGE_STATE.c.state.in_(worked))
        .group_by(STAGE_STATE.c.stage)
    )
    with catalogue._engine.connect() as connection:
        return {row.stage: row.last for row in connection.execute(query)}


def _blocked_rows(catalogue: Catalogue) -> Iterator[StageRow]:
    query = sa.select(STAGE_STATE.c.media_id).where(STAGE_STATE.c.state == State.BLOCKED.value)
    with catalogue._engine.connect() as connection:
        ids = list(connection.scalars(query.distinct()))
    for piece in chunks(ids):
        for rows in catalogue.states.of(piece).values():
            yield from (row for row in rows.values() if row.state is State.BLOCKED)
