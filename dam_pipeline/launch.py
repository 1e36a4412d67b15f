"""Runs in this process, on the instance that the UI shows: what `dam ingest` and `retry` start."""

import logging
from collections.abc import Iterator, Mapping, Sequence

import dagster as dg

from dam_pipeline.catalogue.database import is_alive, this_process
from dam_pipeline.definitions import build_definitions
from dam_pipeline.errors import RunBroken
from dam_pipeline.ops.run_parts import few_runs
from dam_pipeline.partitions import add_keys, range_tags, run_ranges
from dam_pipeline.records import Json, Media
from dam_pipeline.run_tags import JOB_TAG, PROCESS_TAG
from dam_pipeline.settings import Settings

QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
INTERRUPTED = "DagsterExecutionInterruptedError"  # what Dagster makes of Ctrl-C in a step
UNFINISHED = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING]


def run_media(
    settings: Settings,
    instance: dg.DagsterInstance,
    media_by_key: Mapping[str, Media],
    stages: Sequence[str] | None = None,
) -> Iterator[str]:
    """Process these keys in as few runs as they take; yields each run's id.

    Runs after one that failed go on: a failed file is not the others' concern. Raises RunBroken when
    one ends for another reason.
    """
    sizes = {key: media.size_bytes for key, media in media_by_key.items()}
    all_keys = add_keys(instance, list(sizes))
    definitions = build_definitions(settings)
    for parts in few_runs(all_keys, sizes, settings, stages):
        result = definitions.resolve_job_def(parts.job).execute_in_process(
            instance=instance,
            run_config={**QUIET, **parts.config},
            asset_selection=list(parts.selection) or None,
            tags={**parts.tags, PROCESS_TAG: this_process()},
            raise_on_error=False,
        )
        _check_ended_well(result)
        yield result.run_id


def run_graph(settings: Settings, instance: dg.DagsterInstance, *, full: bool = False) -> str:
    """Run the job `graph`; returns its run id, raises RunBroken when it fails.

    `full` builds from nothing instead of going on from the graph before.
    """
    job = build_definitions(settings).resolve_job_def("graph")
    result = job.execute_in_process(
        instance=instance,
        run_config={**QUIET, "ops": {"media_graph": {"config": {"full": full}}}},
        tags={PROCESS_TAG: this_process(), JOB_TAG: "graph"},
        raise_on_error=False,
    )
    _check_ended_well(result)
    return result.run_id


def run_build(
    settings: Settings, instance: dg.DagsterInstance, media_by_key: Mapping[str, Media], space: str
) -> Iterator[str]:
    """Build a candidate space for these keys, one run a contiguous range; yields each run's id.

    Raises RunBroken as `run_media` does.
    """
    sizes = {key: media.size_bytes for key, media in media_by_key.items()}
    all_keys = add_keys(instance, list(sizes))
    job = build_definitions(settings).resolve_job_def("build_space")
    for batch in run_ranges(all_keys, sizes, settings.batch_files, settings.batch_mb):
        result = job.execute_in_process(
            instance=instance,
            run_config={**QUIET, "ops": {"build_candidates": {"config": {"space": space}}}},
            tags={**range_tags(batch), PROCESS_TAG: this_process(), JOB_TAG: "build_space"},
            raise_on_error=False,
        )
        _check_ended_well(result)
        yield result.run_id


def run_promotion(
    settings: Settings, instance: dg.DagsterInstance, config: Mapping[str, Json]
) -> str:
    """Run the job `promote_space` with the config of its assets; returns its run id.

    That the gate keeps the candidate back is no error here: the space's comparison tells why.
    Raises RunBroken when the run fails for another reason.
    """
    job = build_definitions(settings).resolve_job_def("promote_space")
    result = job.execute_in_process(
        instance=instance,
        run_config={
            **QUIET,
            "ops": {name: {"config": dict(config)} for name in ("candidate_space", "active_space")},
        },
        tags={PROCESS_TAG: this_process(), JOB_TAG: "promote_space"},
        raise_on_error=False,
    )
    if all(check.passed for check in result.get_asset_check_evaluations()):
        _check_ended_well(result)
    return result.run_id


def _check_ended_well(result: dg.ExecuteInProcessResult) -> None:
    """Raise RunBroken for a run that failed of anything but its files, KeyboardInterrupt on Ctrl-C."""
    if result.success:
        return
    failures = result.get_step_failure_events()
    if not failures:
        raise RunBroken(
            f"Run {result.run_id} failed before its work began: `dam ui` shows its log. Run the "
            "command again."
        )
    for event in failures:
        failure = event.step_failure_data
        if failure.user_failure_data is None:
            error = failure.error.cause or failure.error if failure.error else None
            if error and error.cls_name == INTERRUPTED:
                raise KeyboardInterrupt
            raise RunBroken(
                f"Run {result.run_id} broke off: {error.message.strip() if error else 'unknown'}. "
                "What was finished is kept; `dam ui` shows its log. Run the command again."
            )


def end_lost_runs(instance: dg.DagsterInstance) -> list[str]:
    """Mark runs as failed whose command-line process was killed; returns their ids."""
    lost = []
    for record in instance.get_run_records(dg.RunsFilter(statuses=UNFINISHED)):
        run = record.dagster_run
        owner = run.tags.get(PROCESS_TAG)
        if owner and not is_alive(owner):
            instance.report_run_failed(run, "The process of this run was killed.")
            lost.append(run.run_id)
    return lost


def quiet_dagster() -> None:
    """Keep Dagster's and the models' chatter off the terminal; warnings of ours still come."""
    logging.getLogger("dagster").setLevel(logging.CRITICAL)
