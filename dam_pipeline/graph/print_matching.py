"""Where two media show the same pictures: stretches in time, through a window of the picture.

Looks at two media alone; whether a stretch is evidence is decided in `print_evidence`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dam_pipeline.graph.print_evidence import LEAST_DETAIL, LEAST_PRINTS, Judgement
from dam_pipeline.graph.print_vectors import (
    LEAST_LENGTH,
    Vectors,
    View,
    changes_of,
    cosines,
    fitted,
    lengths_of,
    vectors_of,
)

CELLS_AT_ONCE = 2_000_000  # of the table of all prints by all prints
MOST_STRETCHES = 4  # of one pair of media
FITS_WELL = 0.97  # median likeness at which a window is left as it is
WORTH_FITTING = 0.8  # likeness of stills that a better window may still raise to enough
LEAST_SCORE = 0.2  # of a print, for the shortest run along a diagonal
LEAST_CHROMA = 1.5  # mean distance from grey: less is no colour
CHROMA_APART = 16.0  # mean difference of colour, of 255
TO_THE_END_S = 0.8  # a stretch that comes so near to an end of its media reaches it
PHOTO_ALIKE = 0.93
SHOWN_ALIKE = 0.96  # a photograph and the film that shows it
HOP_PHASES = np.arange(-4, 5) / 8  # parts of a print by which two rows of prints may be apart


@dataclass(frozen=True, slots=True)
class Side:
    """The prints of one media, in order; arrays as in `near_duplicate.Prints`."""

    is_photo: bool
    start_s: NDArray[np.float64]
    end_s: NDArray[np.float64]
    luma: NDArray[np.uint8]
    chroma: NDArray[np.uint8]
    detail: NDArray[np.float32]

    @property
    def length_s(self) -> float:
        """From the first picture to the end of the last."""
        return float(self.end_s[-1] - self.start_s[0])


@dataclass(frozen=True, slots=True)
class Match:
    """The same pictures in two media: inner time = outer time + `offset_s`."""

    outer: tuple[float, float]
    inner: tuple[float, float]
    offset_s: float
    prints: int
    quality: float


def matches(outer: Side, inner: Side, view: View) -> list[Match]:
    """Stretches that two media share, the longest first; `inner` is about the `view` of `outer`."""
    if outer.is_photo or inner.is_photo:
        return _still_matches(outer, inner, view)
    found = _Pair(outer, inner, view).stretches()
    return sorted(found, key=lambda one: (one.outer[0] - one.outer[1], one.outer))


def _still_matches(outer: Side, inner: Side, view: View) -> list[Match]:
    """A photograph and its copy, or the stretch of a film that shows it."""
    rows = vectors_of(outer.luma, view), vectors_of(inner.luma)
    table = _table(*rows)
    i, j = (int(at) for at in np.unravel_index(np.argmax(table), table.shape))
    if table[i, j] < WORTH_FITTING:
        return []
    if table[i, j] < FITS_WELL:
        view = fitted(outer.luma[i : i + 1], inner.luma[j : j + 1], view)
        table = _table(vectors_of(outer.luma, view), rows[1])
    both = outer.is_photo and inner.is_photo
    least = PHOTO_ALIKE if both else SHOWN_ALIKE
    detail = min(float(outer.detail[i]), float(inner.detail[j]))
    if table[i, j] < least or (not both and detail < LEAST_DETAIL):
        return []
    if _chroma_apart(outer.chroma[i : i + 1], inner.chroma[j : j + 1], view) > CHROMA_APART:
        return []
    line = table[:, 0] if inner.is_photo else table[0]
    low = high = i if inner.is_photo else j
    while low > 0 and line[low - 1] >= PHOTO_ALIKE:
        low -= 1
    while high + 1 < len(line) and line[high + 1] >= PHOTO_ALIKE:
        high += 1
    film = outer if inner.is_photo else inner
    span = float(film.start_s[low]), float(film.end_s[high])
    still = 0.0, 0.0
    spans = (span, still) if inner.is_photo else (still, span)
    return [Match(*spans, 0.0, high - low + 1, float(line[low : high + 1].mean()))]


class _Pair:
    """Two films under comparison."""

    def __init__(self, outer: Side, inner: Side, view: View) -> None:
        self.outer, self.inner = outer, inner
        self._luma = inner.luma.astype(np.float32)
        self._see(view)

    def _see(self, view: View) -> None:
        self.view = view
        self._pictures = vectors_of(self.outer.luma, view)
        self._moves = _changes(self._pictures)

    def stretches(self) -> Iterator[Match]:
        """Stretches found one after the other, each print of `outer` in one at most."""
        rows = max(64, CELLS_AT_ONCE // len(self._luma))
        least = min(LEAST_PRINTS, len(self._pictures), len(self._luma))
        is_fitted = False
        for begin in range(0, len(self._pictures), rows):
            piece = slice(begin, begin + rows)
            tables = self._tables(piece)
            for _ in range(MOST_STRETCHES):
                run = _best_run(tables, least)
                if run is None:
                    break
                if not is_fitted:
                    is_fitted = True
                    if self._fit(begin + run[0], *run[1:]):
                        tables = self._tables(piece)
                        run = _best_run(tables, least) or run
                first, length, at = run
                for table in tables.values():
                    table[first : first + length] = -1.0
                if match := self._judged(begin + first, length, at):
                    yield match

    def _tables(self, piece: slice) -> dict[float, NDArray[np.float32]]:
        """Scores of the prints of outer with those of inner, and with those between them."""
        mine = self._pictures[piece], self._moves[piece]
        tables = {}
        for phase in (0.0, 0.5):
            inner = self._inner_vectors(np.arange(len(self._luma)) + phase)
            tables[phase] = _scores(mine, (inner, _changes(inner)))
        return tables

    def _inner_vectors(self, places: NDArray[Any]) -> Vectors:
        return vectors_of(_between(self._luma, places))

    def _fit(self, first: int, length: int, at: float) -> bool:
        """Fit the window to a few prints of the run, unless it fits well already.

        A window can make up for a wrong time where a camera zooms, so none is fitted in vain.
        """
        some = np.unique(np.linspace(0, length - 1, 8).astype(int))
        luma = _between(self._luma, at + some)
        alike = cosines(self._pictures[first + some], vectors_of(luma))
        if np.median(alike) >= FITS_WELL:
            return False
        self._see(fitted(self.outer.luma[first + some], luma, self.view))
        return True

    def _judged(self, first: int, length: int, at: float) -> Match | None:
        """The run as a match, if it is evidence."""
        rows = slice(first, first + length)
        pictures, moves = self._pictures[rows], self._moves[rows]
        best, phase = -np.inf, 0.0
        for shift in HOP_PHASES.tolist():
            places = at + shift + np.arange(-1, length + 1)
            around = self._inner_vectors(places)
            both = self._with_neighbours(rows, places[1:-1])[:, None]
            mine = pictures, moves * both
            theirs = around[1:-1], _changes(around)[1:-1] * both
            score = float(_score_rows(mine, theirs).sum())
            if score > best:
                best, phase, found = score, shift, Judgement(mine, theirs)
        places = at + phase + np.arange(length)
        near = np.clip(np.rint(places).astype(int), 0, len(self._luma) - 1)
        spans = self._spans(rows, places)
        shares = [
            (span[1] - span[0]) / max(side.length_s, 1e-6)
            for span, side in zip(spans[:2], (self.outer, self.inner), strict=True)
        ]
        detail = np.minimum(self.outer.detail[rows], self.inner.detail[near])
        if not found.is_evidence(shares, float(np.median(detail))):
            return None
        if (
            _chroma_apart(self.outer.chroma[rows], self.inner.chroma[near], self.view)
            > CHROMA_APART
        ):
            return None
        return Match(spans[0], spans[1], round(spans[2], 3), length, found.quality)

    def _with_neighbours(self, rows: slice, places: NDArray[Any]) -> NDArray[np.float32]:
        """1 where prints before and after are there on both sides: else no change is known."""
        mine = np.arange(rows.start, rows.stop)
        known = (mine > 0) & (mine < len(self._pictures) - 1)
        known &= (places >= 0.5) & (places <= len(self._luma) - 1.5)
        return known.astype(np.float32)

    def _spans(
        self, rows: slice, places: NDArray[Any]
    ) -> tuple[tuple[float, float], tuple[float, float], float]:
        """The stretch on both sides, led on to an end that is near, and the offset."""
        outer, inner = self.outer, self.inner
        middle_s = (outer.start_s + outer.end_s) / 2
        steps = np.arange(len(inner.start_s))
        inner_s = np.interp(places, steps, (inner.start_s + inner.end_s) / 2)
        offset_s = float(np.median(inner_s - middle_s[rows]))
        begin_s, end_s = float(outer.start_s[rows][0]), float(outer.end_s[rows][-1])
        first_s = max(float(outer.start_s[0]), float(inner.start_s[0]) - offset_s)
        last_s = min(float(outer.end_s[-1]), float(inner.end_s[-1]) - offset_s)
        begin_s = first_s if begin_s - first_s < TO_THE_END_S else begin_s
        end_s = last_s if last_s - end_s < TO_THE_END_S else end_s
        return (begin_s, end_s), (begin_s + offset_s, end_s + offset_s), offset_s


def _best_run(
    tables: dict[float, NDArray[np.float32]], least: int
) -> tuple[int, int, float] | None:
    """First row, number of rows, and the place of the first in `inner`, to half a print."""
    best, run = LEAST_SCORE * least, None
    for phase, table in tables.items():
        total, first, length, at = _best_diagonal(table)
        if length >= least and total > best:
            best, run = total, (first, length, at + phase)
    return run


def _changes(vectors: Vectors) -> Vectors:
    return changes_of(vectors, np.zeros(len(vectors), np.int64))


def _between(luma: NDArray[np.float32], places: NDArray[Any]) -> NDArray[np.float32]:
    """Rows at fractional places, between their neighbours."""
    places = np.clip(places, 0, len(luma) - 1)
    low = np.minimum(places.astype(int), max(len(luma) - 2, 0))
    share = (places - low)[:, None].astype(np.float32)
    return luma[low] * (1 - share) + luma[np.minimum(low + 1, len(luma) - 1)] * share


def _table(one: Vectors, other: Vectors) -> NDArray[np.float32]:
    """Cosines of all with all; 0 where one says nothing."""
    units = []
    for vectors in (one, other):
        lengths = lengths_of(vectors)[:, None]
        units.append(np.where(lengths >= LEAST_LENGTH, vectors / np.maximum(lengths, 1e-6), 0))
    return np.asarray(units[0] @ units[1].T, np.float32)


def _scores(mine: tuple[Vectors, Vectors], theirs: tuple[Vectors, Vectors]) -> NDArray[np.float32]:
    """How much each pair of prints speaks for being the same, above 0, or against."""
    says = [lengths_of(one[0]) >= LEAST_LENGTH for one in (mine, theirs)]
    moves = [lengths_of(one[1]) >= LEAST_LENGTH for one in (mine, theirs)]
    score = _table(mine[0], theirs[0]) - 0.7
    both = moves[0][:, None] & moves[1][None]
    either = moves[0][:, None] ^ moves[1][None]
    score += np.where(both, 0.7 * (_table(mine[1], theirs[1]) - 0.4), 0) - 0.35 * either
    score[~says[0][:, None] & ~says[1][None]] = 0.0
    return np.asarray(score, np.float32)


def _score_rows(
    mine: tuple[Vectors, Vectors], theirs: tuple[Vectors, Vectors]
) -> NDArray[np.float32]:
    """Likeness of rows with their likes, by picture and by movement."""
    return cosines(mine[0], theirs[0]) + cosines(mine[1], theirs[1])


def _best_diagonal(scores: NDArray[np.float32]) -> tuple[float, int, int, int]:
    """The run along a diagonal with the highest sum: sum, first row, length, first column.

    Kadane's algorithm on all diagonals at once.
    """
    width = scores.shape[1]
    sums, starts = np.zeros(width, np.float32), np.zeros(width, np.int64)
    best = (0.0, 0, 0, 0)
    for row, line in enumerate(scores):
        before = np.concatenate([[0.0], sums[:-1]])
        goes_on = before > 0
        starts = np.where(goes_on, np.concatenate([[row], starts[:-1]]), row)
        sums = line + np.where(goes_on, before, 0)
        column = int(np.argmax(sums))
        if sums[column] > best[0]:
            first = int(starts[column])
            best = float(sums[column]), first, row - first + 1, column - (row - first)
    return best


def _chroma_apart(outer: NDArray[np.uint8], inner: NDArray[np.uint8], view: View) -> float:
    """Mean difference of colour, window aside; 0 where one side has no colour at all."""
    one, other = (side.astype(np.int16).reshape(-1, 2, 4, 4) - 128 for side in (outer, inner))
    if min(float(np.abs(side).mean()) for side in (one, other)) < LEAST_CHROMA:
        return 0.0
    return float(np.abs((one[..., ::-1] if view.is_mirrored else one) - other).mean())
