"""Glances: every frame as 64 × 36 samples of luma and colour, all that finding shots needs.

The filter graph samples a grid of 128 × 72 without reading the whole frame: 0.03 ms a frame where
averaging all of 1080 lines takes 0.4 ms.
"""

from typing import Any

import cv2
import numpy as np
from av import VideoFrame
from numpy.typing import NDArray

from dam_pipeline.media.graphs import Shrink

LONG_PX, SHORT_PX = 64, 36

Glance = NDArray[np.uint8]  # (36, 64, 3), or (64, 36, 3) of tall pictures: Y, U, V as coded


class GlanceTaker:
    """Takes glances of the frames of one stream."""

    def __init__(self, stream: Any) -> None:
        is_tall = stream.height > stream.width
        self._size = (SHORT_PX, LONG_PX) if is_tall else (LONG_PX, SHORT_PX)
        grid = (2 * self._size[0], 2 * self._size[1])  # twice as fine: colour comes at half size
        self._graph = Shrink(stream.time_base, grid, "yuv420p", "fast_bilinear")

    def take(self, frame: VideoFrame) -> Glance:
        """The frame's glance, as coded: neither turned nor in full range."""
        reduced = self._graph.one(frame)
        luma = cv2.resize(plane_of(reduced, 0), self._size, interpolation=cv2.INTER_AREA)
        planes = [luma, plane_of(reduced, 1), plane_of(reduced, 2)]
        return np.asarray(cv2.merge(planes), dtype=np.uint8)


def plane_of(frame: VideoFrame, index: int) -> NDArray[np.uint8]:
    """A plane of an 8-bit planar frame as (h, w) samples, not copied: valid as long as the frame."""
    plane: Any = frame.planes[index]
    samples = np.frombuffer(plane, dtype=np.uint8).reshape(plane.height, -1)
    return samples[:, : plane.width]
