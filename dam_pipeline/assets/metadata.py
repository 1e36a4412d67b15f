"""What a person reads on a partition in the Dagster UI, most wanted first."""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from dam_pipeline.assets.lineage import ORIGINAL_VERSION
from dam_pipeline.records import Json, MediaKind, Probe
from dam_pipeline.stages import STAGES
from dam_pipeline.stages.engine import Finished
from dam_pipeline.stages.work import Toolbox

SHOWN_ROWS = 5
"""Rows of the small table; the page behind the link shows all."""

Metadata = dict[str, Any]


def describe(finished: Finished, tools: Toolbox) -> Metadata:
    """Picture, link, what it is, counts, provenance, and raw values last."""
    key, row = finished.media.partition_key, finished.row
    address = tools.settings.preview_address
    metadata: Metadata = {
        "picture": dg.MetadataValue.md(f"![{key}]({address}/poster/{key}.jpg)"),
        "page": dg.MetadataValue.url(f"{address}/media/{key}"),
        "name": finished.media.first_name,
    }
    if row is None:
        return metadata
    metadata["state"] = row.state.value
    if row.reason:
        metadata["reason"] = row.reason
    stored = finished.stored or tools.derived.outcome(finished.media.media_id, finished.stage)
    if stored:
        if finished.stage == "probe":
            metadata |= _probe(stored.result)
        else:
            metadata |= {name: value for name, value in stored.result.items() if value != ""}
        if stored.rows:
            metadata[finished.stage if stored.rows else ""] = stored.rows
        if stored.provenance.model:
            metadata["model"] = stored.provenance.model
            metadata["weights_sha256"] = stored.provenance.weights_sha256
    metadata["seconds"] = row.seconds
    if finished.fresh:
        metadata["unchanged"] = True
    return metadata


def version_tags(finished: Finished) -> dict[str, str]:
    """The tags by which Dagster tells fresh from stale; `log_event` does not add them itself."""
    row = finished.row
    if row is None:
        return {}
    tags = {
        "dagster/code_version": row.code_version,
        "dagster/data_version": row.data_version,
        "dagster/data_version_is_user_provided": "true",
    }
    for name in inputs_in_dagster(finished.stage):
        version = row.inputs.get(name) or ORIGINAL_VERSION
        if name == "original":
            version = finished.media.sidecar_version or ORIGINAL_VERSION
        tags[f"dagster/input_data_version/{name}"] = version
    return tags


def pointer_tags(stage: str, newest_event: int) -> dict[str, str]:
    """Tags that say up to which event of the log the inputs of a result were looked at.

    Without them Dagster takes each input for a new dependency; with them, a result is stale when an
    input has a newer event of another version.
    """
    return {
        f"dagster/input_event_pointer/{name}": str(newest_event)
        for name in inputs_in_dagster(stage)
    }


def inputs_in_dagster(stage: str) -> tuple[str, ...]:
    """Names of the assets that a stage's asset depends on."""
    if stage == "probe":
        return ("original",)
    return (*STAGES[stage].inputs, *STAGES[stage].enrichments)


def _probe(result: Mapping[str, Json]) -> Metadata:
    probe = Probe.from_json(result)
    shown: Metadata = {"kind": probe.kind.value}
    if probe.kind is not MediaKind.IMAGE:
        shown["duration_s"] = probe.duration_s
    if probe.has_picture:
        shown["size"] = f"{probe.width} × {probe.height}"
    shown["codecs"] = ", ".join(probe.codecs)
    for name in ("created_at", "camera", "lens"):
        if value := getattr(probe, name):
            shown[name] = value
    shown["raw"] = dg.MetadataValue.json(
        {name: value for name, value in probe.to_json().items() if name != "raw"}
    )
    return shown
