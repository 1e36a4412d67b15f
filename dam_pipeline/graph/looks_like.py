"""Edges between media whose keyframes look alike in the active image-text space."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from dam_pipeline.graph.edges import EVIDENCE_KEPT, LOOKS_LIKE, Edge, stretches_around
from dam_pipeline.graph.pairs import MediaPair, alike_pairs
from dam_pipeline.records import Json, Space

# A picture this dark, bright or flat resembles every other such picture and proves nothing.
LEAST_EXPOSURE = 0.04  # mean luma, 0–1
MOST_EXPOSURE = 0.97
LEAST_SHARPNESS = 1.0  # variance of the Laplacian of 8-bit luma; a plain card has about 0


@dataclass(frozen=True, slots=True)
class Pictures:
    """Keyframes in the order of their media: arrays of n rows, `vectors` (n, d) of length 1.

    `media` numbers into `media_ids`, ascending; times in seconds.
    """

    media_ids: Sequence[str]
    media: np.ndarray
    time_s: np.ndarray
    start_s: np.ndarray
    end_s: np.ndarray
    sharpness: np.ndarray
    exposure: np.ndarray
    vectors: np.ndarray


def looks_like(pictures: Pictures, space: Space, new: np.ndarray | None = None) -> Iterator[Edge]:
    """One edge for each pair of media with a pair of keyframes of cosine ≥ `space.alike_floor`.

    The edge is about the stretches around the best match; `weight` is its cosine. Near-black,
    blown-out and flat keyframes are left out. `new`: a bool a media; only pairs with a new one.
    """
    told = (
        (pictures.exposure >= LEAST_EXPOSURE)
        & (pictures.exposure <= MOST_EXPOSURE)
        & (pictures.sharpness >= LEAST_SHARPNESS)
    )
    rows = np.flatnonzero(told)
    vectors, media = pictures.vectors, pictures.media
    if len(rows) < len(vectors):
        vectors, media = vectors[rows], media[rows]
    for pair in alike_pairs(vectors, media, space.alike_floor, new):
        yield _edge(pictures, rows, pair, space)


def _edge(pictures: Pictures, rows: np.ndarray, pair: MediaPair, space: Space) -> Edge:
    matches = [_match(pictures, int(rows[a]), int(rows[b]), cos) for a, b, cos in pair.matches]
    cosine = matches[0]["cosine"]
    a, b = stretches_around(
        [
            ((one["a_start_s"], one["a_end_s"]), (one["b_start_s"], one["b_end_s"]))
            for one in matches
        ]
    )
    return Edge(
        LOOKS_LIKE,
        pictures.media_ids[pair.a],
        *a,
        pictures.media_ids[pair.b],
        *b,
        weight=cosine,
        evidence={
            "cosine": cosine,
            "count": pair.count,
            "space": space.name,
            "matches": matches[:EVIDENCE_KEPT],
        },
    )


def _match(pictures: Pictures, a: int, b: int, cosine: float) -> dict[str, Json]:
    return {
        "a_time_s": float(pictures.time_s[a]),
        "a_start_s": float(pictures.start_s[a]),
        "a_end_s": float(pictures.end_s[a]),
        "b_time_s": float(pictures.time_s[b]),
        "b_start_s": float(pictures.start_s[b]),
        "b_end_s": float(pictures.end_s[b]),
        "cosine": round(min(cosine, 1.0), 6),
    }
