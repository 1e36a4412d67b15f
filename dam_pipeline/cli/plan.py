"""`dam plan`: what a backfill would do, how long it would take, and what it would leave alone."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from dam_pipeline.cli.options import AsJson, StageName
from dam_pipeline.cli.output import Exit, command, print_json, say, table
from dam_pipeline.errors import ConfigurationError
from dam_pipeline.records import Json, State
from dam_pipeline.settings import load_settings

if TYPE_CHECKING:
    from dam_pipeline.planning.estimating import Estimate, Estimator
    from dam_pipeline.planning.work import FileWork, Wanted
    from dam_pipeline.stages.work import Toolbox

SHOWN = (State.NEVER, State.STALE, State.FAILED, State.BLOCKED, State.DONE, State.EMPTY)
TOLD_REASONS = 20
UNMEASURED = "no measurement"
WAITS = "waits for"


@dataclass(frozen=True, slots=True)
class Plan:
    """What would run, what it costs, and what would not run."""

    works: "list[FileWork]"
    left: "list[FileWork]"
    estimate: "Estimate"
    estimator: "Estimator"
    runs: int
    derived_bytes: int
    nowhere: int


@command
def run(
    paths: Annotated[
        list[str] | None, typer.Argument(metavar="PATH", help="Only what lies below these.")
    ] = None,
    stage: StageName = None,
    failed: Annotated[bool, typer.Option("--failed", help="All that has failed.")] = False,
    stale: Annotated[bool, typer.Option("--stale", help="Only what is stale.")] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Everything, also what is done: compute it anew.")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Tell what a backfill would do: files, footage, stages, how long, how much disk.

    Without --failed, --stale or --all it is what the nightly schedule takes: what never ran, is
    stale or blocked, and failures that may be tried again. Nothing is changed.

    Examples: dam plan · dam plan /media/tapes --stage transcript --all · dam plan --json
    """
    from dam_pipeline.stages.choosing import check_stages
    from dam_pipeline.stages.work import Toolbox

    if everything and (failed or stale):
        raise ConfigurationError("--all already holds --failed and --stale; give it alone.")
    wanted = _wanted(failed, stale, everything, check_stages(stage or ()))
    with Toolbox.open(load_settings()) as tools:
        plan = make_plan(tools, paths or [], wanted)
    if as_json:
        print_json(to_json(plan))
    else:
        _print(plan)
    return Exit.OK


def _wanted(failed: bool, stale: bool, everything: bool, stages: Sequence[str]) -> "Wanted":
    from dam_pipeline.planning.work import Wanted

    asked = {State.FAILED: failed, State.STALE: stale}
    states = frozenset(state for state, is_asked in asked.items() if is_asked)
    if everything:
        states = frozenset(State) - {State.RUNNING, State.REMOVED}
    return Wanted(states, frozenset(stages))


def make_plan(tools: "Toolbox", paths: Sequence[str], wanted: "Wanted") -> Plan:
    """What a backfill of all files, or of those below some paths, would do."""
    from dam_pipeline.catalogue.measures import measures
    from dam_pipeline.planning.disk import Disk
    from dam_pipeline.planning.estimating import Estimator
    from dam_pipeline.planning.work import survey
    from dam_pipeline.stages.choosing import media_below

    catalogue, settings = tools.catalogue, tools.settings
    ids = [one.media_id for one in media_below(catalogue, paths)] if paths else None
    files = measures(catalogue, ids)
    known = len(catalogue.all_media()) if ids is None else len(ids)
    surveyed = list(survey(tools, files, wanted))
    works = [work for work in surveyed if work.stages]
    size_bytes = sum(work.media.size_bytes for work in works)
    runs = max(
        -(-len(works) // settings.batch_files), -(-size_bytes // (settings.batch_mb * 10**6))
    )
    estimator = Estimator(catalogue, settings)
    return Plan(
        works,
        [work for work in surveyed if work.left],
        estimator.of_library(works, runs),
        estimator,
        runs,
        Disk(catalogue, tools.derived, estimator.costs).bytes(works),
        known - len(files),
    )


def to_json(plan: Plan) -> dict[str, Json]:
    """The documented shape."""
    from dam_pipeline.planning.estimating import score

    scored = score(plan.estimator.past)
    return {
        **plan.estimate.to_json(),
        "runs": plan.runs,
        "derived_bytes": plan.derived_bytes,
        "left_alone": [
            {"partition_key": work.media.partition_key, "stages": dict(work.left)}
            for work in plan.left
        ],
        "nowhere": plan.nowhere,
        "accuracy": {"estimates": scored[0], "within": round(scored[1], 3)} if scored else None,
    }


def _print(plan: Plan) -> None:
    from dam_pipeline.planning.estimating import duration, score_in_words

    if plan.works:
        states = [s for s in SHOWN if any(s in one.states for one in plan.estimate.stages.values())]
        table(
            ("stage", *states, "own time"),
            [
                (name, *(str(one.states.get(s, "")) for s in states), duration(one.seconds.likely))
                for name, one in plan.estimate.stages.items()
            ],
        )
        say("")
        runs = "1 run" if plan.runs == 1 else f"{plan.runs} runs"
        say(f"{plan.estimate.words} in {runs}.")
        say(f"Derived files will take about {plan.derived_bytes / 1e6:.1f} MB more.")
    else:
        say("Nothing to do.")
    unmeasured = [one for one in plan.estimate.assumptions if one.startswith(UNMEASURED)]
    if unmeasured:
        say(f"note: {len(unmeasured)} costs were never measured here and are assumed (see --json).")
    for assumption in plan.estimate.assumptions:
        if assumption not in unmeasured:
            say(f"note: {assumption}")
    if plan.works:
        say(score_in_words(plan.estimator.past))
    _print_left(plan)


def _print_left(plan: Plan) -> None:
    reasons: dict[tuple[str, str], list[str]] = {}
    for work in plan.left:
        for stage, reason in work.left.items():
            reasons.setdefault((stage, reason), []).append(work.media.partition_key)
    counts = Counter({pair: len(keys) for pair, keys in reasons.items()})
    waiting = sum(count for (_, reason), count in counts.items() if reason.startswith(WAITS))
    counts = Counter({pair: n for pair, n in counts.items() if not pair[1].startswith(WAITS)})
    for (stage, reason), count in counts.most_common(TOLD_REASONS):
        files = f"{count} files such as " if count > 1 else ""
        say(f"left alone: {files}{reasons[stage, reason][0]} at {stage}: {reason}")
    if len(counts) > TOLD_REASONS:
        say(f"… and {len(counts) - TOLD_REASONS} further reasons; --json tells all.")
    if waiting:
        say(f"left alone: {waiting} stages that wait for earlier ones.")
    if plan.nowhere:
        say(f"left alone: {plan.nowhere} files are at none of their known places now.")
