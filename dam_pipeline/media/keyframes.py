"""Choice of keyframes: pure, online, with memory that does not grow with duration.

Sampled candidates go in, in order of time; picks come out, with the spans they stand for. Nothing
here decodes, scales or writes: whoever feeds the chooser keeps the picture of a pick when told to.
"""

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import islice

from dam_pipeline.media.candidates import (
    Candidate,
    Thumb,
    calm,
    changed_share,
    quality,
    stirred_share,
)
from dam_pipeline.records import Boundary, Shot

STIRRED = 0.3  # share of a sixteenth of a still picture that is a change
UNREST = 3  # times what the picture stirs by itself
MIN_SEGMENT_S = 1.0  # a change sooner than this after the last one is the same event going on
EDGE_S = 0.25  # pictures nearer to a cut are second choice: fades, flashes, half-read frames
MOMENT_REACH = 2  # candidates before and after that a picture is compared with
BURST = 3  # keyframes that change may earn at once before the rate per minute holds it back


@dataclass(frozen=True, slots=True)
class Rules:
    """The chooser's limits; `sample_s` is the time between candidates."""

    gap_s: float = 5.0
    change: float = 0.12
    per_minute: int = 20
    sample_s: float = 1 / 3


@dataclass(slots=True)
class Pick:
    """A chosen candidate without its picture, and the span it stands for."""

    shot: int
    time_s: float
    start_s: float
    end_s: float
    quality: float
    sharpness: float
    exposure: float
    why: str


@dataclass(slots=True)
class _Segment:
    """A stretch of a shot that looks about the same; `last` is its latest pick."""

    start_s: float
    reference: Thumb
    why: str
    last: Pick | None = None
    best: Candidate | None = None
    best_score: float = -1.0
    unrest: float = 0.0  # largest share stirred so far


class KeyframeChooser:
    """Chooses while the file is being read.

    Feed `offer` with candidates, `settle` with the time up to which no cut can come any more,
    `cut` with the beginnings of shots, and `finish` with the end. `keep(candidate, pick)` is called once
    for every pick, in order of time; the candidate's picture is let go afterwards.
    """

    def __init__(self, rules: Rules, keep: Callable[[Candidate, Pick], None]) -> None:
        self._rules = rules
        self._keep = keep
        self._reach_s = max(rules.gap_s - rules.sample_s, rules.gap_s / 2)
        self._pending: deque[Candidate] = deque()
        self._before: deque[Candidate] = deque(maxlen=MOMENT_REACH)
        self._segment: _Segment | None = None
        self._begun = Boundary(0.0, "start")
        self._shot_start_s = 0.0
        self._shot_has_pick = False
        self._last_time_s = -math.inf
        self._allowance = _Allowance(rules.per_minute)
        self.shots: list[Shot] = []
        self.picks: list[Pick] = []

    def offer(self, candidate: Candidate) -> None:
        """Take the next candidate in order of time."""
        self._pending.append(candidate)

    def settle(self, time_s: float) -> None:
        """Let candidates compete that are further than the edge from any cut before `time_s`."""
        while self._pending and self._pending[0].time_s <= time_s - EDGE_S:
            candidate = self._pending.popleft()
            self._consider(candidate, near_cut=candidate.time_s < self._begun.end_s)

    def cut(self, boundary: Boundary) -> None:
        """End the running shot; a shot without any candidate goes on into the next one."""
        self.settle(boundary.start_s)
        time_s = boundary.time_s
        while self._pending and self._pending[0].time_s < time_s:
            self._consider(self._pending.popleft(), near_cut=True)
        if self._segment is None:
            return
        if not self._is_remnant(self._segment, time_s):
            self._close_segment(time_s)
        self.picks[-1].end_s = time_s
        begun, self._begun = self._begun, boundary
        self.shots.append(Shot(self._shot_start_s, time_s, begun.transition, begun.transition_s))
        self._shot_start_s = time_s
        self._shot_has_pick = False
        self._segment = None

    def finish(self, end_s: float) -> None:
        """End the last shot and the file."""
        self.cut(Boundary(end_s, "cut"))
        if self._shot_start_s < end_s and self.shots and self._segment is None:
            self.shots[-1] = replace(self.shots[-1], end_s=end_s)
            self.picks[-1].end_s = end_s

    def _consider(self, candidate: Candidate, near_cut: bool) -> None:
        if candidate.moment is not None:
            around = [*self._before, candidate, *islice(self._pending, MOMENT_REACH)]
            candidate.calm = calm(
                [c.moment for c in around if c.moment is not None], candidate.moment
            )
        self._before.append(replace(candidate, picture=None))
        if self._segment is None:
            why = "the shot begins"
            self._segment = _Segment(self._shot_start_s, candidate.thumb, why)
        self._follow_change(candidate)
        segment = self._segment
        opens_s, closes_s = self._window(segment)
        if segment.best is not None and candidate.time_s > closes_s:
            self._commit(segment)
            opens_s, closes_s = self._window(segment)
        if candidate.time_s >= opens_s:
            score = self._score(candidate, segment, near_cut)
            if score > segment.best_score:
                segment.best, segment.best_score = candidate, score

    def _follow_change(self, candidate: Candidate) -> None:
        """Begin a new segment when the picture is no longer what the segment began with."""
        segment = self._segment
        if segment is None:
            return
        stirred = stirred_share(segment.reference, candidate.thumb)
        least_s = MIN_SEGMENT_S if segment.start_s == self._shot_start_s else 2 * MIN_SEGMENT_S
        if candidate.time_s - segment.start_s < least_s:
            segment.unrest = max(segment.unrest, stirred)
            return
        change = changed_share(segment.reference, candidate.thumb)
        if change > self._rules.change:
            why = f"{change:.0%} of a quarter of the picture changed"
        elif stirred > max(STIRRED, UNREST * segment.unrest):
            why = f"{stirred:.0%} of a sixteenth of a still picture changed"
        else:
            segment.unrest = max(segment.unrest, stirred)
            return
        if segment.last is None and segment.best is not None and quality(segment.best) < 0.1:
            segment.reference, segment.best, segment.best_score = candidate.thumb, None, -1.0
        elif self._allowance.has_room(candidate.time_s):
            self._close_segment(candidate.time_s)
            self._segment = _Segment(candidate.time_s, candidate.thumb, why)

    def _window(self, segment: _Segment) -> tuple[float, float]:
        """First and last time at which the segment's next pick may lie."""
        half_s = self._reach_s / 2
        if segment.last is not None:
            return segment.last.time_s + half_s, segment.last.time_s + self._reach_s
        closes_s = segment.start_s + half_s
        if self._shot_has_pick:
            closes_s = min(closes_s, self._last_time_s + self._reach_s)
        return segment.start_s, max(closes_s, segment.start_s)

    def _score(self, candidate: Candidate, segment: _Segment, near_cut: bool) -> float:
        from_cut_s = candidate.time_s - self._shot_start_s
        edge = 0.4 if near_cut else min(1.0, 0.4 + 0.6 * from_cut_s / (2 * EDGE_S))
        late = 1.0  # the later the next pick, the fewer are needed
        if segment.last is not None:
            late = 0.5 + 0.5 * (candidate.time_s - segment.last.time_s) / self._reach_s
        apart = 1.0
        if self._shot_has_pick:
            apart = min(1.0, (candidate.time_s - self._last_time_s) / MIN_SEGMENT_S)
        return quality(candidate) * candidate.calm * edge * late * apart

    def _commit(self, segment: _Segment) -> None:
        candidate = segment.best
        if candidate is None:
            return
        start_s = segment.start_s
        why = segment.why
        if segment.last is not None:
            start_s = (segment.last.time_s + candidate.time_s) / 2
            segment.last.end_s = start_s
            why = f"{candidate.time_s - segment.last.time_s:.1f} s after the last one"
        pick = Pick(
            shot=len(self.shots),
            time_s=candidate.time_s,
            start_s=start_s,
            end_s=start_s,
            quality=quality(candidate) * candidate.calm,
            sharpness=candidate.sharpness,
            exposure=candidate.exposure,
            why=why,
        )
        self._keep(candidate, pick)
        self.picks.append(pick)
        self._allowance.spend(candidate.time_s)
        self._last_time_s, self._shot_has_pick = candidate.time_s, True
        segment.last, segment.best, segment.best_score = pick, None, -1.0

    def _is_remnant(self, segment: _Segment, end_s: float) -> bool:
        """Whether a change came so late in its shot that the keyframe before it may stand for it."""
        if segment.last is not None or not self._shot_has_pick:
            return False
        is_short = end_s - segment.start_s < MIN_SEGMENT_S / 2
        return is_short and end_s - self.picks[-1].start_s <= self._rules.gap_s

    def _close_segment(self, end_s: float) -> None:
        segment = self._segment
        if segment is None:
            return
        if segment.last is None or end_s - segment.last.time_s > self._reach_s / 2:
            self._commit(segment)
        if segment.last is not None:
            segment.last.end_s = end_s


