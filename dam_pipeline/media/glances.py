"""Glances: every frame as 64 × 36 samples of luma and colour, all that finding shots needs.

A decoded frame lies in memory that no cache holds, so what counts is how many of its lines are
touched: some lines of each plane are averaged here instead of scaling all of it in a filter graph.
"""

from typing import Any

import cv2
import numpy as np
from av import VideoFrame
from numpy.typing import NDArray

from dam_pipeline.media.graphs import Shrink

LONG_PX, SHORT_PX = 64, 36
SAMPLES = (4, 2)  # along and across lines, for each sample of the glance

Glance = NDArray[np.uint8]  # (36, 64, 3), or (64, 36, 3) of tall pictures: Y, U, V as coded


class GlanceTaker:
    """Takes glances of the frames of one stream."""

    def __init__(self, stream: Any) -> None:
        is_tall = stream.height > stream.width
        self._size = (SHORT_PX, LONG_PX) if is_tall else (LONG_PX, SHORT_PX)
        grid = (2 * self._size[0], 2 * self._size[1])
        self._graph = Shrink(stream.time_base, grid, "yuv444p", "fast_bilinear")

    def take(self, frame: VideoFrame) -> Glance:
        """The frame's glance, as coded: neither turned nor in full range."""
        layout = frame.format
        is_plain = layout.name.startswith("yuv") and layout.is_planar and not layout.is_big_endian
        if not is_plain:
            frame = self._graph.one(frame)
        depth = frame.format.components[0].bits
        planes = [self._reduced(plane_of(frame, index)) for index in range(3)]
        glance: NDArray[Any] = cv2.merge(planes)
        if depth > 8:
            glance = cv2.convertScaleAbs(glance, alpha=0.5 ** (depth - 8))
        return np.asarray(glance, dtype=np.uint8)

    def _reduced(self, plane: NDArray[Any]) -> NDArray[Any]:
        width, height = self._size
        along, across = SAMPLES
        lines = plane[:: max(1, plane.shape[0] // (across * height))]
        grid = cv2.resize(lines, (along * width, across * height), interpolation=cv2.INTER_LINEAR)
        return cv2.resize(grid, self._size, interpolation=cv2.INTER_AREA)


def plane_of(frame: VideoFrame, index: int) -> NDArray[Any]:
    """A plane of a planar frame as (h, w) samples, not copied: valid as long as the frame."""
    plane: Any = frame.planes[index]
    kind = "<u2" if frame.format.components[index].bits > 8 else np.uint8
    return np.frombuffer(plane, dtype=kind).reshape(plane.height, -1)[:, : plane.width]
