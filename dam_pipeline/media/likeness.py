"""Whether two glances show the same scene, whatever the light and though the camera moved."""

import cv2
import numpy as np
from numpy.typing import NDArray

from dam_pipeline.media.glances import Glance

WINDOW_PX = 9  # detail is what differs from the mean of such a window
NOISE = 3.0  # levels; detail fainter than that counts for less
BAR_LEVELS = 0.6  # deviation below which a line at the edge is part of a bar
LEAST_LEFT = 0.25  # share of lines; with less left between bars, the picture itself is blank
NEAR, FAR = 1 / 16, 1 / 4  # how far the camera may have moved, as a share of the picture
# Correlations, measured on 186 cuts and 120 flashes, lamps, pans: unlike scenes reach 0.32 within
# NEAR and 0.6 within FAR, which tries more places; a scene in other light keeps 0.36 and more.
SAME_NEAR, SAME_FAR = 0.42, 0.75
SURELY_SAME = 0.45  # within NEAR, where something else speaks for two scenes


def difference(one: Glance, other: Glance) -> float:
    """Mean absolute difference of a sample, its luma and both colours added, in levels."""
    return float(cv2.norm(one, other, cv2.NORM_L1)) / (one.shape[0] * one.shape[1])


def is_same_scene(one: Glance, other: Glance, near: float = SAME_NEAR) -> bool:
    """Whether the pictures agree in detail, letterbox apart."""
    lumas = _between_bars(one[..., 0], other[..., 0])
    details = (_detail(lumas[0]), _detail(lumas[1]))
    return _likeness(*details, NEAR) >= near or _likeness(*details, FAR) >= SAME_FAR


def _detail(luma: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Luma without its local mean, by its local deviation: what stays when lamps go on or off."""
    detail = luma.astype(np.float32)
    detail -= cv2.blur(detail, (WINDOW_PX, WINDOW_PX))
    power = cv2.blur(detail * detail, (WINDOW_PX, WINDOW_PX))
    return np.asarray(detail / np.sqrt(power + NOISE**2), dtype=np.float32)


def _likeness(one: NDArray[np.float32], other: NDArray[np.float32], reach: float) -> float:
    """Best correlation (−1 to 1) of the other without its margins with any part of the one."""
    height, width = other.shape
    y, x = int(height * reach), int(width * reach)
    middle = np.ascontiguousarray(other[y : height - y, x : width - x])
    return float(cv2.matchTemplate(one, middle, cv2.TM_CCOEFF_NORMED).max())


def _between_bars(*lumas: NDArray[np.uint8]) -> list[NDArray[np.uint8]]:
    """The pictures without the bars that both have: their edges would look alike."""
    rows, columns = (slice(*_lively(lumas, axis)) for axis in (1, 0))
    return [luma[rows, columns] for luma in lumas]


def _lively(lumas: tuple[NDArray[np.uint8], ...], axis: int) -> tuple[int, int]:
    lively = np.flatnonzero(np.max([luma.std(axis=axis) for luma in lumas], axis=0) > BAR_LEVELS)
    lines = lumas[0].shape[1 - axis]
    if lively.size < LEAST_LEFT * lines:
        return 0, lines
    return int(lively[0]), int(lively[-1]) + 1
