"""How the library fares, in numbers: states, queue, throughput, cost of stages, failures by reason.

All from the catalogue, by a few queries that do not grow with what is done per file in Python.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from dam_pipeline.catalogue.catalogue import Catalogue
from dam_pipeline.catalogue.outbox import Waiting
from dam_pipeline.catalogue.tables import LOCATION, MEDIA, STAGE_STATE
from dam_pipeline.records import State

SETTLED = (State.DONE.value, State.EMPTY.value)
FINISHES = "search_index"
"""The stage that ends a file's way; when it has settled, the file counts as finished."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a stage has cost so far: seconds over all `files` it has settled on."""

    files: int
    seconds: float
    footage_s: float

    @property
    def seconds_per_file(self) -> float:
        """Mean seconds a file."""
        return self.seconds / self.files if self.files else 0.0

    @property
    def seconds_per_footage_s(self) -> float | None:
        """Seconds a second of footage; None where the files have no duration."""
        return self.seconds / self.footage_s if self.footage_s else None


@dataclass(frozen=True, slots=True)
class Failure:
    """Files that failed, or wait, at a stage for the same reason; `example` is one of their keys."""

    stage: str
    state: State
    reason: str
    files: int
    example: str


@dataclass(frozen=True, slots=True)
class Throughput:
    """What was finished in the last `window_s`; `busy_s` of them something was being worked on."""

    window_s: float
    files: int
    footage_s: float
    busy_s: float

    @property
    def footage_per_s(self) -> float:
        """Seconds of footage finished in a second of work."""
        return self.footage_s / self.busy_s if self.busy_s else 0.0


@dataclass(frozen=True, slots=True)
class Metrics:
    """All numbers at one moment; `states` by stage, `queue` are files that no stage has settled on."""

    files: int
    footage_s: float
    size_bytes: int
    missing: int
    queue: int
    running: int
    states: Mapping[str, Mapping[str, int]]
    costs: Mapping[str, Cost]
    throughput: Throughput
    failures: Sequence[Failure]
    events: Mapping[str, Waiting]


def measure(
    catalogue: Catalogue, versions: Mapping[str, str], window: timedelta = timedelta(hours=1)
) -> Metrics:
    """The numbers now; `versions` are the present code versions by stage, which tell what is stale."""
    with catalogue.engine.connect() as connection:
        files, footage_s, size_bytes = _library(connection)
        states = _states(connection, versions, files)
        return Metrics(
            files=files,
            footage_s=footage_s,
            size_bytes=size_bytes,
            missing=_missing(connection),
            queue=min((by["never"] for by in states.values()), default=0),
            running=len({media for media, _stage in catalogue.states.running()}),
            states=states,
            costs=_costs(connection, versions),
            throughput=_throughput(connection, window),
            failures=_failures(connection),
            events=catalogue.outbox.waiting(),
        )


_CURRENT = MEDIA.c.superseded_by.is_(None)


def _library(connection: sa.Connection) -> tuple[int, float, int]:
    query = sa.select(
        sa.func.count(), sa.func.sum(MEDIA.c.duration_s), sa.func.sum(MEDIA.c.size_bytes)
    )
    files, footage_s, size_bytes = connection.execute(query.where(_CURRENT)).one()
    return files, float(footage_s or 0.0), int(size_bytes or 0)


def _missing(connection: sa.Connection) -> int:
    is_present = sa.exists().where(
        LOCATION.c.media_id == MEDIA.c.media_id, LOCATION.c.missing_since.is_(None)
    )
    query = sa.select(sa.func.count()).select_from(MEDIA).where(_CURRENT, ~is_present)
    return connection.scalar(query) or 0


