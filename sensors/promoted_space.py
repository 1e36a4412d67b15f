"""The sensor that has remade what stands on vectors once another embedding space is active."""

import dagster as dg

from resources.library import LibraryResource
from sensors.requests import INGEST, due, ingest_requests, keys_under_way


@dg.asset_sensor(
    asset_key=dg.AssetKey("active_space"),
    name="promoted_space",
    job_name=INGEST,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=(
        "After a promotion, starts runs for the files whose tags, scenes or search rows were made of "
        "the vectors before, and for those that the new space lacks."
    ),
)
def promoted_space(
    context: dg.SensorEvaluationContext, library: LibraryResource
) -> dg.SensorResult | dg.SkipReason:
    """Request the job `ingest` for all files that are stale, a few contiguous ranges at a time."""
    with library.open() as tools:
        busy = keys_under_way(context.instance)
        wanted = due(tools, tools.catalogue.all_media())
        media = [one for one in wanted if one.partition_key not in busy]
        requests = ingest_requests(context.instance, media, tools.settings)
    if not requests:
        return dg.SkipReason("Nothing is stale after the promotion, or a run is at it already.")
    return dg.SensorResult(run_requests=requests)
