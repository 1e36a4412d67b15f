"""Pairs of media that may share pictures: those whose prints have words in common, then are alike.

A word is the signs of a print's lowest frequencies, or of those of its change. Looking words up is
near linear in the library; whether a pair is a pair is decided by `near_duplicate`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dam_pipeline.graph.print_vectors import (
    CROPS,
    LEAST_LENGTH,
    MIRRORED,
    VIEWS,
    WHOLE,
    Vectors,
    View,
    changes_of,
    cosines,
    lengths_of,
    vectors_of,
)

WORD_BITS = 20
SIGN_FROM = 8.0  # a frequency counts as positive from here: what is not there at all has one sign
FLIPS = 3  # weakest bits of a word that are tried both ways
FEW_WORDS = 4  # a photograph, or a film in which nothing moves, has no more to be found by
ALONE_FLIPS = 6  # weakest bits for those
COMMON_ROWS = 400  # a word in more places than this tells nobody apart
LEAST_ALIKE = 0.8  # cosine of two prints, seen through the view
ALONE_ALIKE = 0.65  # the same for those, whose window is fitted before it is believed
LEAST_SEEDS = 2  # prints in common; for those, one
CHECKED = 16  # places a pair and view in which a word in common is checked
BLOCK_ROWS = 1 << 15

Ints = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Seeds:
    """Two media; `ways`: which of them is outer, and the view of it that the inner one may be.

    Numbers into the library's media, a < b; the likeliest way comes first, crops after wholes:
    where a camera zooms, a crop at another time looks like the whole.
    """

    a: int
    b: int
    ways: tuple[tuple[int, View], ...]


def seeds(
    luma: NDArray[np.uint8], media: Ints, is_photo: NDArray[np.bool_], new: NDArray[np.bool_]
) -> list[Seeds]:
    """Pairs of different media with prints in common, in order.

    `luma` (n, 256), `media` (n,) ascending; `is_photo` and `new` by media: of the two, one is new.
    """
    index = _Index(luma, media, len(is_photo))
    alone = is_photo | (index.counts < FEW_WORDS)
    found = [
        _checked(luma, media, alone, _Found(*index.places(view, alone, new), view))
        for view in VIEWS
    ]
    ways: dict[tuple[int, int], list[tuple[bool, float, int, int]]] = {}
    for place, tallies in enumerate(found):
        for outer, inner, tally in tallies:
            pair = (min(outer, inner), max(outer, inner))
            ways.setdefault(pair, []).append((VIEWS[place] in CROPS, -tally, outer, place))
    return [
        Seeds(*pair, tuple((outer, VIEWS[place]) for *_, outer, place in sorted(ways[pair])))
        for pair in sorted(ways)
    ]


@dataclass(frozen=True, slots=True)
class _Found:
    """Places with a word in common: rows of the outer and inner media; by change, or by picture."""

    outer: Ints
    inner: Ints
    by_change: NDArray[np.bool_]
    view: View


class _Index:
    """Rows by word, for words of the pictures as they are."""

    def __init__(self, luma: NDArray[np.uint8], media: Ints, media_count: int) -> None:
        self._luma, self._media = luma, media
        parts = list(_words(luma, media, WHOLE, np.zeros(media_count, np.int64)))
        empty = np.zeros(0, np.int64)
        words = np.concatenate([empty, *(words[:, 0] for words, _ in parts)])
        rows = np.concatenate([empty, *(rows for _, rows in parts)])
        order = np.argsort(words, kind="stable")
        self._rows = rows[order]
        self._starts = np.searchsorted(words[order], np.arange((2 << WORD_BITS) + 1))
        self.counts = np.bincount(media[rows], minlength=media_count)

    def places(
        self, view: View, alone: NDArray[np.bool_], new: NDArray[np.bool_]
    ) -> tuple[Ints, Ints, NDArray[np.bool_]]:
        """Outer rows, inner rows and whether by change, for words in common through a view."""
        flips = np.where(alone, ALONE_FLIPS, FLIPS)
        outers, inners, kinds = [], [], []
        for words, rows in _words(self._luma, self._media, view, flips):
            for column in words.T:
                outer, inner, by_change = self._look_up(column, rows)
                a, b = self._media[outer], self._media[inner]
                right = (new[a] | new[b]) & ((a < b) if view in (WHOLE, MIRRORED) else (a != b))
                outers.append(outer[right])
                inners.append(inner[right])
                kinds.append(by_change[right])
        empty = np.zeros(0, np.int64)
        return (
            np.concatenate([empty, *outers]),
            np.concatenate([empty, *inners]),
            np.concatenate([empty.astype(bool), *kinds]),
        )

    def _look_up(self, words: Ints, rows: Ints) -> tuple[Ints, Ints, NDArray[np.bool_]]:
        begins, counts = self._starts[words], self._starts[words + 1] - self._starts[words]
        counts = np.where((words < 0) | (counts > COMMON_ROWS), 0, counts)
        outer = np.repeat(rows, counts)
        step = np.arange(len(outer)) - np.repeat(np.cumsum(counts) - counts, counts)
        inner = self._rows[np.repeat(begins, counts) + step]
        return outer, inner, np.repeat(words >= 1 << WORD_BITS, counts)


def _words(
    luma: NDArray[np.uint8], media: Ints, view: View, flips: Ints
) -> Iterator[tuple[Ints, Ints]]:
    """Words (k, 2 ** flips; -1 for none) and rows, block by block of whole media.

    `flips` by media. A row that has the word of the row before has none: what stands still counts
    once.
    """
    for block in _blocks(media):
        pictures = vectors_of(luma[block], view)
        owners = media[block]
        for by_change, vectors in enumerate((pictures, changes_of(pictures, owners))):
            says = lengths_of(vectors) >= LEAST_LENGTH
            whole = _signs(vectors)
            again = np.zeros(len(whole), bool)
            again[1:] = (whole[1:] == whole[:-1]) & (owners[1:] == owners[:-1]) & says[:-1]
            for count in np.unique(flips[owners]).tolist():
                chosen = np.flatnonzero(says & ~again & (flips[owners] == count))
                words = _both_ways(vectors[chosen], whole[chosen], count)
                yield words + (by_change << WORD_BITS), chosen + block.start


def _blocks(media: Ints) -> Iterator[slice]:
    """Slices of whole media, of some `BLOCK_ROWS` rows."""
    starts = np.flatnonzero(np.diff(media, prepend=-1))
    begin = 0
    for start in [*starts[1:].tolist(), len(media)]:
        if start - begin >= BLOCK_ROWS or (start == len(media) and start > begin):
            yield slice(begin, start)
            begin = start


def _signs(vectors: Vectors) -> Ints:
    powers = 1 << np.arange(WORD_BITS, dtype=np.int64)
    return np.asarray((vectors[:, :WORD_BITS] > SIGN_FROM) @ powers, np.int64)


def _both_ways(vectors: Vectors, whole: Ints, flips: int) -> Ints:
    """Each word with its weakest bits tried both ways: (n, 2 ** flips)."""
    weakest = np.argsort(np.abs(vectors[:, :WORD_BITS] - SIGN_FROM), axis=1)[:, :flips]
    words = whole[:, None]
    for place in range(flips):
        words = np.hstack([words, words ^ (1 << weakest[:, place : place + 1])])
    return words


def _checked(
    luma: NDArray[np.uint8], media: Ints, alone: NDArray[np.bool_], found: _Found
) -> list[tuple[int, int, float]]:
    """Outer media, inner media and the sum of cosines, of those with enough prints alike."""
    a, b = media[found.outer], media[found.inner]
    pairs = a * len(alone) + b
    needed = np.where(alone[a] | alone[b], 1, LEAST_SEEDS)
    pairs, chosen = _some_of_each(pairs, needed)
    alike = _alike(luma, media, found, chosen)
    good = alike >= np.where(needed[chosen] == 1, ALONE_ALIKE, LEAST_ALIKE)
    kept, starts, counts = np.unique(pairs[good], return_index=True, return_counts=True)
    if not len(kept):
        return []
    sums = np.add.reduceat(alike[good], starts)
    enough = counts >= needed[chosen][good][starts]
    outer, inner = np.divmod(kept[enough], len(alone))
    return list(zip(outer.tolist(), inner.tolist(), sums[enough].tolist(), strict=True))


def _some_of_each(pairs: Ints, needed: Ints) -> tuple[Ints, Ints]:
    """Sorted pairs and their places, at most `CHECKED` a pair spread over all, where enough are."""
    order = np.argsort(pairs, kind="stable")
    pairs = pairs[order]
    _, starts, counts = np.unique(pairs, return_index=True, return_counts=True)
    sizes = np.repeat(counts, counts)
    place = np.arange(len(pairs)) - np.repeat(starts, counts)
    spread = (place * CHECKED) // sizes != ((place - 1) * CHECKED) // sizes
    chosen = (sizes >= needed[order]) & ((sizes <= CHECKED) | spread)
    return pairs[chosen], order[chosen]


def _alike(
    luma: NDArray[np.uint8], media: Ints, found: _Found, chosen: Ints
) -> NDArray[np.float32]:
    """Cosines at the chosen places."""
    alike = np.zeros(len(chosen), np.float32)
    for start in range(0, len(chosen), BLOCK_ROWS):
        some = chosen[start : start + BLOCK_ROWS]
        moves = found.by_change[some]
        sides = []
        for rows, view in ((found.outer[some], found.view), (found.inner[some], WHOLE)):
            prints = luma[rows].astype(np.float32)
            after, before = rows[moves] + 1, rows[moves] - 1
            prints[moves] = luma[after].astype(np.float32) - luma[before]
            sides.append(vectors_of(prints, view))
        alike[start : start + BLOCK_ROWS] = cosines(*sides)
    return alike
