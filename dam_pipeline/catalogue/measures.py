"""What plans are made from: how large files are, since when they are known, what stages cost."""

from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from dam_pipeline.catalogue.catalogue import Catalogue
from dam_pipeline.catalogue.database import chunks
from dam_pipeline.catalogue.tables import LOCATION, MEDIA, STAGE_STATE
from dam_pipeline.records import MediaKind, State


@dataclass(frozen=True, slots=True)
class Measure:
    """How much there is of a present media; `duration_s` is None before its first probe.

    `first_seen` and `failed_at` (the oldest failure that still stands, or empty) are ISO 8601, UTC.
    """

    media_id: str
    kind: MediaKind
    size_bytes: int
    duration_s: float | None
    first_seen: str
    failed_at: str


@dataclass(frozen=True, slots=True)
class Sample:
    """What one stage took on one media."""

    stage: str
    kind: MediaKind
    seconds: float
    size_bytes: int
    duration_s: float | None
    code_version: str


def measures(catalogue: Catalogue, media_ids: Sequence[str] | None = None) -> list[Measure]:
    """The media that are at some place now, in the order of their keys; superseded ones left out."""
    failed_at = (
        sa.select(sa.func.min(STAGE_STATE.c.updated_at))
        .where(
            STAGE_STATE.c.media_id == MEDIA.c.media_id,
            STAGE_STATE.c.state == State.FAILED.value,
        )
        .scalar_subquery()
    )
    query = (
        sa.select(
            MEDIA.c.media_id,
            MEDIA.c.kind,
            MEDIA.c.size_bytes,
            MEDIA.c.duration_s,
            sa.func.min(LOCATION.c.first_seen).label("first_seen"),
            failed_at.label("failed_at"),
        )
        .join(LOCATION, LOCATION.c.media_id == MEDIA.c.media_id)
        .where(MEDIA.c.superseded_by.is_(None), LOCATION.c.missing_since.is_(None))
        .group_by(MEDIA.c.media_id)
        .order_by(MEDIA.c.partition_key)
    )
    pieces = [None] if media_ids is None else chunks(media_ids)
    found = []
    with catalogue.engine.connect() as connection:
        for piece in pieces:
            narrowed = query if piece is None else query.where(MEDIA.c.media_id.in_(piece))
            for row in connection.execute(narrowed):
                values = dict(row._mapping)
                values |= {"kind": MediaKind(row.kind), "failed_at": row.failed_at or ""}
                found.append(Measure(**values))
    return found


def samples(catalogue: Catalogue, at_most: int) -> list[Sample]:
    """The newest results that a stage worked for, the newest first."""
    query = (
        sa.select(
            STAGE_STATE.c.stage,
            MEDIA.c.kind,
            STAGE_STATE.c.seconds,
            MEDIA.c.size_bytes,
            MEDIA.c.duration_s,
            STAGE_STATE.c.code_version,
        )
        .join(MEDIA, MEDIA.c.media_id == STAGE_STATE.c.media_id)
        .where(STAGE_STATE.c.state.in_([State.DONE.value, State.EMPTY.value]))
        .order_by(STAGE_STATE.c.updated_at.desc())
        .limit(at_most)
    )
    with catalogue.engine.connect() as connection:
        return [
            Sample(**{**row._mapping, "kind": MediaKind(row.kind)})
            for row in connection.execute(query)
        ]
