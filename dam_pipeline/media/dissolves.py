"""Dissolves: stretches in which every picture is a blend of the picture before and the one after.

With A before, B after and D = B − A, the share of B in a picture F is ⟨F − A, D⟩ / ⟨D, D⟩. In a
dissolve it rises in a straight line from 0 to 1 and stays there. A slow pan can do the same, but it
keeps its detail, of which a blend of unlike pictures has about half.
"""

from collections import deque
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from dam_pipeline.media.cuts import Seen
from dam_pipeline.media.glances import Glance
from dam_pipeline.media.likeness import SURELY_SAME, is_same_scene

SAMPLE_S = 0.078  # time between the pictures that are compared: every other one at 25 a second
SHORTEST, LONGEST = 3, 32  # samples that a dissolve takes
PLATEAU = 4  # samples before and after in which the share must stay
KEPT = LONGEST + 2 * PLATEAU + 1
DECIDED_S = 2 * PLATEAU * SAMPLE_S  # after the end, no better fit is to be expected
LATEST_S = 1.3 * (LONGEST + PLATEAU) * SAMPLE_S + DECIDED_S  # after the start; steps may be longer
SIZE = (32, 18)
LEAST_RMS = 4.0  # levels between the two pictures
MOST_REST = 0.5  # of ‖D‖ may be left of the middle picture
OFF_LINE = 0.18  # largest distance of a share from its line
OFF_PLATEAU = 0.2
DIP = 0.8  # detail half-way ÷ mean of both ends: dissolves 0.45–0.62 of 55, others 0.92–1.09
DETAIL_PX = 9


@dataclass(frozen=True, slots=True)
class Dissolve:
    """From `start_s` to `end_s`, half-way at `middle_s`; `fault` is how badly it fits (0–1)."""

    start_s: float
    end_s: float
    middle_s: float
    fault: float


class DissolveFinder:
    """Gives dissolves DECIDED_S after their end; memory for KEPT samples."""

    def __init__(self) -> None:
        self._seen: deque[Seen] = deque(maxlen=KEPT)
        self._vectors = np.zeros((KEPT, SIZE[0] * SIZE[1] * 3), np.float32)  # a ring
        self._gram = np.zeros((KEPT, KEPT), np.float32)  # their products, in the ring's places
        self._details = np.zeros(KEPT, np.float32)  # likewise
        self._newest = 0
        self._best: Dissolve | None = None

    def feed(self, seen: Seen) -> Dissolve | None:
        """The dissolve that became certain with this picture, if any."""
        if self._seen and seen.time_s < self._seen[-1].time_s + SAMPLE_S:
            return None
        self._remember(seen)
        found = self._ending_at_plateau() if len(self._seen) > SHORTEST + 2 * PLATEAU else None
        if found and (self._best is None or found.fault < self._best.fault):
            self._best = found
        if self._best is None or seen.time_s < self._best.end_s + DECIDED_S:
            return None
        return self.finish()

    def finish(self) -> Dissolve | None:
        """The dissolve that was found last."""
        best, self._best = self._best, None
        if best is not None:
            self.forget(best.end_s)
        return best

    def forget(self, until_s: float) -> None:
        """Let go what was before this time."""
        while self._seen and self._seen[0].time_s < until_s - 1e-6:
            self._seen.popleft()

    def _remember(self, seen: Seen) -> None:
        is_tall = seen.glance.shape[0] > seen.glance.shape[1]
        size = SIZE[::-1] if is_tall else SIZE
        small = cv2.resize(seen.glance, size, interpolation=cv2.INTER_AREA)
        self._newest = place = (self._newest + 1) % KEPT
        np.subtract(small.reshape(-1), 128, out=self._vectors[place], dtype=np.float32)
        self._gram[place] = self._gram[:, place] = self._vectors @ self._vectors[place]
        self._details[place] = _detail(seen.glance)
        self._seen.append(seen)

    def _places(self) -> NDArray[np.intp]:
        """Where the pictures that are still seen lie in the ring, oldest first."""
        return (self._newest - np.arange(len(self._seen) - 1, -1, -1)) % KEPT

    def _ending_at_plateau(self) -> Dissolve | None:
        """The best dissolve whose last sample is PLATEAU samples ago."""
        gram, places = self._gram, self._places()
        last = len(places) - 1 - PLATEAU
        first = np.arange(max(PLATEAU, last - LONGEST), last - SHORTEST + 1)
        start, middle, end = places[first], places[(first + last) // 2], places[last]
        at_start, at_end = gram[start, start], gram[end, end]
        apart = at_start + at_end - 2 * gram[start, end]
        fits = apart > LEAST_RMS**2 * self._vectors.shape[1]
        details = self._details
        fits &= 2 * details[middle] < DIP * (details[start] + details[end])
        if not fits.any():
            return None
        from_start = gram[middle, start]
        share = (gram[middle, end] - gram[start, end] + at_start - from_start) / np.fmax(apart, 1)
        rest = gram[middle, middle] + at_start - 2 * from_start - share**2 * apart
        fits &= (abs(share - 0.5) < 0.3) & (rest < MOST_REST**2 * apart)
        found = (self._fit(places, int(index), last) for index in first[fits])
        best = min((one for one in found if one), key=lambda one: one.fault, default=None)
        if best is None or is_same_scene(self._at(best.start_s), self._at(best.end_s), SURELY_SAME):
            return None
        return best

    def _at(self, time_s: float) -> Glance:
        return min(self._seen, key=lambda seen: abs(seen.time_s - time_s)).glance

    def _fit(self, places: NDArray[np.intp], first: int, last: int) -> Dissolve | None:
        """The dissolve between two samples; None when shares leave the line."""
        span = np.arange(first - PLATEAU, last + PLATEAU + 1)
        gram, start, end, at = self._gram, places[first], places[last], places[span]
        apart = gram[start, start] + gram[end, end] - 2 * gram[start, end]
        shares = gram[at, end] - gram[at, start] + gram[start, start] - gram[start, end]
        shares = shares / apart
        times_s = np.array([self._seen[index].time_s for index in span])
        start_s, end_s = float(times_s[PLATEAU]), float(times_s[-1 - PLATEAU])
        off = np.abs(shares - np.clip((times_s - start_s) / (end_s - start_s), 0, 1))
        inside = off[PLATEAU:-PLATEAU].max()
        outside = max(off[:PLATEAU].max(), off[-PLATEAU:].max())
        if inside > OFF_LINE or outside > OFF_PLATEAU:
            return None
        middle_s = float(np.interp(0.5, np.maximum.accumulate(shares), times_s))
        return Dissolve(start_s, end_s, middle_s, float(max(inside, outside)))


def _detail(glance: Glance) -> float:
    """Mean square of what differs from the surroundings."""
    luma = glance[..., 0].astype(np.float32)
    detail = cv2.subtract(luma, cv2.blur(luma, (DETAIL_PX, DETAIL_PX)))
    return float(cv2.norm(detail, cv2.NORM_L2SQR)) / luma.size
