"""Whether originals still hold the bytes that were taken in, place by place.

Every byte is read and compared with the stage `checksum`. What was never verified, or not for the
longest time, comes first, so samples cover the whole library in the end. Nothing is mended and
nothing is accepted: a changed original is an alarm for a person.
"""

import math
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum

import sqlalchemy as sa

from dam_pipeline.catalogue.catalogue import Catalogue, now_iso
from dam_pipeline.catalogue.database import chunks, upsert
from dam_pipeline.catalogue.tables import FIXITY, LOCATION, MEDIA, STAGE_STATE
from dam_pipeline.errors import DamError, SourceChanged, SourceUnavailable
from dam_pipeline.identity import uri_to_path
from dam_pipeline.records import Json, Location, State
from dam_pipeline.sources.listing import Listed
from dam_pipeline.sources.originals import check_remote, is_remote, whole_sha256
from dam_pipeline.stores.derived import DerivedFiles


class FixityVerdict(StrEnum):
    """What verifying a place found."""

    OK = "ok"
    CHANGED = "changed"  # other bytes under the same size and time: the disk's or the copy's fault
    EDITED = "edited"  # another size or time: a person's doing, which the next look takes in
    MISSING = "missing"
    UNREADABLE = "unreadable"


BAD = frozenset({FixityVerdict.CHANGED, FixityVerdict.MISSING, FixityVerdict.UNREADABLE})
"""What a person must look at."""


@dataclass(frozen=True, slots=True)
class Fixity:
    """What was found at one place; `sha256` is of the bytes found, where they could be read."""

    uri: str
    media_id: str
    verdict: FixityVerdict
    reason: str
    sha256: str
    checked_at: str
    seconds: float

    @property
    def is_bad(self) -> bool:
        """Whether a person must look at it."""
        return self.verdict in BAD

    def to_json(self) -> dict[str, Json]:
        """The documented shape."""
        names = ("uri", "verdict", "reason", "sha256", "checked_at")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True, slots=True)
class Sample:
    """How much one verification reads: a share of the places, until time or bytes are spent.

    0 seconds and 0 bytes are no limit.
    """

    share: float = 1.0
    seconds: float = 0.0
    size_bytes: int = 0


def places_to_verify(
    catalogue: Catalogue, media_ids: Sequence[str] | None = None
) -> list[Location]:
    """Present places of media that have a checksum, the longest unverified first."""
    has_checksum = sa.exists().where(
        STAGE_STATE.c.media_id == LOCATION.c.media_id,
        STAGE_STATE.c.stage == "checksum",
        STAGE_STATE.c.state == State.DONE.value,
    )
    query = (
        sa.select(LOCATION, FIXITY.c.checked_at)
        .join(MEDIA, MEDIA.c.media_id == LOCATION.c.media_id)
        .outerjoin(FIXITY, FIXITY.c.uri == LOCATION.c.uri)
        .where(LOCATION.c.missing_since.is_(None), MEDIA.c.superseded_by.is_(None), has_checksum)
    )
    wanted = None if media_ids is None else set(media_ids)
    with catalogue.engine.connect() as connection:
        rows = [
            row for row in connection.execute(query) if wanted is None or row.media_id in wanted
        ]
    rows.sort(key=lambda row: (row.checked_at or "", row.first_seen, row.uri))
    names = [column.name for column in LOCATION.c]
    return [Location(**{name: getattr(row, name) for name in names}) for row in rows]


def sampled(places: Sequence[Location], sample: Sample) -> list[Location]:
    """As many of the first places as the sample's share and bytes allow, one at least."""
    chosen: list[Location] = []
    size_bytes = 0
    for place in places[: math.ceil(len(places) * sample.share)]:
        size_bytes += place.size_bytes
        if chosen and 0 < sample.size_bytes < size_bytes:
            break
        chosen.append(place)
    return chosen


