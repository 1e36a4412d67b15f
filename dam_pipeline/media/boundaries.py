"""Where shots begin, and how: hard cuts, dissolves and fades put together in order of time."""

from collections.abc import Iterator

from dam_pipeline.media.cuts import CutFinder, Seen
from dam_pipeline.media.dissolves import LATEST_S as DISSOLVE_LATEST_S
from dam_pipeline.media.dissolves import DissolveFinder
from dam_pipeline.media.fades import LATEST_S as FADE_LATEST_S
from dam_pipeline.media.fades import FadeFinder
from dam_pipeline.media.glances import Glance
from dam_pipeline.records import Boundary, Transition

SHORTEST_SHOT_S = 0.3  # flashes and strobes change faster than a person cuts
LAG_S = max(DISSOLVE_LATEST_S, FADE_LATEST_S)  # a transition is known so long after its start


class BoundaryFinder:
    """Finds boundaries while glances come in; they are told LAG_S late, in order of time."""

    def __init__(self, threshold: float) -> None:
        self._cuts = CutFinder(threshold)
        self._dissolves = DissolveFinder()
        self._fades = FadeFinder()
        self._waiting: list[Boundary] = []
        self._latest_end_s = 0.0
        self.settled_s = -LAG_S

    def feed(self, time_s: float, glance: Glance) -> Iterator[Boundary]:
        """Boundaries whose transitions began before `settled_s`, which moves on."""
        seen = Seen(time_s, glance)
        for cut_s in self._cuts.feed(seen):
            self._add(Boundary(cut_s, "cut"))
            self._dissolves.forget(cut_s)
        dissolve = self._dissolves.feed(seen)
        if dissolve:
            self._add_gradual("dissolve", dissolve.start_s, dissolve.middle_s, dissolve.end_s)
        fade = self._fades.feed(seen)
        if fade:
            self._add_gradual("fade", fade.start_s, fade.middle_s, fade.end_s)
        self.settled_s = time_s - LAG_S
        return self._told(self.settled_s)

    def finish(self) -> Iterator[Boundary]:
        """The rest."""
        for cut_s in self._cuts.finish():
            self._add(Boundary(cut_s, "cut"))
        dissolve = self._dissolves.finish()
        if dissolve:
            self._add_gradual("dissolve", dissolve.start_s, dissolve.middle_s, dissolve.end_s)
        fade = self._fades.finish()
        if fade:
            self._add_gradual("fade", fade.start_s, fade.middle_s, fade.end_s)
        return self._told(float("inf"))

    def _add_gradual(self, kind: Transition, start_s: float, at_s: float, end_s: float) -> None:
        """Take a transition unless a hard cut lies in it; a fade instead of the blends within."""
        inside = [b for b in self._waiting if b.start_s < end_s and b.end_s > start_s]
        if any(b.transition == "cut" or kind == "dissolve" for b in inside):
            return
        self._waiting = [b for b in self._waiting if b not in inside]
        self._add(Boundary(at_s, kind, 2 * min(at_s - start_s, end_s - at_s)))

    def _add(self, boundary: Boundary) -> None:
        self._waiting.append(boundary)
        self._waiting.sort(key=lambda b: b.start_s)

    def _told(self, until_s: float) -> Iterator[Boundary]:
        while self._waiting and self._waiting[0].start_s <= until_s:
            boundary = self._waiting.pop(0)
            if boundary.start_s >= self._latest_end_s + SHORTEST_SHOT_S - 1e-6:
                self._latest_end_s = boundary.time_s
                yield boundary
