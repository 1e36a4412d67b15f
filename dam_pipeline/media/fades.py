"""Fades: the picture goes gradually to black, white or one colour, and another comes out of it.

Told by the contrast alone, which no movement takes away. Into or out of black at once is a hard cut
and not told here; nor is a fade at the beginning or the end of the file, where no shot changes.
"""

from collections import deque
from dataclasses import dataclass

import cv2

from dam_pipeline.media.cuts import Seen
from dam_pipeline.media.likeness import SURELY_SAME, is_same_scene

BLANK = 0.8  # levels of contrast (deviation of luma) in a picture of nothing
FAINT = 0.2  # share of the contrast around it below which a picture counts as blank
LEAST_CONTRAST = 2.5  # of a picture that can be seen to fade
HALF = 0.5  # of the contrast around it: where a fade is taken to begin and to have ended
NOISE = 0.3  # levels that contrast varies by in pictures of nothing
NOTHING = 2.5  # levels of contrast that grain leaves in black
LONGEST_FAINT_S = 0.5  # a longer stretch of faint contrast is a picture
REACH_S = 1.3  # half the longest fade, and more
LONGEST_HOLD_S = 2.0  # a blank stretch is waited for so long, then the fade is told without its end
GRADUAL_S = 0.06  # from half the contrast to blank; a cut takes one frame
MOST_KEPT = 160  # pictures of REACH_S, at 120 a second
LATEST_S = LONGEST_HOLD_S + 2 * REACH_S


@dataclass(frozen=True, slots=True)
class Fade:
    """From half the contrast at `start_s` to half at `end_s`, with least of it at `middle_s`."""

    start_s: float
    end_s: float
    middle_s: float


@dataclass(slots=True)
class _Trough:
    """A stretch without contrast, from `first_s` on."""

    before: Seen
    is_gradual: bool
    least: float
    least_from_s: float
    least_to_s: float
    first_s: float
    last_s: float
    is_told: bool = False

    def see(self, time_s: float, contrast: float) -> None:
        """Count another blank picture."""
        self.last_s = time_s
        if contrast < self.least - NOISE:
            self.least, self.least_from_s = contrast, time_s
        if contrast <= self.least + NOISE:
            self.least_to_s = time_s

    @property
    def is_blank(self) -> bool:
        """Whether there was nothing to see, or too shortly for a picture."""
        return self.least <= NOTHING or self.last_s - self.first_s <= LONGEST_FAINT_S

    def fade(self, end_s: float) -> Fade:
        """The fade that has its end here."""
        self.is_told = True
        return Fade(self.before.time_s, end_s, (self.least_from_s + self.least_to_s) / 2)


class FadeFinder:
    """Gives fades when the next picture has come out, or after LONGEST_HOLD_S."""

    def __init__(self) -> None:
        self._recent: deque[tuple[float, Seen]] = deque(maxlen=MOST_KEPT)  # contrast, picture
        self._trough: _Trough | None = None

    def feed(self, seen: Seen) -> Fade | None:
        """The fade that became certain with this picture, if any."""
        contrast = float(cv2.meanStdDev(seen.glance)[1][0, 0])
        trough, fade = self._trough, None
        if trough is None:
            self._trough = self._beginning(contrast, seen)
        elif contrast <= max(BLANK, 2 * trough.least) and seen.time_s - trough.last_s < REACH_S / 2:
            trough.see(seen.time_s, contrast)
            if seen.time_s - trough.first_s > LONGEST_HOLD_S and not trough.is_told:
                is_fade = trough.is_gradual and trough.is_blank
                fade = trough.fade(seen.time_s) if is_fade else None
                trough.is_told = True
        elif seen.time_s - trough.last_s > REACH_S:
            fade, self._trough = self._ended(trough), None
        self._recent.append((contrast, seen))
        while seen.time_s - self._recent[0][1].time_s > REACH_S:
            self._recent.popleft()
        return fade

    def finish(self) -> Fade | None:
        """The fade out of which the last picture comes."""
        trough, self._trough = self._trough, None
        return self._ended(trough) if trough and self._recent else None

    def _beginning(self, contrast: float, seen: Seen) -> _Trough | None:
        highest = max((kept for kept, _ in self._recent), default=0.0)
        if highest < LEAST_CONTRAST or contrast > max(BLANK, FAINT * highest):
            return None
        at, before = next(
            (index, kept)
            for index, (level, kept) in reversed(list(enumerate(self._recent)))
            if level >= HALF * highest
        )
        is_gradual = at < len(self._recent) - 1 and seen.time_s - before.time_s > GRADUAL_S
        now_s = seen.time_s
        return _Trough(before, is_gradual, contrast, now_s, now_s, now_s, now_s)

    def _ended(self, trough: _Trough) -> Fade | None:
        """The fade around a trough, if what comes after it comes gradually and is another scene."""
        after = [(level, kept) for level, kept in self._recent if kept.time_s > trough.last_s]
        highest = max((level for level, _ in after), default=0.0)
        if trough.is_told or not trough.is_gradual or not trough.is_blank:
            return None
        if highest < LEAST_CONTRAST:
            return None
        at, first = next((i, kept) for i, (lv, kept) in enumerate(after) if lv >= HALF * highest)
        if at == 0 or first.time_s - trough.last_s <= GRADUAL_S:
            return None
        if is_same_scene(trough.before.glance, first.glance, SURELY_SAME):
            return None
        return trough.fade(first.time_s)