def verify(
    catalogue: Catalogue,
    derived: DerivedFiles,
    places: Sequence[Location],
    seconds: float = 0.0,
    tell: Callable[[int, str], None] = lambda _done, _note: None,
) -> Iterator[Fixity]:
    """Read these places whole, one after the other, until time is up; each result is kept at once."""
    ends_at = time.monotonic() + seconds if seconds else math.inf
    for number, place in enumerate(places, start=1):
        if time.monotonic() >= ends_at:
            return
        tell(number - 1, place.uri.rpartition("/")[2])
        stored = derived.outcome(place.media_id, "checksum")
        expected = str(stored.result.get("sha256", "")) if stored else ""
        if not expected:
            continue  # that result is lost, which `dam doctor` tells: no fault of the original
        began = time.monotonic()
        verdict, reason, found = look(place, expected)
        fixity = Fixity(
            place.uri,
            place.media_id,
            verdict,
            reason,
            found,
            now_iso(),
            round(time.monotonic() - began, 3),
        )
        with catalogue.engine.begin() as connection:
            upsert(connection, FIXITY, [asdict(fixity)])
        tell(number, "")
        yield fixity


def fixity_of(catalogue: Catalogue, media_ids: Sequence[str]) -> dict[str, list[Fixity]]:
    """What verifying found last, by media; those that were never verified have an empty list."""
    found: dict[str, list[Fixity]] = {media_id: [] for media_id in media_ids}
    with catalogue.engine.connect() as connection:
        for piece in chunks(media_ids):
            query = sa.select(FIXITY).where(FIXITY.c.media_id.in_(piece)).order_by(FIXITY.c.uri)
            for row in connection.execute(query):
                found[row.media_id].append(_fixity(row))
    return found


def known_bad(catalogue: Catalogue) -> list[Fixity]:
    """All places that were bad when they were verified last and are still places of the library."""
    query = (
        sa.select(FIXITY)
        .join(LOCATION, LOCATION.c.uri == FIXITY.c.uri)
        .where(
            FIXITY.c.verdict.in_([one.value for one in BAD]),
            LOCATION.c.missing_since.is_(None),
            LOCATION.c.media_id == FIXITY.c.media_id,
        )
        .order_by(FIXITY.c.uri)
    )
    with catalogue.engine.connect() as connection:
        return [_fixity(row) for row in connection.execute(query)]


def look(place: Location, expected: str) -> tuple[FixityVerdict, str, str]:
    """Verdict, reason and SHA-256 of one place whose bytes should have this SHA-256."""
    file = Listed(place.uri, place.size_bytes, place.mtime_ns)
    trouble = _trouble_remote(file) if is_remote(place.uri) else _trouble_local(place)
    if trouble:
        return *trouble, ""
    try:
        found = whole_sha256(file)
    except DamError as error:
        return FixityVerdict.UNREADABLE, str(error), ""
    if found is None:
        again = _trouble_remote(file) if is_remote(place.uri) else _trouble_local(place)
        return *(again or (FixityVerdict.UNREADABLE, "it cannot be read to its end")), ""
    if found == expected:
        return FixityVerdict.OK, "", found
    reason = (
        f"its bytes are not those that were taken in (SHA-256 {expected[:12]}… then, "
        f"{found[:12]}… now), with the same size and time. Bring back a good copy."
    )
    return FixityVerdict.CHANGED, reason, found


def _trouble_local(place: Location) -> tuple[FixityVerdict, str] | None:
    path = uri_to_path(place.uri)
    try:
        found = path.stat()
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
    except FileNotFoundError:
        if path.parent.is_dir():
            return FixityVerdict.MISSING, "it is gone"
        return FixityVerdict.UNREADABLE, f"{path.parent} is not there: is its disk mounted?"
    except OSError as error:
        return FixityVerdict.UNREADABLE, error.strerror or str(error)
    if (found.st_size, found.st_mtime_ns) != (place.size_bytes, place.mtime_ns):
        return FixityVerdict.EDITED, "it was changed since the last look, which will take it anew"
    return None


def _trouble_remote(file: Listed) -> tuple[FixityVerdict, str] | None:
    try:
        check_remote(file)
    except SourceChanged as error:
        return FixityVerdict.EDITED, str(error)
    except SourceUnavailable as error:
        is_gone = " is gone" in str(error)
        return FixityVerdict.MISSING if is_gone else FixityVerdict.UNREADABLE, str(error)
    except DamError as error:
        return FixityVerdict.UNREADABLE, str(error)
    return None


def _fixity(row: sa.Row[tuple[object, ...]]) -> Fixity:
    values = dict(row._mapping)
    return Fixity(**{**values, "verdict": FixityVerdict(values["verdict"])})
