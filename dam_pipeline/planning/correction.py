"""What past runs say of estimates: how much a run takes besides its stages, and how stages overlap."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

from dam_pipeline.catalogue.estimates import RunEstimate
from dam_pipeline.planning.costs import Seconds

RUNS = 20  # past runs that are looked at
ENOUGH = 5  # runs from which on they say how far off an estimate may be
MODELS_S = 6.0  # until it is measured: what a process takes to load its models
DIFFERENT = 1.5  # times the work that one run must have over another to be compared with it
FACTORS = (0.1, 10.0)  # what is learned outside is an accident
UNKNOWN = (0.5, 2.0)


@dataclass(frozen=True, slots=True)
class Correction:
    """A run takes `start_s`, and `factor` seconds for each second of its stages' own.

    Eight of ten past runs took between `low` and `high` times that, or nobody knows (None).
    `parallel` is how many runs were under way at once, on average over the time that any was.
    """

    start_s: float = MODELS_S
    factor: float = 1.0
    low: float | None = None
    high: float | None = None
    parallel: float = 1.0

    def corrected(self, work: Seconds, runs: int, more_s: float) -> Seconds:
        """What so many runs take one after the other, each with `more_s` before it begins."""
        start_s = runs * (self.start_s + more_s)
        likely = start_s + work.likely * self.factor
        if self.low is not None and self.high is not None:
            return Seconds(likely * min(1.0, self.low), likely, likely * max(1.0, self.high))
        low, high = UNKNOWN
        return Seconds(
            start_s * low + work.low * self.factor * low,
            likely,
            start_s * high + work.high * self.factor * high,
        )


def learn(past: Sequence[RunEstimate]) -> Correction:
    """The correction from runs that have ended; Theil and Sen's line through (work, time taken)."""
    points = [(one.work_s, one.actual_s) for one in past if one.actual_s and one.work_s > 0]
    if not points:
        return Correction()
    slopes = [
        (b[1] - a[1]) / (b[0] - a[0])
        for a, b in combinations(sorted(points), 2)
        if b[0] >= DIFFERENT * a[0]
    ]
    if len(slopes) >= ENOUGH:
        factor = _within(statistics.median(slopes))
        start_s = max(0.0, statistics.median(taken - factor * work for work, taken in points))
    else:
        start_s = min(MODELS_S, *(taken for _work, taken in points), MODELS_S)
        left = sum(taken - start_s for _work, taken in points)
        factor = _within(left / sum(work for work, _taken in points))
    low, high = _range([taken / (start_s + factor * work) for work, taken in points])
    return Correction(start_s, factor, low, high, parallel(past))


def parallel(past: Iterable[RunEstimate]) -> float:
    """How many runs were under way at once, on average over the time that any was; at least 1."""
    together_s, any_s, end_s = 0.0, 0.0, 0.0
    for one in sorted(past, key=lambda run: run.started_s):
        if one.ended_s is None:
            continue
        together_s += one.ended_s - one.started_s
        any_s += max(0.0, one.ended_s - max(one.started_s, end_s))
        end_s = max(end_s, one.ended_s)
    return max(1.0, together_s / any_s) if any_s else 1.0


def _within(factor: float) -> float:
    least, most = FACTORS
    return min(most, max(least, factor))


def _range(ratios: Sequence[float]) -> tuple[float, float] | tuple[None, None]:
    """The first and the last decile, when there are enough to speak of them."""
    if len(ratios) < ENOUGH:
        return None, None
    deciles = statistics.quantiles(ratios, n=10, method="inclusive")
    return deciles[0], deciles[-1]
