"""Fingerprints: what is left of half a second of picture when codec, size and rate are taken away.

A print is the mean picture of its span, without black borders, squeezed to 16 × 16. The mean makes
it a smooth function of time: a copy whose prints fall between ours still resembles them. How
prints are compared is no business of this module.
"""

import base64
import math
from collections import deque
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from dam_pipeline.media.pictures import Picture, fit, turn
from dam_pipeline.records import Print

PRINT_S = 0.5  # one print a span of this length
LUMA_SIDE = 16
CHROMA_SIDE = 4
WORK_PX = 96  # long side of the pictures that are averaged
BORDER_REACH = 10  # prints before and after that must agree on a border: five seconds each
BORDER_LUMA = 18  # of 255: what coding noise makes of black
BORDER_MOST = 0.3  # of a side; a wider border is a dark scene
DETAIL_STEP = 1.0  # levels from pixel to pixel that count as detail; a card is plain but for edges

Planes = NDArray[np.float32]  # (h, w, 3): luma, Cr, Cb


@dataclass(frozen=True, slots=True)
class _Mean:
    """The mean picture of a span, upright, and its lit box: top, bottom, left, right in 0–1."""

    start_s: float
    end_s: float
    planes: Planes
    border: tuple[float, float] | None


class PrintMaker:
    """Makes prints from the frames of a file, one by one; holds some ten seconds of small means."""

    def __init__(self) -> None:
        self.prints: list[Print] = []
        self._frame: NDArray[np.uint8] | None = None
        self._since_s = 0.0  # when the present frame came up, or its span began
        self._form: tuple[int, bool] = (0, False)
        self._sum: Planes | None = None
        self._weight_s = 0.0
        self._start_s = 0.0
        self._means: deque[_Mean] = deque()
        self._done = 0  # means at the front that are prints already

    def see(self, time_s: float, small: NDArray[np.uint8], turns: int, is_mirrored: bool) -> None:
        """Take a small BGR frame, not turned; it shows until the next one comes."""
        self._show_until(time_s)
        height, width = small.shape[:2]
        reduced = cv2.resize(small, fit(width, height, WORK_PX), interpolation=cv2.INTER_AREA)
        frame = np.asarray(cv2.cvtColor(reduced, cv2.COLOR_BGR2YCrCb), dtype=np.uint8)
        if self._frame is None:
            self._start_s = self._since_s = time_s
        elif frame.shape != self._frame.shape:
            self._close(time_s)
        self._frame, self._form = frame, (turns, is_mirrored)

    def finish(self, end_s: float) -> tuple[Print, ...]:
        """All prints; the last frame shows until `end_s`."""
        self._show_until(end_s)
        self._close(end_s)
        while self._done < len(self._means):
            self._print_next()
        return tuple(self.prints)

    def _show_until(self, time_s: float) -> None:
        """Add the present frame to the spans that it fills."""
        if self._frame is None:
            return
        while time_s >= self._start_s + PRINT_S:
            end_s = self._start_s + PRINT_S
            self._add(end_s)
            self._close(end_s)
        self._add(time_s)

    def _add(self, until_s: float) -> None:
        weight_s = until_s - self._since_s
        if weight_s <= 0 or self._frame is None:
            return
        if self._sum is None:
            self._sum = np.zeros(self._frame.shape, np.float32)
        cv2.scaleAdd(self._frame.astype(np.float32), weight_s, self._sum, self._sum)
        self._weight_s += weight_s
        self._since_s = until_s

    def _close(self, end_s: float) -> None:
        """End the span; what is shorter than a frame of film is dropped."""
        if self._sum is not None and self._weight_s > 0.02:
            planes = turn(self._sum / self._weight_s, *self._form)
            self._means.append(_Mean(self._start_s, end_s, planes, _border(planes[:, :, 0])))
            if len(self._means) - self._done > BORDER_REACH:
                self._print_next()
        self._sum, self._weight_s = None, 0.0
        self._start_s = self._since_s = end_s

    def _print_next(self) -> None:
        mean = self._means[self._done]
        borders = [one.border for one in self._means if one.border is not None]
        top, left = (min(each) for each in zip(*borders, strict=True)) if borders else (0.0, 0.0)
        self.prints.append(_print(mean.planes, mean.start_s, mean.end_s, (top, left)))
        self._done += 1
        if self._done > BORDER_REACH:
            self._means.popleft()
            self._done -= 1


def print_of_photo(picture: Picture) -> Print:
    """The one print of an upright RGB picture."""
    height, width = picture.shape[:2]
    size = fit(width, height, WORK_PX)
    reduced = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    planes = cv2.cvtColor(reduced, cv2.COLOR_RGB2YCrCb).astype(np.float32)
    return _print(planes, 0.0, 0.0, _border(planes[:, :, 0]) or (0.0, 0.0))


def _border(luma: NDArray[Any]) -> tuple[float, float] | None:
    """Height of the black bars above and below, width of those at the sides, in 0–1 of the picture.

    Bars are as wide on both sides; None for a picture that is all black.
    """
    lit = luma > BORDER_LUMA
    rows, columns = np.flatnonzero(lit.any(axis=1)), np.flatnonzero(lit.any(axis=0))
    if not len(rows):
        return None
    height, width = luma.shape
    top = min(rows[0], height - 1 - rows[-1]) / height
    left = min(columns[0], width - 1 - columns[-1]) / width
    return (top if top <= BORDER_MOST else 0.0, left if left <= BORDER_MOST else 0.0)


def _print(planes: Planes, start_s: float, end_s: float, border: tuple[float, float]) -> Print:
    height, width = planes.shape[:2]
    # One row more than the bar: where it ends within a pixel, that row is half black.
    top, left = (
        math.ceil(share * side) + 1 if share else 0
        for share, side in zip(border, (height, width), strict=True)
    )
    inner = np.ascontiguousarray(planes[top : height - top, left : width - left])
    luma = _shrunk(inner[:, :, 0], LUMA_SIDE)
    chroma = [_shrunk(inner[:, :, channel], CHROMA_SIDE) for channel in (2, 1)]
    return Print(
        start_s=start_s,
        end_s=end_s,
        luma=base64.b64encode(luma.tobytes()).decode("ascii"),
        chroma=base64.b64encode(b"".join(one.tobytes() for one in chroma)).decode("ascii"),
        detail=_detail(inner[:, :, 0]),
    )


def _shrunk(plane: NDArray[Any], side: int) -> NDArray[np.uint8]:
    small = cv2.resize(np.ascontiguousarray(plane), (side, side), interpolation=cv2.INTER_AREA)
    return np.clip(np.rint(small), 0, 255).astype(np.uint8)


def _detail(luma: NDArray[Any]) -> float:
    """The share of the picture that differs from its neighbour below or to the right."""
    if min(luma.shape) < 2:
        return 0.0
    down = np.abs(np.diff(luma, axis=0))[:, :-1]
    right = np.abs(np.diff(luma, axis=1))[:-1]
    return round(float((np.maximum(down, right) >= DETAIL_STEP).mean()), 4)
