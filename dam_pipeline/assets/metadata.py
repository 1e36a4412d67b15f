"""What a person reads on a partition in the Dagster UI, most wanted first."""

import os
from collections.abc import Mapping
from typing import Any

import dagster as dg

from dam_pipeline.assets.lineage import ORIGINAL_VERSION
from dam_pipeline.errors import SchemaMismatch, StoreUnavailable
from dam_pipeline.identity import uri_to_path
from dam_pipeline.records import Json, Media, MediaKind, Probe, StoredOutcome
from dam_pipeline.stages import STAGES
from dam_pipeline.stages.engine import Finished
from dam_pipeline.stages.work import Toolbox

OWNER = "team:dam_pipeline"

SHOWN_ROWS = 5
"""Rows of the small table; the page behind the link shows all."""

SHOWN_COLUMNS = {
    "shots": ("start_s", "end_s", "transition"),
    "keyframes": ("time_s", "start_s", "end_s", "why"),
    "face_embeddings": ("time_s", "track", "confidence"),
    "transcript": ("start_s", "end_s", "text"),
    "sentence_embeddings": ("start_s", "end_s", "text"),
    "tags": ("tag", "score", "start_s", "end_s"),
    "scenes": ("start_s", "end_s", "tags", "faces", "words"),
}
"""Stages whose first rows are shown, and the columns that say something to a person."""

COUNTED = {
    "clip_embeddings": "vectors",
    "face_embeddings": "faces",
    "transcript": "segments",
    "sentence_embeddings": "sentences",
}
"""What the rows of a stage are, where its name does not say it."""

SCORED = ("terms", "colours")
"""Results that are scores by name, told in one line."""

Metadata = dict[str, Any]


def describe(finished: Finished, tools: Toolbox) -> Metadata:
    """Picture, link, name, state, what it is, counts, place, a few rows; raw values last."""
    media, row = finished.media, finished.row
    key, address = media.partition_key, tools.settings.preview_address
    metadata: Metadata = {
        "picture": dg.MetadataValue.md(f"![{key}]({address}/poster/{key}.jpg)"),
        "page": dg.MetadataValue.url(f"{address}/media/{key}"),
        "name": media.first_name,
    }
    if row is None:
        return metadata
    metadata["state"] = row.state.value
    if row.reason:
        metadata["reason"] = row.reason
    stored = finished.stored or _stored(media, finished.stage, tools)
    if stored:
        metadata |= _result(media, stored, tools)
    metadata["seconds"] = row.seconds
    if finished.fresh:
        metadata["unchanged"] = True
    if stored and finished.stage == "probe":
        metadata["raw"] = dg.MetadataValue.json(
            {name: value for name, value in stored.result.items() if name != "raw"}
        )
    return metadata


def _stored(media: Media, stage: str, tools: Toolbox) -> StoredOutcome | None:
    try:
        return tools.derived.outcome(media.media_id, stage)
    except StoreUnavailable:
        return None  # the event must come all the same


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


def _result(media: Media, stored: StoredOutcome, tools: Toolbox) -> Metadata:
    shown: Metadata = {}
    if stored.stage == "probe":
        shown |= _probe(stored.result)
        shown["path"] = dg.MetadataValue.path(_path(media, tools))
    else:
        if stored.rows:
            shown[COUNTED.get(stored.stage, stored.stage)] = stored.rows
        shown |= {
            name: _scored(value) if name in SCORED else value
            for name, value in stored.result.items()
            if value not in ("", {})
        }
        shown |= _first_rows(media, stored, tools)
    made_by = stored.provenance
    if made_by.model:
        shown["model"] = made_by.model
        shown["weights_sha256"] = made_by.weights_sha256
    shown["code_version"] = made_by.code_version
    shown["settings_hash"] = made_by.settings_hash
    shown["original_sha256"] = made_by.original_sha256
    return shown


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
    return shown


def _path(media: Media, tools: Toolbox) -> str:
    """Where the file is, printable also where its name is not UTF-8."""
    places = tools.catalogue.locations_of([media.media_id])[media.media_id]
    if not places:
        return ""
    uri = places[0].uri
    if not uri.startswith("file://"):
        return uri
    return os.fsencode(uri_to_path(uri)).decode("utf-8", "backslashreplace")


def _first_rows(media: Media, stored: StoredOutcome, tools: Toolbox) -> Metadata:
    """The first rows as a small table; a photograph's one row at 0.0 says nothing."""
    columns = SHOWN_COLUMNS.get(stored.stage)
    if not columns or not stored.rows or media.kind is MediaKind.IMAGE:
        return {}
    try:
        table = tools.derived.table(media.media_id, stored.stage)
    except (SchemaMismatch, StoreUnavailable):
        return {}  # `dam doctor` tells of it; the event must come all the same
    rows = table.select([name for name in columns if name in table.schema.names])
    records = [
        dg.TableRecord({name: _short(value) for name, value in row.items()})
        for row in rows.slice(0, SHOWN_ROWS).to_pylist()
    ]
    title = f"first_{len(records)}" if len(records) < stored.rows else "rows"
    return {title: dg.MetadataValue.table(records)}


def _short(value: Json) -> Json:
    """Milliseconds are as fine as a person reads; a list is its words."""
    if isinstance(value, list):
        return ", ".join(str(one) for one in value)
    return round(value, 3) if isinstance(value, float) else value


def _scored(scores: Mapping[str, float]) -> str:
    """Names with their scores, as one line."""
    return ", ".join(f"{name} {score:.2f}" for name, score in scores.items())
