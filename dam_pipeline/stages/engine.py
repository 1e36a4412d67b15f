"""Runs a batch of media through stages: group by group, stage by stage, recording as it goes.

Order of writing: derived file, flush, state row, then the caller's event. Whatever stops the
process in between, the next run finds each stage either recorded or as it was before.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace

from dam_pipeline.catalogue.catalogue import now_iso
from dam_pipeline.errors import DamError
from dam_pipeline.records import Location, Media, Provenance, StageRow, State, StoredOutcome
from dam_pipeline.stages import STAGES
from dam_pipeline.stages.freshness import (
    SETTLED,
    StageVersion,
    inputs_of,
    is_fresh,
    needs_only_a_stamp,
    stage_versions,
    waits_for,
)
from dam_pipeline.stages.outcome import Outcome, as_dam_error
from dam_pipeline.stages.stage import Stage
from dam_pipeline.stages.work import Toolbox, Work
from dam_pipeline.stores.derived import content_version

_LOG = logging.getLogger(__name__)

COMMIT_AFTER_S = 2.0  # finished files of a slow stage are recorded at least this often


@dataclass(frozen=True, slots=True)
class Finished:
    """One (file, stage) that a run has dealt with.

    `row` is None when it waits: then `waits` says for what. `fresh` outcomes were not made anew.
    """

    media: Media
    stage: str
    row: StageRow | None
    stored: StoredOutcome | None = None
    fresh: bool = False
    waits: str = ""

    @property
    def state(self) -> State:
        """The state a person would be told."""
        return self.row.state if self.row else State.NEVER


Listener = Callable[[Finished], None]


@dataclass(slots=True)
class BatchReport:
    """All that a run dealt with, in order."""

    finished: list[Finished] = field(default_factory=list)

    def of(self, state: State) -> list[Finished]:
        """Those that ended in a state, waiting ones left out."""
        return [one for one in self.finished if one.row and one.row.state is state]


def run_stages(
    tools: Toolbox,
    media_ids: Sequence[str],
    stage_names: Sequence[str],
    run_id: str,
    listener: Listener = lambda _finished: None,
) -> BatchReport:
    """Bring the stages of these media up to date; fresh ones are left as they are.

    `listener` hears of each (file, stage) after it is recorded. Bad files and blocked stages are
    outcomes, not errors; leases are given up whatever happens.
    """
    run = _Run(tools, [STAGES[name] for name in STAGES if name in stage_names], run_id, listener)
    try:
        for group in _groups(list(media_ids), tools.settings.group_files):
            run.group(group)
    finally:
        tools.catalogue.states.release(run_id)
    return run.report


def _groups(media_ids: list[str], size: int) -> Iterator[list[str]]:
    for start in range(0, len(media_ids), size):
        yield media_ids[start : start + size]


class _Run:
    """The state of one run: its versions, its report and the outcomes not yet recorded."""

    def __init__(
        self, tools: Toolbox, stages: list[Stage], run_id: str, listener: Listener
    ) -> None:
        self.report = BatchReport()
        self._tools = tools
        self._stages = stages
        self._run_id = run_id
        self._listener = listener
        self._versions = stage_versions(tools.settings)

    def group(self, media_ids: list[str]) -> None:
        """Take a group through all stages."""
        works = self._open_works(media_ids)
        try:
            for stage in self._stages:
                self._stage(stage, works)
        finally:
            for work in works:
                work.clean()

    def _open_works(self, media_ids: list[str]) -> list[Work]:
        catalogue = self._tools.catalogue
        media = catalogue.media(media_ids)
        places = catalogue.locations_of(media_ids)
        rows = catalogue.states.of(media_ids)
        return [
            Work(media[one], _present(places[one]), rows[one], self._tools)
            for one in media_ids
            if one in media
        ]

    def _stage(self, stage: Stage, works: list[Work]) -> None:
        version = self._versions[stage.name]
        due: list[Work] = []
        for work in works:
            if is_fresh(stage, work.media, work.rows, version):
                self._tell(Finished(work.media, stage.name, work.rows[stage.name], fresh=True))
            elif missing := waits_for(stage, work.rows):
                self._tell(Finished(work.media, stage.name, None, waits=f"waits for {missing}"))
            elif needs_only_a_stamp(stage, work.media, work.rows, version):
                self._stamp(stage, work, version)
            else:
                due.append(work)
        self._compute(stage, self._claim(stage, due), version)

    def _claim(self, stage: Stage, due: list[Work]) -> list[Work]:
        ids = [work.media.media_id for work in due]
        states = self._tools.catalogue.states
        held = states.claim(stage.name, ids, self._run_id, self._tools.settings.lease_s)
        for work in due:
            if other := held.get(work.media.media_id):
                self._tell(Finished(work.media, stage.name, None, waits=f"is in run {other}"))
        return [work for work in due if work.media.media_id not in held]

    def _compute(self, stage: Stage, works: list[Work], version: StageVersion) -> None:
        pending: list[tuple[Work, StoredOutcome]] = []
        began = last_commit = time.monotonic()
        for work, outcome in _outcomes(stage, works, self._tools):
            seconds = time.monotonic() - began
            pending.append((work, self._store(stage, work, outcome, version, seconds)))
            began = time.monotonic()
            if began - last_commit > COMMIT_AFTER_S:
                self._commit(pending)
                pending, last_commit = [], began
        self._commit(pending)

    def _store(
        self, stage: Stage, work: Work, outcome: Outcome, version: StageVersion, seconds: float
    ) -> StoredOutcome:
        """Write an outcome's files; a failure to write them is itself an outcome."""
        stored = self._stored(stage, work, outcome, version, seconds)
        if stored.state is State.BLOCKED:
            return stored
        try:
            self._tools.derived.write_outcome(stored, outcome.table)
        except (OSError, DamError) as error:
            return self._stored(stage, work, Outcome.of_error(error), version, seconds)
        return stored

    def _stored(
        self, stage: Stage, work: Work, outcome: Outcome, version: StageVersion, seconds: float
    ) -> StoredOutcome:
        model = outcome.model
        provenance = Provenance(
            code_version=version.code_version,
            settings_hash=version.settings_hash,
            settings=version.settings,
            run_id=self._run_id,
            when=now_iso(),
            seconds=round(seconds, 4),
            inputs=inputs_of(stage, work.media, work.rows),
            model=model.name if model else "",
            revision=model.revision if model else "",
            weights_sha256=model.weights_sha256 if model else "",
            also=outcome.also,
        )
        return StoredOutcome(
            media_id=work.media.media_id,
            stage=stage.name,
            state=outcome.state,
            reason=outcome.reason,
            retryable=outcome.retryable,
            attempts=_attempts(work.rows.get(stage.name), outcome, version),
            result=outcome.result,
            rows=outcome.table.num_rows if outcome.table is not None else 0,
            data_version=_data_version(outcome),
            provenance=provenance,
        )

    def _commit(self, pending: list[tuple[Work, StoredOutcome]]) -> None:
        if not pending:
            return
        self._tools.derived.flush()
        states = self._tools.catalogue.states
        rows = [stage_row(stored) for _work, stored in pending]
        states.record(rows)
        states.extend(self._run_id, self._tools.settings.lease_s)
        for (work, stored), row in zip(pending, rows, strict=True):
            work.rows[stored.stage] = row
            self._tell(Finished(work.media, stored.stage, row, stored))

    def _stamp(self, stage: Stage, work: Work, version: StageVersion) -> None:
        """Give an outcome that still holds the new name of the code that would make it."""
        stored = self._tools.derived.outcome(work.media.media_id, stage.name)
        if stored is None:
            self._compute(stage, self._claim(stage, [work]), version)
            return
        provenance = replace(stored.provenance, code_version=version.code_version)
        stamped = replace(stored, provenance=provenance)
        table = work.table(stage.name) if work.has_rows(stage.name) else None
        self._tools.derived.write_outcome(stamped, table)
        self._commit([(work, stamped)])

    def _tell(self, finished: Finished) -> None:
        self.report.finished.append(finished)
        key = finished.media.partition_key
        self._tools.tell_finished(key, finished.stage, finished.state.value)
        self._listener(finished)


