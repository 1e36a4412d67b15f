"""Cuts by PySceneDetect's AdaptiveDetector, fed frame by frame with small pictures.

Times are the frames' own (PTS in a stream's time base), so a variable frame rate is no trouble.
"""

from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scenedetect.common import FrameTimecode, Timecode
from scenedetect.detectors import AdaptiveDetector

SHORTEST_SHOT_S = 0.3  # flashes and strobes change faster than a person cuts
WINDOW_FRAMES = 2  # frames on either side that a cut must stand out from


class CutDetector:
    """Gives each cut as the PTS of the new shot's first frame, `WINDOW_FRAMES` frames late.

    threshold: ratio to the neighbouring frames (AdaptiveDetector, scenedetect 0.7).
    """

    def __init__(self, threshold: float, rate: Fraction, time_base: Fraction) -> None:
        self._rate = rate
        self._time_base = time_base
        self._detector = AdaptiveDetector(
            adaptive_threshold=threshold,
            min_scene_len=SHORTEST_SHOT_S,
            window_width=WINDOW_FRAMES,
        )

    def feed(self, pts: int, picture_bgr: NDArray[np.uint8]) -> list[int]:
        """Cuts that became certain with this frame; `pts` is 0 or more and grows."""
        timecode = FrameTimecode(Timecode(pts, self._time_base), fps=self._rate)
        found: list[Any] = self._detector.process_frame(timecode, picture_bgr)
        return [int(cut.pts) for cut in found]
