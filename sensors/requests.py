"""From media to run requests: partitions first, then one run a contiguous range of keys."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import dagster as dg
from dagster._core.storage.tags import AUTO_RETRY_RUN_ID_TAG, WILL_RETRY_TAG
from dagster._utils.schedules import is_valid_cron_schedule

from dam_pipeline.errors import ConfigurationError
from dam_pipeline.ops.process_files import keys_of, run_config
from dam_pipeline.partitions import (
    ONE_KEY,
    RANGE_START,
    add_keys,
    batches,
    keys_in_runs,
    range_tags,
    run_ranges,
)
from dam_pipeline.records import Media
from dam_pipeline.run_tags import JOB_TAG, PROCESS_TAG, REPEATED_WITHIN_S
from dam_pipeline.settings import Settings
from dam_pipeline.stages.freshness import due_stages, stage_versions, verdicts
from dam_pipeline.stages.queues import queue_tags
from dam_pipeline.stages.work import Toolbox

INGEST = "ingest"
GRAPH = "graph"
PROCESS_FILES = "process_files"
UNDER_WAY = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
AGAIN_EVERY_S = 900
"""The same files are requested again without anything new about them once in this time."""

CALLED_OFF_FOR = timedelta(days=1)  # what a person cancelled is not asked for again before


def checked_cron(cron: str, setting: str) -> str:
    """A time as cron, or empty for never; raises ConfigurationError that names the setting otherwise."""
    if cron and not is_valid_cron_schedule(cron):
        raise ConfigurationError(
            f"{setting} is {cron!r}, which is no time as cron. Write it like `0 1 * * *`: minute, "
            "hour, day of the month, month, day of the week."
        )
    return cron


def ingest_requests(
    instance: dg.DagsterInstance,
    media: Sequence[Media],
    settings: Settings,
    key_suffix: str = "",
    stages: Sequence[str] = (),
) -> list[dg.RunRequest]:
    """Run requests for the job `ingest`; media that are no partitions yet become partitions.

    Only of these `stages`; none: all. Ranges follow the order of the keys as it is after they were
    added, so that no run takes in keys of another writer. With `key_suffix`, the same range is
    requested once only under that suffix.
    """
    sizes = {one.partition_key: one.size_bytes for one in media}
    all_keys = add_keys(instance, list(sizes))
    return [
        dg.RunRequest(
            run_key=f"{keys[0]}..{keys[-1]}@{key_suffix}" if key_suffix else None,
            job_name=INGEST,
            asset_selection=[dg.AssetKey(name) for name in stages] or None,
            tags={**range_tags(keys), JOB_TAG: INGEST, **queue_tags(settings, stages)},
        )
        for keys in run_ranges(all_keys, sizes, settings.batch_files, settings.batch_mb)
    ]


def process_requests(
    instance: dg.DagsterInstance,
    media: Sequence[Media],
    settings: Settings,
    until_s: float = 0.0,
    left_alone: Mapping[str, str] | None = None,
    run_key: str = "",
    stages: Sequence[str] = (),
    tags: Mapping[str, str] | None = None,
) -> list[dg.RunRequest]:
    """Run requests for the job `process_files`, in the order of the media, however scattered.

    Media that are no partitions yet become partitions. The first run is told what is left alone.
    """
    sizes = {one.partition_key: one.size_bytes for one in media}
    add_keys(instance, list(sizes))
    found = batches(list(sizes), sizes, settings.batch_files, settings.batch_mb)
    return [
        dg.RunRequest(
            run_key=f"{run_key}-{number}" if run_key else None,
            job_name=PROCESS_FILES,
            run_config=run_config(keys, stages, until_s, {} if number else left_alone),
            tags={**(tags or {}), JOB_TAG: PROCESS_FILES, **queue_tags(settings, stages)},
        )
        for number, keys in enumerate(found)
    ]


def keys_under_way(instance: dg.DagsterInstance) -> set[str]:
    """Keys that some run has or will have, and those whose run a person has just called off.

    A run that failed has them for a while still, if Dagster has announced that it repeats it.
    """
    since = datetime.now(UTC) - CALLED_OFF_FOR
    filters = (
        dg.RunsFilter(statuses=UNDER_WAY),
        dg.RunsFilter(statuses=[dg.DagsterRunStatus.CANCELED], created_after=since),
        dg.RunsFilter(
            statuses=[dg.DagsterRunStatus.FAILURE],
            tags={WILL_RETRY_TAG: "true"},
            updated_after=datetime.now(UTC) - timedelta(seconds=REPEATED_WITHIN_S),
        ),
    )
    records = (record for f in filters for record in instance.get_run_records(f))
    runs = [x.dagster_run for x in records if AUTO_RETRY_RUN_ID_TAG not in x.dagster_run.tags]
    found = {key for run in runs for key in keys_of(run)}
    ranged = [run.tags for run in runs if RANGE_START in run.tags or ONE_KEY in run.tags]
    return found | (keys_in_runs(add_keys(instance, []), ranged) if ranged else set())


def is_ingest_under_way(instance: dg.DagsterInstance) -> bool:
    """Whether any run over media files is queued or running, whatever started it."""
    runs = (
        record.dagster_run for record in instance.get_run_records(dg.RunsFilter(statuses=UNDER_WAY))
    )
    return any(
        RANGE_START in run.tags or ONE_KEY in run.tags or run.job_name == PROCESS_FILES
        for run in runs
    )


def is_foreground_run_under_way(instance: dg.DagsterInstance) -> bool:
    """Whether a command works through a list of its own, of which the later runs do not exist yet."""
    runs = (
        record.dagster_run for record in instance.get_run_records(dg.RunsFilter(statuses=UNDER_WAY))
    )
    return any(PROCESS_TAG in run.tags for run in runs)


def due(tools: Toolbox, media: Sequence[Media]) -> list[Media]:
    """Those of the media that a run would bring further (see `freshness.due_stages`)."""
    if not media:
        return []
    rows = tools.catalogue.states.of([one.media_id for one in media])
    versions = stage_versions(tools.settings)
    running = tools.catalogue.states.running()
    return [
        one
        for one in media
        if due_stages(
            rows[one.media_id],
            verdicts(one, rows[one.media_id], versions, running),
            tools.settings.max_attempts,
        )
    ]
