"""What a run is expected to take, told before its first file, and how it went, told at its end."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import dagster as dg

from dam_pipeline.assets.metadata import OWNER
from dam_pipeline.catalogue.estimates import RunEstimate, put_estimate
from dam_pipeline.catalogue.measures import measures
from dam_pipeline.event_log.batches import Running, report_in_run
from dam_pipeline.planning.estimating import Estimate, Estimator, duration, score_in_words
from dam_pipeline.planning.work import FileWork, Wanted, survey
from dam_pipeline.records import State
from dam_pipeline.run_tags import ESTIMATE_TAG
from dam_pipeline.stages.work import Toolbox

UNFINISHED = frozenset({State.NEVER, State.STALE, State.FAILED, State.BLOCKED})
"""What a run over a file works on; the rest is fresh."""

RUN_ESTIMATES = dg.AssetKey("run_estimates")

run_estimates = dg.AssetSpec(
    RUN_ESTIMATES,
    description=(
        "What each run over media was expected to take, observed before its first file, and what "
        "it took. `ratio` is the time it took ÷ the time that was likely."
    ),
    group_name="L3_library",
    owners=[OWNER],
    kinds={"sql"},
)


@dataclass(slots=True)
class Course:
    """How a run went: one that left out some of its work says nothing about the estimate."""

    is_whole: bool = True


@contextmanager
def estimated(
    context: Running, tools: Toolbox, keys: Sequence[str], stages: Sequence[str]
) -> Iterator[Course]:
    """Tell, first of all, how much there is to do and how long it takes; score it when it is done.

    In the log, as a tag of the run and as an observation. Nothing is scored when the block raises,
    or says that the run's course was not whole.
    """
    works, course = unfinished(tools, keys, stages), Course()
    if not works:
        yield course
        return
    estimator = Estimator(tools.catalogue, tools.settings)
    estimate = estimator.of_run(works)
    context.log.info(f"Expected: {estimate.words}. {score_in_words(estimator.past)}")
    report_in_run(context, [dg.AssetObservation(RUN_ESTIMATES, metadata=_expected(estimate))])
    run = context.run
    context.instance.add_run_tags(run.run_id, {ESTIMATE_TAG: estimate.words})
    begun = _record(run.run_id, run.job_name, estimate)
    put_estimate(tools.catalogue, begun)
    yield course
    if not course.is_whole:
        return
    ended = replace(begun, ended_s=time.time())
    put_estimate(tools.catalogue, ended)
    context.log.info(
        f"Took {duration(ended.actual_s or 0.0)}, {ended.ratio or 0.0:.2f} of the likely time."
    )
    report_in_run(context, [dg.AssetMaterialization(RUN_ESTIMATES, metadata=_took(ended))])


def unfinished(tools: Toolbox, keys: Sequence[str], stages: Sequence[str]) -> list[FileWork]:
    """What a run over these partitions will work on, as far as it can be told before."""
    known = tools.catalogue.by_keys(keys)
    files = measures(tools.catalogue, [one.media_id for one in known.values()])
    wanted = Wanted(UNFINISHED, frozenset(stages))
    return [work for work in survey(tools, files, wanted) if work.stages]


def _record(run_id: str, job: str, estimate: Estimate) -> RunEstimate:
    return RunEstimate(
        run_id=run_id,
        job=job,
        files=estimate.files,
        footage_s=estimate.footage_s,
        size_bytes=estimate.size_bytes,
        low_s=estimate.seconds.low,
        likely_s=estimate.seconds.likely,
        high_s=estimate.seconds.high,
        work_s=estimate.work_s,
        started_s=time.time(),
    )


def _expected(estimate: Estimate) -> dict[str, dg.MetadataValue | int | float | str]:
    return {
        "expected": estimate.words,
        "files": estimate.files,
        "footage_hours": round(estimate.footage_s / 3600, 4),
        "gigabytes": round(estimate.size_bytes / 1e9, 4),
        "likely_minutes": round(estimate.seconds.likely / 60, 2),
        "low_minutes": round(estimate.seconds.low / 60, 2),
        "high_minutes": round(estimate.seconds.high / 60, 2),
        **({"assumptions": "\n".join(estimate.assumptions)} if estimate.assumptions else {}),
    }


def _took(ended: RunEstimate) -> dict[str, int | float]:
    actual_s = ended.actual_s or 0.0
    return {
        "files": ended.files,
        "footage_hours": round(ended.footage_s / 3600, 4),
        "likely_minutes": round(ended.likely_s / 60, 2),
        "minutes": round(actual_s / 60, 2),
        "ratio": round(ended.ratio or 0.0, 3),
        "footage_s_per_s": round(ended.footage_s / actual_s, 3) if actual_s else 0.0,
    }
