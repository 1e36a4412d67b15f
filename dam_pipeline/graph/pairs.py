"""Pairs of vectors of different media that are near each other, found by blocked products.

Exact: every vector is compared with every other once. Memory holds the vectors, one block's
products, and the best few matches of each pair of media met so far.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

BLOCK_ROWS = 2048  # two blocks' products take 16 MiB
MATCHES_KEPT = 8  # best matches of a pair of media that are kept as evidence
REDUCE_ABOVE = 2_000_000  # matches held before the best are picked from them


@dataclass(frozen=True, slots=True)
class MediaPair:
    """Two media with near vectors: `matches` are rows (a, b) and cosine, best first, `count` all."""

    a: int
    b: int
    count: int
    matches: list[tuple[int, int, float]]


@dataclass(frozen=True, slots=True)
class _Found:
    pair: np.ndarray  # int64: code of the two media
    a: np.ndarray
    b: np.ndarray
    cosine: np.ndarray
    count: np.ndarray  # matches that a row stands for: on the first row of each pair


def alike_pairs(vectors: np.ndarray, media: np.ndarray, floor: float) -> Iterator[MediaPair]:
    """Pairs of media with vectors of cosine ≥ `floor`, in the order of the media.

    `vectors` (n, d) float32 of length 1; `media` (n,) ints, ascending: the media of each row.
    """
    held: list[_Found] = []
    total = 0
    for found in _blocks(vectors, media, floor):
        held.append(found)
        total += len(found.pair)
        if total > REDUCE_ABOVE:
            held = [_reduced(held)]
            total = len(held[0].pair)
    if held:
        yield from _media_pairs(_reduced(held), int(media.max()) + 1)


def _blocks(vectors: np.ndarray, media: np.ndarray, floor: float) -> Iterator[_Found]:
    """Matches block by block, each block reduced to the best of each pair of media."""
    codes = media.astype(np.int64)
    width = int(codes.max()) + 1 if len(codes) else 0
    for start in range(0, len(vectors), BLOCK_ROWS):
        left = vectors[start : start + BLOCK_ROWS]
        for other in range(start, len(vectors), BLOCK_ROWS):
            cosines = left @ vectors[other : other + BLOCK_ROWS].T
            rows, columns = np.nonzero(cosines >= floor)
            a, b, cosine = rows + start, columns + other, cosines[rows, columns]
            apart = codes[a] < codes[b]
            a, b, cosine = a[apart], b[apart], cosine[apart]
            if len(a):
                ones = np.ones(len(a), np.int64)
                yield _reduced([_Found(codes[a] * width + codes[b], a, b, cosine, ones)])


def _reduced(held: list[_Found]) -> _Found:
    """The best matches of each pair; the first of a pair carries the count of all."""
    pair = np.concatenate([one.pair for one in held])
    a = np.concatenate([one.a for one in held])
    b = np.concatenate([one.b for one in held])
    cosine = np.concatenate([one.cosine for one in held])
    count = np.concatenate([one.count for one in held])
    order = np.lexsort((b, a, -cosine, pair))
    pair, a, b, cosine, count = pair[order], a[order], b[order], cosine[order], count[order]
    starts = np.flatnonzero(np.diff(pair, prepend=-1))
    sums = np.add.reduceat(count, starts)
    place = np.arange(len(pair)) - np.repeat(starts, np.diff(starts, append=len(pair)))
    count = np.zeros(len(pair), np.int64)
    count[starts] = sums
    kept = place < MATCHES_KEPT
    return _Found(pair[kept], a[kept], b[kept], cosine[kept], count[kept])


def _media_pairs(found: _Found, width: int) -> Iterator[MediaPair]:
    starts = np.flatnonzero(np.diff(found.pair, prepend=-1))
    ends = np.append(starts[1:], len(found.pair))
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        a, b = divmod(int(found.pair[start]), width)
        rows = slice(start, end)
        matches = zip(
            found.a[rows].tolist(), found.b[rows].tolist(), found.cosine[rows].tolist(), strict=True
        )
        yield MediaPair(a, b, int(found.count[start]), list(matches))
