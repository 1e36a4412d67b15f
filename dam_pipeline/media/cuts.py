"""Cuts by PySceneDetect's AdaptiveDetector, fed frame by frame with small pictures.

Times are the frames' own (PTS in a stream's time base), so a variable frame rate is no trouble.
"""

from collections import deque
from fractions import Fraction
from typing import Any

from scenedetect.common import FrameTimecode, Timecode
from scenedetect.detectors import AdaptiveDetector

from dam_pipeline.media.keyframes import changed_share
from dam_pipeline.media.pictures import Picture, thumb_of

SHORTEST_SHOT_S = 0.3  # flashes and strobes change faster than a person cuts
SAME_PICTURE = 0.05  # share of change under which the picture before and after is one
WINDOW_FRAMES = 2  # frames on either side that a cut must stand out from


class CutDetector:
    """Gives each cut as the PTS of the new shot's first frame, `WINDOW_FRAMES` frames late.

    threshold: ratio to the neighbouring frames (AdaptiveDetector, scenedetect 0.7). A flash of a
    frame or two, after which the picture is what it was, is no cut.
    """

    def __init__(self, threshold: float, rate: Fraction, time_base: Fraction) -> None:
        self._rate = rate
        self._time_base = time_base
        self._recent: deque[tuple[int, Picture]] = deque(maxlen=2 * WINDOW_FRAMES)
        self._detector = AdaptiveDetector(
            adaptive_threshold=threshold,
            min_scene_len=SHORTEST_SHOT_S,
            window_width=WINDOW_FRAMES,
        )

    def feed(self, pts: int, picture_bgr: Picture) -> list[int]:
        """Cuts that became certain with this frame; `pts` is 0 or more and grows."""
        self._recent.append((pts, picture_bgr))
        timecode = FrameTimecode(Timecode(pts, self._time_base), fps=self._rate)
        found: list[Any] = self._detector.process_frame(timecode, picture_bgr)
        return [int(cut.pts) for cut in found if not self._is_flash(int(cut.pts))]

    def _is_flash(self, cut: int) -> bool:
        before = [picture for pts, picture in self._recent if pts < cut]
        if not before:
            return False
        latest = self._recent[-1][1]
        return changed_share(thumb_of(before[-1]), thumb_of(latest)) < SAME_PICTURE
