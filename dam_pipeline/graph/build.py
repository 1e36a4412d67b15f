"""Builds the library's graph from derived files: node tables, edges of every kind, one DuckDB file.

How each kind of edge is found is in a file of its own; how files are versioned is in `versions`.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from dam_pipeline import __version__, models, schemas
from dam_pipeline.catalogue.catalogue import Catalogue, now_iso
from dam_pipeline.graph import looks_like, same_face, same_words
from dam_pipeline.graph.database import (
    media_with_edges,
    opened,
    write_edges,
    write_meta,
    write_table,
)
from dam_pipeline.graph.edges import LOOKS_LIKE, SAME_FACE, SAME_WORDS, Edge
from dam_pipeline.graph.loading import NODE_STAGES, Reader, boxes_of, floats_of, vectors_of
from dam_pipeline.graph.pairs import PAIRS_KEPT
from dam_pipeline.graph.versions import graph_path, new_version
from dam_pipeline.records import Json, Media, Space
from dam_pipeline.settings import Settings
from dam_pipeline.stores.derived import DerivedFiles

CLIP_STAGE = "clip_embeddings"
FACE_STAGE = "face_embeddings"

Spaces = Mapping[str, Space | None]
Progress = Callable[[str, float], None]


@dataclass(frozen=True, slots=True)
class GraphReport:
    """What was built: counts of nodes and edges by kind, the file, and what was left out and why."""

    nodes: Mapping[str, int]
    edges: Mapping[str, int]
    seconds: float
    path: Path
    warnings: tuple[str, ...] = ()


def build_graph(
    settings: Settings,
    catalogue: Catalogue,
    derived: DerivedFiles,
    run_id: str,
    spaces: Spaces | None = None,
    on_progress: Progress = lambda _part, _share: None,
) -> GraphReport:
    """Build the graph of all media that are not superseded and make it the current one.

    `spaces` are the active ones by kind (`image_text`, `face`), by default those of the settings;
    a kind without a space has no edges of its own, with a warning. `on_progress` hears the part
    and the share (0–1) that is done. Raises StoreUnavailable, DiskFull; until the end, and after
    any error, readers see the graph before.
    """
    began = time.monotonic()
    if spaces is None:
        spaces = models.spaces(settings)
    media = catalogue.all_media()
    reader = Reader(derived, [one.media_id for one in media])
    with new_version(settings.home) as path, opened(path, writable=True) as connection:
        builder = _Builder(connection, reader, spaces, on_progress)
        builder.write_nodes(media)
        builder.write_edges()
        seconds = time.monotonic() - began
        write_meta(connection, _meta(run_id, spaces, seconds))
        connection.execute("CHECKPOINT")
    on_progress("done", 1.0)
    return GraphReport(
        nodes=builder.nodes,
        edges=builder.edges,
        seconds=time.monotonic() - began,
        path=graph_path(settings.home),
        warnings=tuple(reader.warnings),
    )


class _Builder:
    """The parts of one build, in order, with their counts."""

    def __init__(
        self, connection: Any, reader: Reader, spaces: Spaces, on_progress: Progress
    ) -> None:
        self.nodes: dict[str, int] = {}
        self.edges: dict[str, int] = {}
        self._connection = connection
        self._reader = reader
        self._spaces = spaces
        self._progress = on_progress
        self._tables: dict[str, pa.Table] = {}

    def write_nodes(self, media: list[Media]) -> None:
        self._progress("nodes", 0.0)
        self.nodes["media"] = write_table(self._connection, "media", self._reader.media(media))
        for stage, (name, schema) in NODE_STAGES.items():
            self._tables[stage] = self._reader.rows(stage, schema)
            self.nodes[name] = write_table(self._connection, name, self._tables[stage])
        space = self._spaces.get("face")
        form = schemas.face_embeddings
        faces = (
            self._reader.embeddings(FACE_STAGE, form, space)
            if space
            else self._reader.rows(FACE_STAGE, form(1), [])
        )
        self._tables[FACE_STAGE] = faces
        shown = faces.drop_columns(["vector", "landmarks"])
        self.nodes["faces"] = write_table(self._connection, "faces", shown)

    def write_edges(self) -> None:
        found = {
            LOOKS_LIKE: self._looks_like(),
            SAME_FACE: self._same_face(),
            SAME_WORDS: same_words.same_words(_transcripts(self._tables["transcript"])),
        }
        for number, (kind, edges) in enumerate(found.items()):
            self._progress(kind, 0.2 + 0.25 * number)
            self.edges[kind] = write_edges(self._connection, edges)
            crowded = media_with_edges(self._connection, kind, PAIRS_KEPT)
            if crowded and kind != SAME_WORDS:
                self._reader.warnings.append(
                    f"{crowded} files have so many {kind} relations that only the {PAIRS_KEPT} "
                    "strongest of each were sure to be kept."
                )

    def _looks_like(self) -> Iterator[Edge]:
        space = self._space("image_text", LOOKS_LIKE)
        if space:
            rows = self._reader.embeddings(CLIP_STAGE, schemas.clip_embeddings, space)
            yield from looks_like.looks_like(_pictures(rows, self._tables["keyframes"]), space)

    def _same_face(self) -> Iterator[Edge]:
        space = self._space("face", SAME_FACE)
        if space:
            yield from same_face.same_face(_faces(self._tables[FACE_STAGE]), space)

    def _space(self, kind: str, edges: str) -> Space | None:
        space = self._spaces.get(kind)
        if space is None:
            self._reader.warnings.append(
                f"No {edges} edges: the weights of the {kind} model are missing. "
                "`dam models list` says how to get them."
            )
        return space


def _meta(run_id: str, spaces: Spaces, seconds: float) -> dict[str, Json]:
    return {
        "dam_pipeline": __version__,
        "run_id": run_id,
        "built_at": now_iso(),
        "seconds": round(seconds, 3),
        "spaces": {kind: asdict(space) if space else None for kind, space in spaces.items()},
        "thresholds": {
            "least_exposure": looks_like.LEAST_EXPOSURE,
            "most_exposure": looks_like.MOST_EXPOSURE,
            "least_sharpness": looks_like.LEAST_SHARPNESS,
            "pairs_kept": PAIRS_KEPT,
            "shingle_words": same_words.SHINGLE_WORDS,
            "most_media": same_words.MOST_MEDIA,
            "least_shared": same_words.LEAST_SHARED,
        },
    }


def _pictures(rows: pa.Table, keyframes: pa.Table) -> looks_like.Pictures:
    """Vectors with what their keyframes' rows say of light; a vector without its keyframe is out."""
    names = ("media_id", "item", "sharpness", "exposure")
    places = zip(keyframes["media_id"].to_pylist(), keyframes["item"].to_pylist(), strict=True)
    at = {place: number for number, place in enumerate(places)}
    wanted = zip(rows["media_id"].to_pylist(), rows["keyframe"].to_pylist(), strict=True)
    found = np.array([at.get(place, -1) for place in wanted], np.int64)
    rows = rows.filter(pa.array(found >= 0))
    light = keyframes.select(names).take(found[found >= 0])
    media_ids, media = _numbered(rows)
    return looks_like.Pictures(
        media_ids,
        media,
        floats_of(rows, "time_s"),
        floats_of(rows, "start_s"),
        floats_of(rows, "end_s"),
        floats_of(light, "sharpness"),
        floats_of(light, "exposure"),
        vectors_of(rows),
    )


def _faces(rows: pa.Table) -> same_face.Faces:
    media_ids, media = _numbered(rows)
    return same_face.Faces(
        media_ids,
        media,
        floats_of(rows, "time_s"),
        floats_of(rows, "start_s"),
        floats_of(rows, "end_s"),
        boxes_of(rows),
        vectors_of(rows),
    )


def _numbered(rows: pa.Table) -> tuple[list[str], np.ndarray]:
    """Media ids in order, and for each row the number of its media among them."""
    ids, numbers = np.unique(np.array(rows["media_id"].to_pylist(), str), return_inverse=True)
    return [str(one) for one in ids], numbers


def _transcripts(rows: pa.Table) -> list[tuple[str, list[same_words.SpokenWord]]]:
    found: dict[str, list[Json]] = {}
    for row in rows.select(["media_id", "start_s", "end_s", "text", "words"]).to_pylist():
        found.setdefault(row["media_id"], []).append(row)
    return [(media_id, same_words.spoken_words(found[media_id])) for media_id in sorted(found)]