def _states(
    connection: sa.Connection, versions: Mapping[str, str], files: int
) -> dict[str, dict[str, int]]:
    columns = (STAGE_STATE.c.stage, STAGE_STATE.c.state, STAGE_STATE.c.code_version)
    query = (
        sa.select(*columns, sa.func.count())
        .join(MEDIA, MEDIA.c.media_id == STAGE_STATE.c.media_id)
        .where(_CURRENT)
        .group_by(*columns)
    )
    counts: dict[str, Counter[str]] = {stage: Counter() for stage in versions}
    for stage, state, version, count in connection.execute(query):
        if stage in counts:
            is_stale = state in SETTLED and version != versions[stage]
            counts[stage][State.STALE.value if is_stale else state] += count
    return {
        stage: {"never": files - count.total(), **dict(sorted(count.items()))}
        for stage, count in counts.items()
    }


def _costs(connection: sa.Connection, stages: Iterable[str]) -> dict[str, Cost]:
    query = (
        sa.select(
            STAGE_STATE.c.stage,
            sa.func.count(),
            sa.func.sum(STAGE_STATE.c.seconds),
            sa.func.sum(MEDIA.c.duration_s),
        )
        .join(MEDIA, MEDIA.c.media_id == STAGE_STATE.c.media_id)
        .where(_CURRENT, STAGE_STATE.c.state.in_(SETTLED))
        .group_by(STAGE_STATE.c.stage)
    )
    found = {
        stage: Cost(files, float(seconds or 0.0), float(footage_s or 0.0))
        for stage, files, seconds, footage_s in connection.execute(query)
    }
    return {stage: found[stage] for stage in stages if stage in found}


def _throughput(connection: sa.Connection, window: timedelta) -> Throughput:
    since = datetime.now(UTC) - window
    lately = STAGE_STATE.c.updated_at >= since.isoformat(timespec="microseconds")
    finished = (
        sa.select(sa.func.count(), sa.func.sum(MEDIA.c.duration_s))
        .join(MEDIA, MEDIA.c.media_id == STAGE_STATE.c.media_id)
        .where(lately, STAGE_STATE.c.stage == FINISHES, STAGE_STATE.c.state.in_(SETTLED))
    )
    files, footage_s = connection.execute(finished).one()
    work = sa.select(STAGE_STATE.c.updated_at, STAGE_STATE.c.seconds).where(lately)
    spans = (
        (datetime.fromisoformat(at).timestamp(), seconds)
        for at, seconds in connection.execute(work.order_by(STAGE_STATE.c.updated_at))
    )
    busy_s = _covered_s((max(end - s, since.timestamp()), end) for end, s in spans)
    return Throughput(window.total_seconds(), files, float(footage_s or 0.0), busy_s)


def _covered_s(spans: Iterable[tuple[float, float]]) -> float:
    """Seconds that any of the spans covers."""
    covered, until = 0.0, 0.0
    for start, end in sorted(spans):
        covered += max(0.0, end - max(start, until))
        until = max(until, end)
    return covered


def _failures(connection: sa.Connection) -> list[Failure]:
    troubled = (State.FAILED.value, State.BLOCKED.value)
    query = (
        sa.select(
            STAGE_STATE.c.stage,
            STAGE_STATE.c.state,
            STAGE_STATE.c.reason,
            sa.func.count().label("files"),
            sa.func.min(MEDIA.c.partition_key).label("example"),
        )
        .join(MEDIA, MEDIA.c.media_id == STAGE_STATE.c.media_id)
        .where(_CURRENT, STAGE_STATE.c.state.in_(troubled))
        .group_by(STAGE_STATE.c.stage, STAGE_STATE.c.state, STAGE_STATE.c.reason)
    )
    alike: dict[tuple[str, str, str], Failure] = {}
    for row in connection.execute(query):
        key = (row.stage, row.state, _kind_of(row.reason))
        files = row.files + (alike[key].files if key in alike else 0)
        alike[key] = Failure(row.stage, State(row.state), key[2], files, row.example)
    return sorted(alike.values(), key=lambda one: (-one.files, one.stage, one.reason))


def _kind_of(reason: str) -> str:
    """A reason without what is one file's alone: its path or address, and numbers."""
    without_places = re.sub(r"\S*/\S*[^\s.,;:()]", "…", reason)
    return re.sub(r"\d+(\.\d+)?", "N", without_places)
