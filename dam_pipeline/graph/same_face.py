"""Edges between media that show the same person, by the vectors of their faces."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from dam_pipeline.graph.edges import EVIDENCE_KEPT, SAME_FACE, Edge
from dam_pipeline.graph.pairs import MediaPair, alike_pairs
from dam_pipeline.records import Json, Space


@dataclass(frozen=True, slots=True)
class Faces:
    """Faces in the order of their media: arrays of n rows, `vectors` (n, d) of length 1.

    `media` numbers into `media_ids`, ascending; times in seconds, `boxes` (n, 4) in 0–1.
    """

    media_ids: Sequence[str]
    media: np.ndarray
    time_s: np.ndarray
    start_s: np.ndarray
    end_s: np.ndarray
    boxes: np.ndarray
    vectors: np.ndarray


def same_face(faces: Faces, space: Space, new: np.ndarray | None = None) -> Iterator[Edge]:
    """One edge for each pair of media with a pair of faces of cosine ≥ `space.alike_floor`.

    The edge is about the two keyframes of the best match; `weight` is its cosine, `distance` in
    the evidence the Euclidean distance of the two vectors, which recognisers' papers speak of.
    `new` (bool for each of `media_ids`): only pairs with at least one of these media.
    """
    for pair in alike_pairs(faces.vectors, faces.media, space.alike_floor, new):
        yield _edge(faces, pair, space)


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
