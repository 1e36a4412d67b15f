"""The sensor that requests what is left of a file: the stages with models, or what a lost run left."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg

from dam_pipeline.catalogue.pending_work import begun
from dam_pipeline.records import Media, StageRow, State
from dam_pipeline.settings import Settings
from dam_pipeline.stages import STAGES
from dam_pipeline.stages.freshness import Verdict, stage_versions, verdicts, waits_for
from dam_pipeline.stages.queues import is_split, stages_without_models
from dam_pipeline.stages.work import Toolbox
from resources.library import LibraryResource
from sensors.requests import (
    AGAIN_EVERY_S,
    PROCESS_FILES,
    is_foreground_run_under_way,
    keys_under_way,
    process_requests,
)

INTERVAL_S = 15
SINCE = timedelta(days=1)  # what rested longer is a matter of the nightly schedule


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A file at which nobody is, the stages that may begin, and when it last came further."""

    media: Media
    stages: Sequence[str]
    last_at: str


def may_begin(rows: Mapping[str, StageRow], seen: Mapping[str, Verdict]) -> list[str]:
    """The stages that never ran and wait for nothing but each other."""
    found: list[str] = []
    for name, verdict in seen.items():
        missing = waits_for(STAGES[name], rows)
        if verdict.state is State.NEVER and (missing is None or missing in found):
            found.append(name)
    return found


@dg.sensor(
    name="unfinished_files",
    job_name=PROCESS_FILES,
    minimum_interval_seconds=INTERVAL_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "Starts runs for files that came only part of the way: with DAM_GPU_QUEUE, the stages with "
        "models once the others are done; and what a lost run has left."
    ),
)
def unfinished_files(
    context: dg.SensorEvaluationContext, library: LibraryResource
) -> dg.SensorResult | dg.SkipReason:
    """Request the stages that never ran of files that no run is about."""
    with library.open() as tools:
        found = _unfinished(tools, context.instance)
        requests = _requests(context.instance, found, tools.settings)
    return dg.SensorResult(run_requests=requests) if requests else dg.SkipReason("None.")


def _unfinished(tools: Toolbox, instance: dg.DagsterInstance) -> list[Unfinished]:
    since = (datetime.now(UTC) - SINCE).isoformat()
    ids = begun(tools.catalogue, len(STAGES), since)
    if not ids or is_foreground_run_under_way(instance):
        return []
    busy = keys_under_way(instance)
    running = tools.catalogue.states.running()
    leased = {media_id for media_id, _stage in running}
    media = tools.catalogue.media([one for one in ids if one not in leased])
    rows = tools.catalogue.states.of(list(media))
    versions = stage_versions(tools.settings)
    found = [
        Unfinished(
            one,
            may_begin(rows[one.media_id], verdicts(one, rows[one.media_id], versions, running)),
            max(row.updated_at for row in rows[one.media_id].values()),
        )
        for one in media.values()
        if one.partition_key not in busy and rows[one.media_id]
    ]
    return [one for one in found if one.stages][: tools.settings.sensor_step_files]


def _requests(
    instance: dg.DagsterInstance, found: Sequence[Unfinished], settings: Settings
) -> list[dg.RunRequest]:
    """Files that lack stages without models first, when these are runs of their own."""
    plain = set(stages_without_models()) if is_split(settings) else set()
    first = [one for one in found if plain.intersection(one.stages)]
    rest = [one for one in found if not plain.intersection(one.stages)]
    return [
        request
        for name, files, stages in (("first", first, sorted(plain)), ("rest", rest, []))
        if files
        for request in process_requests(
            instance,
            [one.media for one in files],
            settings,
            # Asked for again only when something came further, or after a while.
            run_key=f"{name}-{max(x.last_at for x in files)}-{time.time() // AGAIN_EVERY_S:.0f}",
            stages=stages,
        )
    ]
