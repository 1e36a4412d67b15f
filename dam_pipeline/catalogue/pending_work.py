"""Work that nobody has under way: media that never ran, stages that may do better another time."""

from collections.abc import Iterator
from dataclasses import dataclass

import sqlalchemy as sa

from dam_pipeline.catalogue.catalogue import Catalogue
from dam_pipeline.catalogue.database import chunks
from dam_pipeline.catalogue.tables import LOCATION, MEDIA, STAGE_STATE
from dam_pipeline.records import Media, StageRow, State


@dataclass(frozen=True, slots=True)
class Resumable:
    """A stage that is blocked, or failed in a way that another try may mend, on a present media.

    `stage_worked_at` is when that stage last gave a result on any media, or empty.
    """

    media: Media
    row: StageRow
    stage_worked_at: str


def never_run(catalogue: Catalogue, seen_before: str) -> dict[str, str]:
    """Partition keys by id of present media without any state, in the order of the keys.

    Only those at a place since before a moment (ISO 8601). Superseded media are left out.
    """
    has_state = sa.exists().where(STAGE_STATE.c.media_id == MEDIA.c.media_id)
    is_present = sa.exists().where(
        LOCATION.c.media_id == MEDIA.c.media_id,
        LOCATION.c.missing_since.is_(None),
        LOCATION.c.first_seen < seen_before,
    )
    query = (
        sa.select(MEDIA.c.media_id, MEDIA.c.partition_key)
        .where(MEDIA.c.superseded_by.is_(None), ~has_state, is_present)
        .order_by(MEDIA.c.partition_key)
    )
    with catalogue.engine.connect() as connection:
        return {row.media_id: row.partition_key for row in connection.execute(query)}


def begun(catalogue: Catalogue, stages: int, since: str) -> list[str]:
    """Ids of present media that have states, but of fewer than so many stages.

    Only those of which a state has changed since a moment (ISO 8601). Superseded media are left out.
    """
    changed = sa.select(STAGE_STATE.c.media_id).where(STAGE_STATE.c.updated_at >= since)
    is_present = sa.exists().where(
        LOCATION.c.media_id == MEDIA.c.media_id, LOCATION.c.missing_since.is_(None)
    )
    query = (
        sa.select(STAGE_STATE.c.media_id)
        .join(MEDIA, MEDIA.c.media_id == STAGE_STATE.c.media_id)
        .where(STAGE_STATE.c.media_id.in_(changed), MEDIA.c.superseded_by.is_(None), is_present)
        .group_by(STAGE_STATE.c.media_id)
        .having(sa.func.count() < stages)
        .order_by(STAGE_STATE.c.media_id)
    )
    with catalogue.engine.connect() as connection:
        return list(connection.scalars(query))


def resumable(catalogue: Catalogue, max_attempts: int) -> list[Resumable]:
    """All blocked stages, and failed ones that may be tried again, the longest waiting first.

    Superseded media are left out, and those that are nowhere: they are taken up when they are back.
    """
    worked_at = _worked_at(catalogue)
    found = sorted(
        _resumable_rows(catalogue, max_attempts), key=lambda row: (row.updated_at, row.media_id)
    )
    known = catalogue.media(sorted({row.media_id for row in found}))
    return [
        Resumable(known[row.media_id], row, worked_at.get(row.stage, ""))
        for row in found
        if row.media_id in known
    ]


def _worked_at(catalogue: Catalogue) -> dict[str, str]:
    worked = (State.DONE.value, State.EMPTY.value)
    query = (
        sa.select(STAGE_STATE.c.stage, sa.func.max(STAGE_STATE.c.updated_at).label("last"))
        .where(STAGE_STATE.c.state.in_(worked))
        .group_by(STAGE_STATE.c.stage)
    )
    with catalogue.engine.connect() as connection:
        return {row.stage: row.last for row in connection.execute(query)}


def _resumable_rows(catalogue: Catalogue, max_attempts: int) -> Iterator[StageRow]:
    is_blocked = STAGE_STATE.c.state == State.BLOCKED.value
    may_be_mended = sa.and_(
        STAGE_STATE.c.state == State.FAILED.value,
        STAGE_STATE.c.retryable,
        STAGE_STATE.c.attempts < max_attempts,
    )
    is_present = sa.exists().where(
        LOCATION.c.media_id == MEDIA.c.media_id, LOCATION.c.missing_since.is_(None)
    )
    query = (
        sa.select(STAGE_STATE.c.media_id, STAGE_STATE.c.stage)
        .join(MEDIA, MEDIA.c.media_id == STAGE_STATE.c.media_id)
        .where(sa.or_(is_blocked, may_be_mended), MEDIA.c.superseded_by.is_(None), is_present)
    )
    with catalogue.engine.connect() as connection:
        wanted = {(row.media_id, row.stage) for row in connection.execute(query)}
    for piece in chunks(sorted({media_id for media_id, _stage in wanted})):
        for media_id, rows in catalogue.states.of(piece).items():
            yield from (row for stage, row in rows.items() if (media_id, stage) in wanted)
