"""The sensor of the watched sources: new, moved, changed and lost files."""

import json
import time
from datetime import UTC, datetime, timedelta

import dagster as dg

from dam_pipeline.assets.lineage import tell_dagster
from dam_pipeline.catalogue.pending_work import never_run
from dam_pipeline.catalogue.registry import Source, list_sources
from dam_pipeline.catalogue.watching import Afoot, Watched, watch
from dam_pipeline.records import Media
from dam_pipeline.settings import Settings
from dam_pipeline.stages.queues import is_split, stages_without_models
from dam_pipeline.stages.work import Toolbox
from resources.library import LibraryResource
from sensors.requests import (
    AGAIN_EVERY_S,
    INGEST,
    due,
    ingest_requests,
    is_foreground_run_under_way,
    keys_under_way,
)

UNSTARTED_AFTER_S = 300.0
"""A file registered this long ago that no run has taken up is requested again."""


def build_media_folders(
    settings: Settings, unstarted_after_s: float = UNSTARTED_AFTER_S
) -> dg.SensorDefinition:
    """The sensor that looks at the sources of this home every `sensor_interval_s`."""
    afoot = Afoot()

    @dg.sensor(
        name="media_folders",
        job_name=INGEST,
        minimum_interval_seconds=settings.sensor_interval_s,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Looks at the folders and buckets of `dam source list`, registers what is new, moved, "
            "changed or gone, and starts one run for several new files."
        ),
    )
    def media_folders(
        context: dg.SensorEvaluationContext, library: LibraryResource
    ) -> dg.SensorResult:
        with library.open() as tools:
            sources, cursor = _in_turn(list_sources(tools.settings), context.cursor)
            watched = watch(sources, tools.catalogue, tools.derived, tools.settings, afoot)
            _tell(context, watched)
            requests = _requests(context.instance, tools, watched, unstarted_after_s)
        if requests:
            return dg.SensorResult(run_requests=requests, cursor=cursor)
        return dg.SensorResult(skip_reason=_why_nothing(sources, watched), cursor=cursor)

    return media_folders


def unstarted(
    tools: Toolbox, instance: dg.DagsterInstance, older_than_s: float = UNSTARTED_AFTER_S
) -> list[Media]:
    """Registered media that no run has taken up: without state, lease, or run that will come.

    While a command such as `dam ingest` works through its list in the foreground, none are.
    """
    before = (datetime.now(UTC) - timedelta(seconds=older_than_s)).isoformat()
    keys = never_run(tools.catalogue, before)
    if not keys or is_foreground_run_under_way(instance):
        return []
    busy = keys_under_way(instance)
    leased = {media_id for media_id, _stage in tools.catalogue.states.running()}
    ids = [one for one, key in keys.items() if key not in busy and one not in leased]
    ids = ids[: tools.settings.sensor_step_files]
    media = tools.catalogue.media(ids)
    return [media[media_id] for media_id in ids]


def _requests(
    instance: dg.DagsterInstance, tools: Toolbox, watched: Watched, unstarted_after_s: float
) -> list[dg.RunRequest]:
    if watched.superseded or watched.returned or watched.new or watched.sidecars:
        tell_dagster(instance, watched)
    fresh = {m.media_id: m for m in watched.new}
    known = [*watched.sidecars, *watched.returned]
    wanted = fresh | {m.media_id: m for m in due(tools, known)}
    first = stages_without_models() if is_split(tools.settings) else ()
    asked_for = list(wanted.values())
    # Without files this would still read all partition keys.
    requests = ingest_requests(instance, asked_for, tools.settings, stages=first) if wanted else []
    left_over = [
        m for m in unstarted(tools, instance, unstarted_after_s) if m.media_id not in wanted
    ]
    if not left_over:
        return requests
    bucket = f"again-{int(time.time() // AGAIN_EVERY_S)}"
    return requests + ingest_requests(instance, left_over, tools.settings, bucket, first)


def _in_turn(sources: list[Source], cursor: str | None) -> tuple[list[Source], str]:
    """The sources with another one first than at the last tick, and the cursor for the next.

    One that takes all of a tick's time must not starve the others.
    """
    names = sorted(source.name for source in sources)
    last = _last_first(cursor)
    first = next((name for name in names if name > last), names[0] if names else "")
    ordered = sorted(sources, key=lambda source: (source.name < first, source.name))
    return ordered, json.dumps({"version": 1, "first": first})


def _last_first(cursor: str | None) -> str:
    try:
        return str(json.loads(cursor or "{}").get("first", ""))
    except (ValueError, AttributeError):
        return ""


def _tell(context: dg.SensorEvaluationContext, watched: Watched) -> None:
    for refusal in watched.refusals:
        context.log.warning(refusal)
    for note in watched.notes:
        context.log.info(note)


def _why_nothing(sources: list[Source], watched: Watched) -> str:
    if not sources:
        return "No source is watched. Add one: `dam source add FOLDER` (or s3://…)."
    if watched.refusals:
        return " ".join(watched.refusals)
    words = [f"{watched.files} files in {len(sources)} sources, none new"]
    if watched.waiting:
        words.append(f"{watched.waiting} still settling or being read")
    if watched.unread:
        words.append(f"{watched.unread} left for the next look")
    return "; ".join([*words, *watched.notes])
