"""Derived rows of all media of the library, from segments: what the graph is made of.

Reads only; what is made of the rows is decided by `kinds` and `build`.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from dam_pipeline.catalogue.catalogue import Catalogue
from dam_pipeline.graph.tables import MEDIA
from dam_pipeline.records import Json, Media, Space
from dam_pipeline.stores.derived import DerivedFiles
from dam_pipeline.stores.segment_files import Rows, StageSegments
from dam_pipeline.stores.segments import SegmentedFiles, Segments


class Library:
    """The derived rows of a fixed list of media, brought up to date stage by stage when asked for."""

    def __init__(
        self,
        catalogue: Catalogue,
        derived: DerivedFiles,
        media: Sequence[Media],
        stages: Iterable[str],
    ) -> None:
        self.media = media
        self._catalogue = catalogue
        self._derived = derived
        self._segments = Segments(derived)
        self._stamps = catalogue.states.stamps(list(stages))
        self._opened: dict[str, StageSegments] = {}
        self.warnings = self._segments.warnings

    def stage(self, stage: str) -> StageSegments:
        """A stage of all media, as it is now."""
        if stage not in self._opened:
            known = self._stamps[stage]
            stamps = {one.media_id: known.get(one.media_id, "") for one in self.media}
            self._opened[stage] = self._segments.refresh(stage, stamps)
        return self._opened[stage]

    def versions(self, stage: str, schema: pa.Schema, space: Space | None = None) -> dict[str, str]:
        """Data versions of the media that have rows of this form, in this space where one is given."""
        found = self.stage(stage)
        entries = {one: found.entries[one] for one in found.media_with(schema)}
        return {
            one: entry.data_version
            for one, entry in entries.items()
            if space is None or entry.space == space.name
        }

    def rows(self, stage: str, schema: pa.Schema, media_ids: Iterable[str]) -> Rows:
        """The rows of a stage of some of the media in `versions`."""
        return self.stage(stage).rows(schema, media_ids)

    def files(self, *stages: str) -> DerivedFiles:
        """Derived files of which these stages are read from segments."""
        return SegmentedFiles(self._derived, {stage: self.stage(stage) for stage in stages})

    def by_age(self, media_ids: Collection[str]) -> list[str]:
        """These media in the order in which they came: first seen anywhere, then their keys."""
        places = self._catalogue.locations_of(sorted(media_ids))
        seen = {
            one: min((p.first_seen for p in found), default="") for one, found in places.items()
        }
        media = [one for one in self.media if one.media_id in seen]
        media.sort(key=lambda one: (seen[one.media_id], one.partition_key))
        return [one.media_id for one in media]

    def media_rows(self) -> pa.Table:
        """One row a media, with what its probe says where it has one."""
        return pa.Table.from_pylist([self._media_row(one) for one in self.media], MEDIA)

    def _media_row(self, media: Media) -> dict[str, Json]:
        probe = self.stage("probe").result(media.media_id)
        gps = probe.get("gps") or {}
        names = ("duration_s", "width", "height", "has_audio", "created_at", "camera")
        return {
            "media_id": media.media_id,
            "partition_key": media.partition_key,
            "kind": media.kind.value,
            "name": media.first_name,
            **{name: probe.get(name) for name in names},
            "lat": gps.get("lat"),
            "lon": gps.get("lon"),
        }


def vectors_of(table: pa.Table) -> np.ndarray:
    """The column `vector` as an array (n, d) float32."""
    size = table.schema.field("vector").type.list_size
    return _flat(table["vector"]).reshape(-1, size)


def boxes_of(table: pa.Table) -> np.ndarray:
    """The column `box` as an array (n, 4) float32."""
    return _flat(table["box"]).reshape(-1, 4)


def bytes_of(table: pa.Table, name: str) -> np.ndarray:
    """A column of binary values of one length as an array (n, length) uint8."""
    width = table.schema.field(name).type.byte_width
    chunks: list[Any] = table[name].chunks
    parts = [
        np.frombuffer(chunk.buffers()[1], np.uint8, len(chunk) * width, chunk.offset * width)
        for chunk in chunks
        if len(chunk)
    ]
    flat = np.concatenate(parts) if len(parts) > 1 else parts[0] if parts else np.zeros(0, np.uint8)
    return flat.reshape(-1, width)


def floats_of(table: pa.Table, name: str) -> np.ndarray:
    """A column of numbers as float64."""
    return np.asarray(table[name].to_numpy(), np.float64)


def _flat(column: Any) -> np.ndarray:
    parts = [np.asarray(chunk.flatten(), np.float32) for chunk in column.chunks if len(chunk)]
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)
