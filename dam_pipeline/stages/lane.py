"""Some stages over the files that are handed to them, with the recording of what comes out.

Order of writing: derived file, flush, state row, then whoever listens. Whatever stops the process
in between, the next run finds each stage either recorded or as it was before.
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

from dam_pipeline.errors import DamError, DiskFull, StoreUnavailable
from dam_pipeline.records import Media, StageRow, State, StoredOutcome
from dam_pipeline.stages.freshness import (
    StageVersion,
    is_fresh,
    needs_only_a_stamp,
    waits_for,
)
from dam_pipeline.stages.outcome import Outcome, as_dam_error
from dam_pipeline.stages.recording import parked, stage_row, stored_outcome
from dam_pipeline.stages.stage import Stage
from dam_pipeline.stages.work import Toolbox, Work

_LOG = logging.getLogger(__name__)

COMMIT_AFTER_S = 2.0  # what is finished is recorded at least this often
NOTE_AFTER_S = 0.5  # while a batch is worked on, what is left of it is noted this often


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


Tell = Callable[[Sequence[Finished]], None]


class Lane:
    """Stages in order; `tell` hears of what is finished after it is recorded.

    `deaths` says how many processes died at which (media id, stage); one at which as many died as
    a failure has tries is parked. `name` tells a run's lanes apart.
    """

    def __init__(
        self,
        tools: Toolbox,
        stages: Sequence[Stage],
        versions: Mapping[str, StageVersion],
        run_id: str,
        tell: Tell,
        name: str = "",
        deaths: Mapping[tuple[str, str], int] | None = None,
    ) -> None:
        self._tools = tools
        self._name = name
        self._deaths = deaths or {}
        self._survived: list[tuple[str, str]] = []
        self._stages = stages
        self._versions = versions
        self._run_id = run_id
        self._tell = tell
        self._held: dict[tuple[str, str], str] = {}
        self._pending: list[tuple[Work, StoredOutcome]] = []
        self._before: dict[tuple[str, str], StageRow | None] = {}  # of what is pending
        self._settled: list[Finished] = []
        self._committed_at = time.monotonic()

    def claim(self, works: Sequence[Work]) -> None:
        """Take the leases of all stages that may have to run on these files."""
        ids = [work.media.media_id for work in works if not self._is_all_fresh(work)]
        names = [stage.name for stage in self._stages]
        seconds = self._tools.settings.lease_s
        self._held = self._tools.catalogue.states.claim(names, ids, self._run_id, seconds)

    def take(self, works: Sequence[Work]) -> None:
        """Bring the stages of these files up to date, stage by stage; `commit` records the last."""
        for stage in self._stages:
            self._compute(stage, [work for work in works if self._is_due(stage, work)])

    def commit(self) -> None:
        """Record what is finished, then tell of it."""
        if self._pending:
            self._store_files()
            states = self._tools.catalogue.states
            rows = [work.rows[stored.stage] for work, stored in self._pending]
            states.record(rows, self._run_id)
            states.extend(self._run_id, self._tools.settings.lease_s)
            self._tools.catalogue.deaths.forget(self._survived)
            self._survived = []
            for (work, stored), row in zip(self._pending, rows, strict=True):
                self._settled.append(Finished(work.media, stored.stage, row, stored))
        told, self._settled, self._pending = self._settled, [], []
        self._committed_at = time.monotonic()
        if told:
            self._tell(told)

    def _store_files(self) -> None:
        """Make what is written safe; where there is no storage or room, all of it is blocked."""
        try:
            self._tools.derived.flush()
        except (StoreUnavailable, DiskFull) as error:
            stages = {stage.name: stage for stage in self._stages}
            outcome = Outcome.of_error(error)
            pending, self._pending = self._pending, []
            for work, stored in pending:
                self._put_back(work, stored.stage)
                seconds = stored.provenance.seconds
                self._keep(work, self._stored(stages[stored.stage], work, outcome, seconds))
        self._before.clear()

    def _put_back(self, work: Work, stage: str) -> None:
        before = self._before.get((work.media.media_id, stage))
        if before is None:
            work.rows.pop(stage, None)
        else:
            work.rows[stage] = before

    def _is_all_fresh(self, work: Work) -> bool:
        return all(
            is_fresh(stage, work.media, work.rows, self._versions[stage.name])
            for stage in self._stages
        )

    def _is_due(self, stage: Stage, work: Work) -> bool:
        """Whether the stage has to run on the file; notes what there is to say when not."""
        version = self._versions[stage.name]
        if is_fresh(stage, work.media, work.rows, version):
            row = work.rows[stage.name]
            self._settled.append(Finished(work.media, stage.name, row, fresh=True))
        elif missing := waits_for(stage, work.rows):
            self._wait(stage, work, f"waits for {missing}")
        elif other := self._held.get((work.media.media_id, stage.name)):
            self._wait(stage, work, f"is in run {other}")
        elif (died := self._deaths.get((work.media.media_id, stage.name), 0)) >= (
            self._tools.settings.max_attempts
        ):
            self._keep(work, self._store(stage, work, parked(died, work), 0.0))
        else:
            is_stamped = needs_only_a_stamp(stage, work.media, work.rows, version) and self._stamp(
                stage, work, version
            )
            return not is_stamped
        return False

    def _wait(self, stage: Stage, work: Work, why: str) -> None:
        self._settled.append(Finished(work.media, stage.name, None, waits=why))

    def _compute(self, stage: Stage, works: list[Work]) -> None:
        self._note(stage, works)
        began = noted = time.monotonic()
        for number, (work, outcome) in enumerate(_outcomes(stage, works, self._tools), start=1):
            self._tools.check_stopped()
            seconds = time.monotonic() - began
            self._keep(work, self._store(stage, work, outcome, seconds))
            if (pair := (work.media.media_id, stage.name)) in self._deaths:
                self._survived.append(pair)
            began = time.monotonic()
            if began - noted > NOTE_AFTER_S:
                self._note(stage, works[number:])
                noted = began
            if began - self._committed_at > COMMIT_AFTER_S:
                self.commit()

    def _note(self, stage: Stage, works: Sequence[Work]) -> None:
        """Say what this lane is at, for those who find this process dead."""
        if works:
            ids = [work.media.media_id for work in works]
            self._tools.catalogue.deaths.begin(self._run_id, self._name, stage.name, ids)

    def _keep(self, work: Work, stored: StoredOutcome) -> None:
        pair = (work.media.media_id, stored.stage)
        self._before.setdefault(pair, work.rows.get(stored.stage))
        work.rows[stored.stage] = stage_row(stored)
        self._pending.append((work, stored))

    def _store(self, stage: Stage, work: Work, outcome: Outcome, seconds: float) -> StoredOutcome:
        """Write an outcome's files; a failure to write them is itself an outcome."""
        try:
            stored = self._stored(stage, work, outcome, seconds)
            if stored.state is State.BLOCKED:
                return stored
            self._tools.derived.write_outcome(stored, outcome.table)
        except (OSError, DamError) as error:
            return self._stored(stage, work, Outcome.of_error(error), seconds)
        return stored

    def _stored(self, stage: Stage, work: Work, outcome: Outcome, seconds: float) -> StoredOutcome:
        version = self._versions[stage.name]
        return stored_outcome(stage, work, outcome, version, self._run_id, seconds)

    def _stamp(self, stage: Stage, work: Work, version: StageVersion) -> bool:
        """Give an outcome that still holds the new name of the code that would make it.

        False when its file is gone.
        """
        try:
            stored = self._tools.derived.outcome(work.media.media_id, stage.name)
            if stored is None:
                return False
            provenance = replace(stored.provenance, code_version=version.code_version)
            stamped = replace(stored, provenance=provenance)
            table = work.table(stage.name) if work.has_rows(stage.name) else None
            self._tools.derived.write_outcome(stamped, table)
        except StoreUnavailable:
            return False  # it is told when the stage is run
        self._keep(work, stamped)
        return True


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