@dataclass(slots=True)
class _Allowance:
    """Keeps what change earns within `per_minute` in any minute (a token bucket)."""

    per_minute: int
    tokens: float = field(init=False)
    at_s: float = 0.0

    def __post_init__(self) -> None:
        self.tokens = float(min(BURST, self.per_minute))

    def has_room(self, time_s: float) -> bool:
        """Whether a keyframe may be added at this time for a change alone."""
        self._refill(time_s)
        return self.tokens >= 1

    def spend(self, time_s: float) -> None:
        """Count a keyframe, whatever it was added for."""
        self._refill(time_s)
        self.tokens -= 1

    def _refill(self, time_s: float) -> None:
        burst = min(BURST, self.per_minute)
        rate = (self.per_minute - burst) / 60
        self.tokens = min(burst, self.tokens + rate * max(0.0, time_s - self.at_s))
        self.at_s = max(self.at_s, time_s)


def choose_hero(picks: list[Pick], shots: list[Shot]) -> tuple[int, str]:
    """Index of the one picture that stands for the file, and why; `picks` must not be empty.

    Sharp and well exposed, away from cuts and fades, from the longest shots; ties go to the first.
    """
    longest_s = max((s.end_s - s.start_s for s in shots), default=0.0) or 1.0

    def score(pick: Pick) -> float:
        shot = shots[pick.shot]
        edge_s = min(pick.time_s - shot.start_s, shot.end_s - pick.time_s)
        edge = min(1.0, 0.5 + edge_s)
        return pick.quality * edge * (0.5 + 0.5 * (shot.end_s - shot.start_s) / longest_s)

    index = max(range(len(picks)), key=lambda i: score(picks[i]))
    pick, shot = picks[index], shots[picks[index].shot]
    edge_s = min(pick.time_s - shot.start_s, shot.end_s - pick.time_s)
    why = (
        f"hero: sharpness {pick.sharpness:.0f}, exposure {pick.exposure:.2f}, "
        f"{edge_s:.1f} s from a cut, in a shot of {shot.end_s - shot.start_s:.1f} s"
    )
    return index, why
