"""The sensor that has remade what stands on vectors once another embedding space is active."""

import dagster as dg

from resources.library import LibraryResource
from sensors.requests import INGEST, due, ingest_requests, keys_under_way

INTERVAL_S = 30


@dg.sensor(
    name="promoted_space",
    job_name=INGEST,
    minimum_interval_seconds=INTERVAL_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "After a promotion or a rollback, starts runs for the files whose tags, scenes or search rows "
        "were made of the vectors before, and for those that the active space lacks."
    ),
)
def promoted_space(
    context: dg.SensorEvaluationContext, library: LibraryResource
) -> dg.SensorResult | dg.SkipReason:
    """Request the job `ingest` for all files that are stale, a few contiguous ranges at a time.

    Files whose run is under way may still be written in the space before: they are looked at again
    until none is, and only then the switch counts as dealt with.
    """
    with library.open() as tools:
        switched_at = max((one.switched_at for one in tools.catalogue.spaces.all()), default="")
        if switched_at <= (context.cursor or ""):
            return dg.SkipReason("No other space was made active since the last look.")
        busy = keys_under_way(context.instance)
        wanted = due(tools, tools.catalogue.all_media())
        media = [one for one in wanted if one.partition_key not in busy]
        requests = ingest_requests(context.instance, media, tools.settings, switched_at)
    is_dealt_with = len(media) == len(wanted)
    return dg.SensorResult(
        run_requests=requests, cursor=switched_at if is_dealt_with else context.cursor
    )
