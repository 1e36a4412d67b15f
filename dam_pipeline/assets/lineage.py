"""What Dagster is told of originals, so that it sees what the catalogue sees."""

from collections.abc import Iterable

import dagster as dg

from dam_pipeline.records import Media

ORIGINAL_VERSION = "INITIAL"
"""Dagster's own name for the version of an external asset that was never observed."""


def observe_sidecars(instance: dg.DagsterInstance, media: Iterable[Media]) -> None:
    """Tell Dagster of media whose sidecars appeared or changed: their `probe` becomes stale."""
    for one in media:
        instance.report_runless_asset_event(
            dg.AssetObservation(
                "original",
                partition=one.partition_key,
                tags={"dagster/data_version": one.sidecar_version or ORIGINAL_VERSION},
                metadata={"name": one.first_name},
            )
        )
