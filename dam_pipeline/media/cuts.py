"""Hard cuts: frames that stand out, by PySceneDetect, unless one scene lies on both sides of them.

Flashes, whip pans, lamps and handheld cameras make frames stand out too. What was just before is
therefore compared with what is just after, regardless of light and camera movement.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from scenedetect.detectors import AdaptiveDetector

from dam_pipeline.media.glances import Glance
from dam_pipeline.media.likeness import difference, is_same_scene

WINDOW_FRAMES = 2  # frames on either side that a cut must stand out from
LEAST_DIFFERENCE = 6.0  # levels of `difference`; coding makes dark still pictures jump by 5
FLASH_S = 0.25  # a flash may last so long; the scene is looked for again after it
FLASH_FRAMES = 4  # or so many frames, where they are few
RETURNED = 0.3  # share of a jump's difference that is left when the picture is back


class StandoutDetector(AdaptiveDetector):  # type: ignore[misc]
    """PySceneDetect's adaptive rule over the difference of glances.

    Its own measure converts pictures to HSV, whose hue is noise in the dark and in grey pictures,
    and costs three times as much. Times may be plain seconds: it only subtracts and compares them.
    """

    def __init__(self, threshold: float) -> None:
        super().__init__(
            adaptive_threshold=threshold,
            min_scene_len=0,
            window_width=WINDOW_FRAMES,
            min_content_val=LEAST_DIFFERENCE,
        )
        self._before: Glance | None = None

    def _calculate_frame_score(self, timecode: Any, frame_img: Any) -> float:
        before, self._before = self._before, frame_img
        return 0.0 if before is None else difference(before, frame_img)


@dataclass(frozen=True, slots=True)
class Seen:
    """A glance at a time."""

    time_s: float
    glance: Glance


class CutFinder:
    """Gives the times of new shots' first frames, at most FLASH_S or FLASH_FRAMES late."""

    def __init__(self, threshold: float) -> None:
        self._detector = StandoutDetector(threshold)
        self._seen: deque[Seen] = deque()
        self._standing_out: deque[float] = deque()

    def feed(self, seen: Seen) -> Iterator[float]:
        """Cuts that became certain with this frame."""
        self._seen.append(seen)
        times: Any = self._detector.process_frame(seen.time_s, seen.glance)
        self._standing_out.extend(times)
        while self._standing_out and self._has_seen_enough_after(self._standing_out[0]):
            time_s = self._standing_out.popleft()
            if self._is_cut(time_s):
                yield time_s
        self._forget()

    def finish(self) -> Iterator[float]:
        """Cuts among the last frames."""
        yield from (time_s for time_s in self._standing_out if self._is_cut(time_s))
        self._standing_out.clear()

    def _has_seen_enough_after(self, time_s: float) -> bool:
        seen = self._seen
        return (
            len(seen) > FLASH_FRAMES
            and seen[-1 - FLASH_FRAMES].time_s >= time_s
            and seen[-1].time_s >= time_s + FLASH_S
        )

    def _forget(self) -> None:
        oldest_s = self._standing_out[0] if self._standing_out else self._seen[-1].time_s
        while (
            len(self._seen) > 2 * FLASH_FRAMES + WINDOW_FRAMES
            and self._seen[2 * FLASH_FRAMES].time_s < oldest_s - FLASH_S
        ):
            self._seen.popleft()

    def _is_cut(self, time_s: float) -> bool:
        """Whether no picture shortly before shows the scene of one shortly after."""
        first = next(i for i, seen in enumerate(self._seen) if seen.time_s >= time_s)
        before, after = list(self._seen)[:first][::-1], list(self._seen)[first:]
        if not before:
            return False
        jump = difference(before[0].glance, after[0].glance)
        pairs = [(before[0], after[0])]
        pairs += [(before[0], later) for later in _apart(after)]
        pairs += [(earlier, after[0]) for earlier in _apart(before)]
        return not any(_is_same(one, other, jump) for one, other in pairs)


def _apart(seen: list[Seen]) -> list[Seen]:
    """The pictures half and all of a flash's length away from the first of these."""
    picked = []
    for share in (0.5, 1.0):
        far = [
            other
            for index, other in enumerate(seen)
            if index >= FLASH_FRAMES * share
            and abs(other.time_s - seen[0].time_s) >= FLASH_S * share - 1e-6
        ]
        picked += far[:1] or seen[-1:]
    return picked


def _is_same(one: Seen, other: Seen, jump: float) -> bool:
    if difference(one.glance, other.glance) < RETURNED * jump:
        return True
    return is_same_scene(one.glance, other.glance)
