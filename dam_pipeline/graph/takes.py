"""The library's files as takes: what `continues` needs of each, from probes, keyframes and vectors."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import pyarrow as pa

from dam_pipeline import schemas
from dam_pipeline.graph.continues import continues, take_of
from dam_pipeline.graph.edges import Edge
from dam_pipeline.graph.kinds import CLIP_STAGE
from dam_pipeline.graph.loading import Library, floats_of, vectors_of
from dam_pipeline.records import MediaKind, Space
from dam_pipeline.stores.segment_files import Rows

_SPAN = pa.schema([field for field in schemas.KEYFRAMES if field.name in ("start_s", "end_s")])


def found_continues(library: Library, space: Space | None) -> Iterator[Edge]:
    """The edges `continues` of the whole library."""
    probes, spans = library.stage("probe"), _end_spans(library)
    takes = []
    for one in library.media:
        is_photo = one.kind is MediaKind.IMAGE
        take = take_of(one.media_id, one.first_name, is_photo, probes.result(one.media_id))
        first, last = spans.get(one.media_id, (take.first, take.last))
        takes.append(replace(take, first=first, last=last))
    return continues(takes, _Ends(library, space).vectors, space)


class _Ends:
    """Looks up the vectors at both ends of takes."""

    def __init__(self, library: Library, space: Space | None) -> None:
        schema = schemas.clip_embeddings(space.dimension if space else 1)
        told = library.versions(CLIP_STAGE, schema, space) if space else {}
        rows = library.rows(CLIP_STAGE, schema, told)
        vectors = vectors_of(rows.table)
        firsts, lasts = _end_rows(rows)
        self._places = {media_id: at for at, media_id in enumerate(rows.media_ids)}
        self._firsts, self._lasts = vectors[firsts], vectors[lasts]

    def vectors(self, media_id: str) -> tuple[np.ndarray, np.ndarray] | None:
        """The vectors of the first and the last keyframe, or None without any."""
        at = self._places.get(media_id)
        return None if at is None else (self._firsts[at], self._lasts[at])


Span = tuple[float, float]


def _end_spans(library: Library) -> Mapping[str, tuple[Span, Span]]:
    """The spans of the first and the last keyframe by media."""
    rows = library.rows("keyframes", _SPAN, library.versions("keyframes", _SPAN))
    start_s, end_s = floats_of(rows.table, "start_s"), floats_of(rows.table, "end_s")
    firsts, lasts = _end_rows(rows)
    return {
        media_id: ((float(start_s[a]), float(end_s[a])), (float(start_s[b]), float(end_s[b])))
        for media_id, a, b in zip(rows.media_ids, firsts.tolist(), lasts.tolist(), strict=True)
    }


def _end_rows(rows: Rows) -> tuple[np.ndarray, np.ndarray]:
    """The first and the last row of each media."""
    places = np.arange(len(rows.media_ids))
    return np.searchsorted(rows.media, places), np.searchsorted(rows.media, places, "right") - 1
