"""Pairs of vectors of different media that are near each other, found by blocked products.

Exact: every vector is compared with every other once. Memory holds the vectors, one block's
products, and the best few matches of the strongest pairs of each media met so far.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

BLOCK_ROWS = 2048  # two blocks' products take 16 MiB
MATCHES_KEPT = 64  # best matches of a pair of media that are kept
PAIRS_KEPT = 100  # a pair stays while it is among so many strongest of either media
REDUCE_ABOVE = 2_000_000  # matches held before the best are picked from them


@dataclass(frozen=True, slots=True)
class MediaPair:
    """Two media with near vectors: `matches` are rows (a, b) and cosine, best first, `count` all.

    At most `MATCHES_KEPT` are there, and of these only what is the best match of a row.
    """

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
    Where everything is alike, only the `PAIRS_KEPT` strongest pairs of each media are given.
    """
    held: list[_Found] = []
    total, limit = 0, REDUCE_ABOVE
    width = int(media.max()) + 1 if len(media) else 0
    for found in _blocks(vectors, media, floor):
        held.append(found)
        total += len(found.pair)
        if total > limit:
            held = [_strongest(_reduced(held), width)]
            total = len(held[0].pair)
            limit = max(REDUCE_ABOVE, 2 * total)
    if held:
        yield from _media_pairs(_strongest(_reduced(held), width), width)


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
    """The best matches of each pair, best first; the first of a pair carries the count of all.

    A match stays that is the best of its row, on either side: enough to say which stretches match.
    """
    found = _Found(
        *(np.concatenate([getattr(one, name) for one in held]) for name in _Found.__slots__)
    )
    is_best = np.zeros(len(found.pair), bool)
    for row in (found.a, found.b):
        order = np.lexsort((-found.cosine, row, found.pair))
        is_first = np.diff(row[order], prepend=-1) != 0
        is_first |= np.diff(found.pair[order], prepend=-1) != 0
        is_best[order[is_first]] = True
    order = np.lexsort((found.b, found.a, -found.cosine, ~is_best, found.pair))
    found = _taken(found, order)
    starts = _starts(found.pair)
    found.count[:] = _on_firsts(np.add.reduceat(found.count, starts), starts, len(found.pair))
    place = np.arange(len(found.pair)) - np.repeat(starts, np.diff(starts, append=len(found.pair)))
    return _taken(found, is_best[order] & (place < MATCHES_KEPT))


def _starts(pair: np.ndarray) -> np.ndarray:
    """Where each pair begins in sorted codes."""
    return np.flatnonzero(np.diff(pair, prepend=-1))


def _on_firsts(values: np.ndarray, starts: np.ndarray, length: int) -> np.ndarray:
    """Zeros but for `values` at `starts`."""
    spread = np.zeros(length, np.int64)
    spread[starts] = values
    return spread


def _taken(found: _Found, which: np.ndarray) -> _Found:
    """The rows that an index or a mask names."""
    return _Found(*(getattr(found, name)[which] for name in _Found.__slots__))


def _strongest(found: _Found, width: int) -> _Found:
    """Without pairs that are not among the `PAIRS_KEPT` strongest of either of their media.

    Strongest with media before it and with media after it are counted apart.
    """
    starts = _starts(found.pair)
    cosine = found.cosine[starts]  # the first match of a pair is its best
    stays = np.zeros(len(starts), bool)
    for media in (found.pair[starts] // width, found.pair[starts] % width):
        order = np.lexsort((-cosine, media))
        firsts = np.flatnonzero(np.diff(media[order], prepend=-1))
        sizes = np.diff(firsts, append=len(order))
        stays[order] |= np.arange(len(order)) - np.repeat(firsts, sizes) < PAIRS_KEPT
    if stays.all():
        return found
    return _taken(found, np.repeat(stays, np.diff(starts, append=len(found.pair))))


def _media_pairs(found: _Found, width: int) -> Iterator[MediaPair]:
    starts = _starts(found.pair)
    ends = np.append(starts[1:], len(found.pair))
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        a, b = divmod(int(found.pair[start]), width)
        rows = slice(start, end)
        matches = zip(
            found.a[rows].tolist(), found.b[rows].tolist(), found.cosine[rows].tolist(), strict=True
        )
        yield MediaPair(a, b, int(found.count[start]), list(matches))
