"""Pairs of vectors of different media that are near each other, found by blocked products.

Exact: every vector is compared with every other once. Memory holds the vectors, one block's
products, and the best few matches of the strongest pairs of each media met so far.

What is said of a pair depends on the two media alone, never on how many others there are: blocks
are made of whole media, and cosines of matches are calculated again, one by one, because those of a
product differ in their last digits with its shape. So pairs found at different times fit together.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

BLOCK_ROWS = 2048  # two blocks' products take 16 MiB
MATCHES_KEPT = 64  # best matches of a pair of media that are kept
PAIRS_KEPT = 100  # a pair stays while it is among so many strongest of either media
REDUCE_ABOVE = 2_000_000  # matches held before the best are picked from them
SLACK = 1e-5  # more than a float32 product of unit vectors can be off
EXACT_AT_ONCE = 8192  # matches whose cosines are calculated again in one go: 16 MiB at 512 d
DIGITS = 6  # of a cosine


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


def alike_pairs(
    vectors: np.ndarray, media: np.ndarray, floor: float, new: np.ndarray | None = None
) -> Iterator[MediaPair]:
    """Pairs of media with vectors of cosine ≥ `floor`, in the order of the media.

    `vectors` (n, d) float32 of length 1; `media` (n,) ints, ascending: the media of each row;
    `new` (m,) bools: only pairs are looked for of which one media at least is new (None: all are).
    Where everything is alike, only the `PAIRS_KEPT` strongest pairs of each media are given.
    """
    held: list[_Found] = []
    total, limit = 0, REDUCE_ABOVE
    width = int(media.max()) + 1 if len(media) else 0
    for found in _blocks(vectors, media, floor, new):
        held.append(found)
        total += len(found.pair)
        if total > limit:
            held = [_strongest(_joined(held), width)]
            total = len(held[0].pair)
            limit = max(REDUCE_ABOVE, 2 * total)
    if held:
        yield from _media_pairs(_strongest(_joined(held), width), width)


def _blocks(
    vectors: np.ndarray, media: np.ndarray, floor: float, new: np.ndarray | None
) -> Iterator[_Found]:
    """Matches block by block, each block reduced to the best of each of its pairs of media."""
    codes = media.astype(np.int64)
    width = int(codes.max()) + 1 if len(codes) else 0
    is_new = np.ones(len(codes), bool) if new is None else np.asarray(new, bool)[codes]
    fresh = _row_blocks(np.flatnonzero(is_new), codes)
    every = fresh + _row_blocks(np.flatnonzero(~is_new), codes)
    for number, left in enumerate(fresh):
        for right in every[number:]:
            held: list[_Found] = []
            for rows, columns, cosine in _products(vectors, left, right, floor):
                a, b = np.minimum(rows, columns), np.maximum(rows, columns)
                apart = codes[a] < codes[b]
                if left is right:
                    apart &= rows < columns
                a, b, cosine = a[apart], b[apart], cosine[apart]
                ones = np.ones(len(a), np.int64)
                held.append(_Found(codes[a] * width + codes[b], a, b, cosine, ones))
                if sum(len(one.pair) for one in held) > REDUCE_ABOVE:
                    held = [_reduced(held)]
            if any(len(one.pair) for one in held):
                yield _reduced(held)


def _row_blocks(rows: np.ndarray, codes: np.ndarray) -> list[np.ndarray]:
    """Rows in blocks of whole media, of at most `BLOCK_ROWS` unless one media has more."""
    if not len(rows):
        return []
    blocks: list[np.ndarray] = []
    starts = np.flatnonzero(np.diff(codes[rows], prepend=-1))
    ends = np.append(starts[1:], len(rows))
    begin = 0
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        if end - begin > BLOCK_ROWS and start > begin:
            blocks.append(rows[begin:start])
            begin = start
    return [*blocks, rows[begin:]]


def _products(
    vectors: np.ndarray, left: np.ndarray, right: np.ndarray, floor: float
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Rows of two blocks that are near each other, and their cosines, strip by strip."""
    for start in range(0, len(left), BLOCK_ROWS):
        strip = left[start : start + BLOCK_ROWS]
        for other in range(0, len(right), BLOCK_ROWS):
            facing = right[other : other + BLOCK_ROWS]
            near = np.nonzero(vectors[strip] @ vectors[facing].T >= floor - SLACK)
            rows, columns = strip[near[0]], facing[near[1]]
            cosine = _cosines(vectors, rows, columns)
            is_alike = cosine >= floor
            yield rows[is_alike], columns[is_alike], cosine[is_alike]


def _cosines(vectors: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Cosines of pairs of rows, rounded: the same numbers whatever else is asked for with them."""
    cosine = np.empty(len(a), np.float64)
    for start in range(0, len(a), EXACT_AT_ONCE):
        piece = slice(start, start + EXACT_AT_ONCE)
        cosine[piece] = (vectors[a[piece]] * vectors[b[piece]]).sum(axis=1, dtype=np.float64)
    return np.round(np.minimum(cosine, 1.0), DIGITS)


def _joined(held: list[_Found]) -> _Found:
    """Blocks' pairs in order; a pair of media is in one block alone."""
    found = _concatenated(held)
    return _taken(found, np.argsort(found.pair, kind="stable"))


def _concatenated(held: list[_Found]) -> _Found:
    return _Found(
        *(np.concatenate([getattr(one, name) for one in held]) for name in _Found.__slots__)
    )


def _reduced(held: list[_Found]) -> _Found:
    """The best matches of each pair, best first; the first of a pair carries the count of all.

    A match stays that is the best of its row, on either side: enough to say which stretches match.
    """
    found = _concatenated(held)
    is_best = np.zeros(len(found.pair), bool)
    for row in (found.a, found.b):
        order = np.lexsort((found.b, found.a, -found.cosine, row, found.pair))
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
