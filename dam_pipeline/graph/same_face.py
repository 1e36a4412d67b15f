"""Edges between media that show the same person, by the vectors of their faces."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from dam_pipeline.graph.edges import EVIDENCE_KEPT, SAME_FACE, Edge
from dam_pipeline.graph.pairs import MediaPair, alike_pairs
from dam_pipeline.records import Json, Space

# Faces of less are no evidence. Of strangers' pairs, 3 in 1,000 come to dlib's floor at 32 px and 12 at
# 26 px, none in 1,000 at 40 px (photographs made smaller); a frontal face of 30 px has 0.25.
LEAST_QUALITY = 0.25


@dataclass(frozen=True, slots=True)
class Faces:
    """Faces in the order of their media: arrays of n rows, `vectors` (n, d) of length 1.

    `media` numbers into `media_ids`, ascending; times in seconds, `boxes` (n, 4) in 0–1. `quality`
    is the column of that name; without it all faces are clear enough.
    """

    media_ids: Sequence[str]
    media: np.ndarray
    time_s: np.ndarray
    start_s: np.ndarray
    end_s: np.ndarray
    boxes: np.ndarray
    vectors: np.ndarray
    quality: np.ndarray | None = None

    def clear(self) -> "Faces":
        """Those of them that are clear enough to tell people apart."""
        if self.quality is None:
            return self
        rows = self.quality >= LEAST_QUALITY
        names = ("media", "time_s", "start_s", "end_s", "boxes", "vectors", "quality")
        return replace(self, **{name: getattr(self, name)[rows] for name in names})


def same_face(faces: Faces, space: Space, new: np.ndarray | None = None) -> Iterator[Edge]:
    """One edge for each pair of media with a pair of clear faces of cosine ≥ `space.alike_floor`.

    The edge is about the two keyframes of the best match; `weight` is its cosine, `distance` in
    the evidence the Euclidean distance of the two vectors, which recognisers' papers speak of.
    `new` (bool for each of `media_ids`): only pairs with at least one of these media.
    """
    clear = faces.clear()
    for pair in alike_pairs(clear.vectors, clear.media, space.alike_floor, new):
        yield _edge(clear, pair, space)


def _edge(faces: Faces, pair: MediaPair, space: Space) -> Edge:
    matches = [_match(faces, a, b, cosine) for a, b, cosine in pair.matches[:EVIDENCE_KEPT]]
    a, b, _ = pair.matches[0]
    return Edge(
        SAME_FACE,
        faces.media_ids[pair.a],
        float(faces.start_s[a]),
        float(faces.end_s[a]),
        faces.media_ids[pair.b],
        float(faces.start_s[b]),
        float(faces.end_s[b]),
        weight=matches[0]["cosine"],
        evidence={
            "cosine": matches[0]["cosine"],
            "distance": matches[0]["distance"],
            "count": pair.count,
            "space": space.name,
            "matches": matches,
        },
    )


def _match(faces: Faces, a: int, b: int, cosine: float) -> dict[str, Json]:
    return {
        "a_time_s": float(faces.time_s[a]),
        "a_box": [round(float(side), 5) for side in faces.boxes[a]],
        "b_time_s": float(faces.time_s[b]),
        "b_box": [round(float(side), 5) for side in faces.boxes[b]],
        "cosine": round(min(cosine, 1.0), 6),
        "distance": round(float(np.linalg.norm(faces.vectors[a] - faces.vectors[b])), 6),
    }
