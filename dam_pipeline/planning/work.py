"""What there is to do on each file, and what is left alone and why."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from dam_pipeline.catalogue.measures import Measure
from dam_pipeline.records import Media, StageRow, State
from dam_pipeline.stages import STAGES
from dam_pipeline.stages.freshness import (
    StageVersion,
    Verdict,
    due_stages,
    stage_versions,
    verdicts,
    waits_for,
)
from dam_pipeline.stages.recording import PARKED
from dam_pipeline.stages.work import Toolbox

AT_ONCE = 500  # files whose states are read together
SETTLED = (State.DONE, State.EMPTY, State.REMOVED)


@dataclass(frozen=True, slots=True)
class FileWork:
    """One file: the stages to run with their present states, and those left alone with the reason.

    `follows` are stale stages that follow an earlier one and may only have to be stamped.
    """

    media: Media
    measure: Measure
    stages: Mapping[str, State]
    left: Mapping[str, str] = field(default_factory=dict)
    follows: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which states and stages are asked for; without states, what a run brings further by itself."""

    states: frozenset[State] = frozenset()
    stages: frozenset[str] = frozenset()


def survey(
    tools: Toolbox,
    files: Sequence[Measure],
    wanted: Wanted = Wanted(),
    busy: Collection[str] = (),
) -> Iterator[FileWork]:
    """What there is to do on each of the files, in their order; read as far as is asked for.

    Files whose partition keys are `busy` have nothing to do now. One without anything to do or to
    tell is left out.
    """
    versions = stage_versions(tools.settings)
    running = tools.catalogue.states.running()
    for at in range(0, len(files), AT_ONCE):
        group = files[at : at + AT_ONCE]
        ids = [one.media_id for one in group]
        media, rows = tools.catalogue.media(ids), tools.catalogue.states.of(ids)
        for measure in group:
            one = media.get(measure.media_id)
            if one is None or one.partition_key in busy:
                continue
            seen = verdicts(one, rows[measure.media_id], versions, running)
            work = _work(tools, one, measure, rows[measure.media_id], seen, versions, wanted)
            if work.stages or work.left:
                yield work


def _work(
    tools: Toolbox,
    media: Media,
    measure: Measure,
    rows: Mapping[str, StageRow],
    seen: Mapping[str, Verdict],
    versions: Mapping[str, StageVersion],
    wanted: Wanted,
) -> FileWork:
    if wanted.states:
        chosen = [name for name, verdict in seen.items() if verdict.state in wanted.states]
    else:
        chosen = due_stages(rows, seen, tools.settings.max_attempts)
    if wanted.stages:
        chosen = [name for name in chosen if name in wanted.stages]
    left = {
        name: _why_left(name, verdict, rows)
        for name, verdict in seen.items()
        if name not in chosen
        and verdict.state not in SETTLED
        and (not wanted.stages or name in wanted.stages)
        and (not wanted.states or verdict.state in wanted.states)
    }
    return FileWork(
        media,
        measure,
        {name: seen[name].state for name in chosen},
        left,
        frozenset(
            name
            for name in chosen
            if seen[name].state is State.STALE
            and rows[name].code_version.startswith(versions[name].own + ".")
        ),
    )


def _why_left(name: str, verdict: Verdict, rows: Mapping[str, StageRow]) -> str:
    row = rows.get(name)
    if verdict.state is State.FAILED and row is not None:
        if row.reason.startswith(PARKED):
            return row.reason
        if not row.retryable:
            return f"failed for good: {row.reason}"
        return f"failed {row.attempts} times: {row.reason}"
    if verdict.state is State.NEVER:
        return f"waits for {waits_for(STAGES[name], rows) or 'an earlier stage'}"
    return verdict.reason or verdict.state.value
