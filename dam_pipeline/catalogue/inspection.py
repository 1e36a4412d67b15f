"""Where catalogue and derived files disagree, as `dam doctor` tells it; nothing is changed here."""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import sqlalchemy as sa

from dam_pipeline.catalogue.catalogue import Catalogue
from dam_pipeline.catalogue.database import chunks, is_alive
from dam_pipeline.catalogue.rebuilding import WITH_RESULT, RowOf, is_better
from dam_pipeline.catalogue.tables import LEASE
from dam_pipeline.errors import SchemaMismatch
from dam_pipeline.records import Media, StageRow
from dam_pipeline.stores.derived import DerivedFiles

MEDIA_AT_ONCE = 200
_DAMAGE = (SchemaMismatch, KeyError, TypeError, ValueError)


class FaultKind(StrEnum):
    """How a file's derived files and its rows disagree."""

    DAMAGED = "damaged"  # a file that is there and cannot be read
    BEHIND = "behind"  # a result that the catalogue does not know
    GONE = "gone"  # a result whose file is not there
    NO_MEDIA_FILE = "no media.json"  # who it is stands in the catalogue alone


@dataclass(frozen=True, slots=True)
class Fault:
    """One disagreement; `row` is what the catalogue should hold (only when it is behind)."""

    kind: FaultKind
    media_id: str
    stage: str
    path: Path
    reason: str = ""
    row: StageRow | None = None


def dead_leases(catalogue: Catalogue) -> int:
    """How many leases belong to processes of this host that no longer live."""
    with catalogue.engine.connect() as connection:
        return sum(not is_alive(owner) for owner in connection.scalars(sa.select(LEASE.c.owner)))


def unknown_folders(catalogue: Catalogue, derived: DerivedFiles) -> list[str]:
    """Ids of media that have derived files and are not in the catalogue."""
    ids = list(derived.media_ids())
    known: set[str] = set()
    for piece in chunks(ids):
        known |= catalogue.media(piece).keys()
    return [media_id for media_id in ids if media_id not in known]


def faults(
    catalogue: Catalogue,
    derived: DerivedFiles,
    stages: Collection[str],
    row_of: RowOf,
    tell: Callable[[int, str], None] = lambda _done, _note: None,
) -> Iterator[Fault]:
    """Every disagreement on the media of the catalogue, media by media."""
    media = catalogue.all_media(superseded=True)
    for start in range(0, len(media), MEDIA_AT_ONCE):
        group = media[start : start + MEDIA_AT_ONCE]
        rows = catalogue.states.of([one.media_id for one in group])
        derived.bring([one.media_id for one in group])
        for one in group:
            yield from _media_faults(derived, one)
            for stage in stages:
                yield from _stage_faults(
                    derived, one.media_id, stage, rows[one.media_id].get(stage), row_of
                )
        tell(start + len(group), "")


def _media_faults(derived: DerivedFiles, media: Media) -> Iterator[Fault]:
    path = derived.folder(media.media_id) / "media.json"
    try:
        is_there = derived.media(media.media_id) is not None
        reason = "missing or damaged"
    except _DAMAGE as error:
        is_there, reason = False, str(error)
    if not is_there:
        yield Fault(FaultKind.NO_MEDIA_FILE, media.media_id, "", path, reason)


def _stage_faults(
    derived: DerivedFiles, media_id: str, stage: str, row: StageRow | None, row_of: RowOf
) -> Iterator[Fault]:
    path = derived.folder(media_id) / f"{stage}.json"
    try:
        outcome = derived.outcome(media_id, stage)
        reason = "not JSON" if outcome is None and derived.has(media_id, path.name) else ""
        if outcome and outcome.rows:
            reason = _table_fault(derived.path(media_id, f"{stage}.parquet"), outcome.rows)
    except _DAMAGE as error:
        outcome, reason = None, str(error) or type(error).__name__
    if reason:
        yield Fault(FaultKind.DAMAGED, media_id, stage, path, reason)
    elif outcome is None:
        if row and row.state in WITH_RESULT:
            yield Fault(FaultKind.GONE, media_id, stage, path)
    elif is_better(row_of(outcome), row):
        yield Fault(FaultKind.BEHIND, media_id, stage, path, row=row_of(outcome))


def _table_fault(path: Path, rows: int) -> str:
    try:
        found = pq.read_metadata(path).num_rows
    except (OSError, pa.ArrowException) as error:
        return f"its table cannot be read: {error}"
    return "" if found == rows else f"its table has {found} rows, not {rows}"
