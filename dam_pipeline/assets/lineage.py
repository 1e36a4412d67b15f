"""What Dagster is told of originals, so that it sees what the catalogue sees."""

from collections.abc import Iterable

import dagster as dg

from dam_pipeline.catalogue.discovery import Discovery
from dam_pipeline.catalogue.watching import Watched
from dam_pipeline.event_log.batches import report_without_run
from dam_pipeline.partitions import PARTITIONS, add_keys
from dam_pipeline.records import Media

ORIGINAL_VERSION = "INITIAL"
"""Dagster's own name for the version of an external asset that was never observed."""


def tell_dagster(instance: dg.DagsterInstance, found: Discovery | Watched) -> None:
    """Bring partitions and observations to what was found.

    A superseded key is no partition any more: nobody should be asked to retry it. Content that came
    back is one again; new keys are added when their run is requested.
    """
    for media in found.superseded:
        instance.delete_dynamic_partition(PARTITIONS, media.partition_key)
    add_keys(instance, [media.partition_key for media in found.returned])
    observe_sidecars(instance, [m for m in found.new if m.sidecar_version])
    observe_sidecars(instance, found.sidecars)


def observe_sidecars(instance: dg.DagsterInstance, media: Iterable[Media]) -> None:
    """Tell Dagster of media whose sidecars appeared or changed: their `probe` becomes stale."""
    report_without_run(
        instance,
        [
            dg.AssetObservation(
                "original",
                partition=one.partition_key,
                tags={"dagster/data_version": one.sidecar_version or ORIGINAL_VERSION},
                metadata={"name": one.first_name},
            )
            for one in media
        ],
    )
