"""Glances: every frame as 64 × 36 samples of luma and colour, all that finding shots needs.

The filter graph samples a grid of 128 × 72 without reading the whole frame: 0.1 ms a frame of 1080
lines that no cache holds, where averaging all of it takes 0.5 ms.
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
        self._grid = Shrink(stream.time_base, grid, "yuv420p", "fast_bilinear")
        self._colour = Shrink(stream.time_base, grid, "bgr24", "fast_bilinear")
        self._latest: VideoFrame | None = None

    def take(self, frame: VideoFrame) -> Glance:
        """The frame's glance, as coded: neither turned nor in full range."""
        self._latest = grid = self._grid.one(frame)
        luma = cv2.resize(plane_of(grid, 0), self._size, interpolation=cv2.INTER_AREA)
        planes = [luma, plane_of(grid, 1), plane_of(grid, 2)]
        return np.asarray(cv2.merge(planes), dtype=np.uint8)

    def coloured(self) -> NDArray[np.uint8]:
        """The latest grid in BGR, (72, 128, 3) or (128, 72, 3) whatever the frame's proportions."""
        if self._latest is None:
            raise ValueError("no glance was taken yet; call take first")
        return np.asarray(self._colour.one(self._latest).to_ndarray(), dtype=np.uint8)


def plane_of(frame: VideoFrame, index: int) -> NDArray[Any]:
    """A plane of a planar frame as (h, w) samples, not copied: valid as long as the frame."""
    plane: Any = frame.planes[index]
    kind = "<u2" if frame.format.components[index].bits > 8 else np.uint8
    return np.frombuffer(plane, dtype=kind).reshape(plane.height, -1)[:, : plane.width]
