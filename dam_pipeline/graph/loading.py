"""Derived files of many media as one Arrow table a stage, with `media_id` and `item` in front.

Reads only; which media and which spaces count is decided by `build`.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dam_pipeline import schemas
from dam_pipeline.records import Json, Media, Space, State
from dam_pipeline.stores.derived import DerivedFiles

# Node tables that are a stage's rows as they are, by stage: table's name and schema.
NODE_STAGES: Mapping[str, tuple[str, pa.Schema]] = {
    "shots": ("shots", schemas.SHOTS),
    "keyframes": ("keyframes", schemas.KEYFRAMES),
    "transcript": ("segments", schemas.TRANSCRIPT),
    "scenes": ("scenes", schemas.SCENES),
}
_MEDIA: list[tuple[str, pa.DataType]] = [
    ("media_id", pa.string()),
    ("partition_key", pa.string()),
    ("kind", pa.string()),
    ("name", pa.string()),
    ("duration_s", pa.float64()),
    ("width", pa.int32()),
    ("height", pa.int32()),
    ("has_audio", pa.bool_()),
    ("created_at", pa.string()),
    ("camera", pa.string()),
    ("lat", pa.float64()),
    ("lon", pa.float64()),
]
MEDIA = pa.schema(_MEDIA)


class Reader:
    """Reads stages of a fixed list of media; what cannot be read is left out and noted."""

    def __init__(self, derived: DerivedFiles, media_ids: Sequence[str]) -> None:
        self._derived = derived
        self._media_ids = sorted(media_ids)
        self.warnings: list[str] = []

    def rows(
        self, stage: str, schema: pa.Schema, media_ids: Sequence[str] | None = None
    ) -> pa.Table:
        """The stage's rows of all media (or of some), in the order of media ids and items."""
        owners: list[str] = []
        tables = [schema.empty_table()]
        for media_id in self._media_ids if media_ids is None else media_ids:
            path = self._derived.folder(media_id) / f"{stage}.parquet"
            table = self._one(path, stage, schema)
            if table is not None:
                owners.append(media_id)
                tables.append(table)
        return _numbered(owners, tables)

    def embeddings(self, stage: str, schema: Callable[[int], pa.Schema], space: Space) -> pa.Table:
        """The rows of a stage of vectors, of those media alone whose vectors are of this space."""
        own = []
        for media_id in self._media_ids:
            outcome = self._derived.outcome(media_id, stage)
            if (
                outcome
                and outcome.state is State.DONE
                and outcome.result.get("space") == space.name
            ):
                own.append(media_id)
        return self.rows(stage, schema(space.dimension), own)

    def media(self, media: Sequence[Media]) -> pa.Table:
        """One row a media, with what its probe says where it has one."""
        return pa.Table.from_pylist([self._media_row(one) for one in media], MEDIA)

    def _media_row(self, media: Media) -> dict[str, Json]:
        outcome = self._derived.outcome(media.media_id, "probe")
        probe = outcome.result if outcome else {}
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

    def _one(self, path: Path, stage: str, schema: pa.Schema) -> pa.Table | None:
        """One file's rows; None without a file, or with a note when it cannot be read.

        A plain read by one thread takes 0.4 ms of a core, a data set of all files 0.7 ms each.
        """
        try:
            with pq.ParquetFile(path) as file:
                table = file.read(use_threads=False)
            return table.replace_schema_metadata(None).cast(schema)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, pa.ArrowException) as error:
            self.warnings.append(
                f"{path} cannot be read and is left out ({error}). "
                f"Run `dam retry --stage {stage} {path.parent.name}`."
            )
            return None


def vectors_of(table: pa.Table) -> np.ndarray:
    """The column `vector` as an array (n, d) float32."""
    size = table.schema.field("vector").type.list_size
    return _flat(table["vector"]).reshape(-1, size)


def boxes_of(table: pa.Table) -> np.ndarray:
    """The column `box` as an array (n, 4) float32."""
    return _flat(table["box"]).reshape(-1, 4)


def floats_of(table: pa.Table, name: str) -> np.ndarray:
    """A column of numbers as float64."""
    return np.asarray(table[name].to_numpy(), np.float64)


def _flat(column: Any) -> np.ndarray:
    parts = [np.asarray(chunk.flatten(), np.float32) for chunk in column.chunks]
    return np.concatenate(parts) if parts else np.zeros(0, np.float32)


def _numbered(media_ids: Sequence[str], tables: Sequence[pa.Table]) -> pa.Table:
    """All rows with their owners and their places in the owners' tables; the first table is empty."""
    counts = [table.num_rows for table in tables[1:]]
    owners = pa.array(np.repeat(np.array(media_ids, object), counts), pa.string())
    items = np.concatenate([np.arange(0), *(np.arange(count) for count in counts)])
    numbered = pa.concat_tables(tables).add_column(0, "item", pa.array(items, pa.int32()))
    return numbered.add_column(0, "media_id", owners)