def stage_row(stored: StoredOutcome) -> StageRow:
    """The catalogue's row of an outcome file."""
    made_by = stored.provenance
    return StageRow(
        media_id=stored.media_id,
        stage=stored.stage,
        state=stored.state,
        reason=stored.reason,
        retryable=stored.retryable,
        attempts=stored.attempts,
        code_version=made_by.code_version,
        model=made_by.model,
        weights_sha256=made_by.weights_sha256,
        settings_hash=made_by.settings_hash,
        data_version=stored.data_version,
        inputs=made_by.inputs,
        seconds=made_by.seconds,
        run_id=made_by.run_id,
        updated_at=made_by.when,
    )


def _outcomes(stage: Stage, works: list[Work], tools: Toolbox) -> Iterator[tuple[Work, Outcome]]:
    """Each file with its outcome; an error of the whole batch counts for those left over."""
    if not works:
        return
    left = iter(works)
    try:
        tools.derived.check_room()
        with closing(stage.run(works, tools)) as outcomes:
            for outcome in outcomes:
                yield next(left), outcome
    except Exception as error:  # noqa: BLE001 (it becomes the outcome of the files left)
        if as_dam_error(error) is None:
            _LOG.exception("%s: unexpected error", stage.name)
        failure = Outcome.of_error(error)
        for work in left:
            yield work, failure


def _present(places: Sequence[Location]) -> Location | None:
    return next((place for place in places if place.missing_since is None), None)


def _attempts(before: StageRow | None, outcome: Outcome, version: StageVersion) -> int:
    same_try = (
        before is not None
        and before.state is not State.DONE
        and before.code_version == version.code_version
    )
    earlier = before.attempts if before and same_try else 0
    return earlier if outcome.state is State.BLOCKED else earlier + 1


def _data_version(outcome: Outcome) -> str:
    if outcome.state not in SETTLED:
        return ""
    what: Mapping[str, object] = (
        outcome.result if outcome.version_of is None else outcome.version_of
    )
    return content_version({"state": outcome.state, "result": what}, outcome.table)
