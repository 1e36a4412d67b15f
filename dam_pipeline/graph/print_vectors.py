"""From prints to vectors: the low frequencies of a 16 × 16 picture, seen through a window of it.

All here is linear, so that a crop or a mirror image is made from the stored print at match time.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

SIDE = 16  # of a stored print
KEPT = 8  # frequencies a side
LEAST_LENGTH = 30.0  # of a vector that says anything: codecs alone move it by about ten
FIT_STEPS = (0.04, 0.02, 0.01)
FIT_BEYOND = 0.03  # of a side by which a window may reach over the edge
LEAST_WINDOW = 0.7  # of a side
LEAST_GAIN = 1e-4  # in cosines that a step must bring
SAMPLES = 4  # points a cell when a window is resampled

Vectors = NDArray[np.float32]  # (n, 63)


@dataclass(frozen=True, slots=True)
class View:
    """A window of a picture (0–1 from the top left), mirrored left to right first or not."""

    top: float = 0.0
    bottom: float = 1.0
    left: float = 0.0
    right: float = 1.0
    is_mirrored: bool = False


WHOLE = View()
MIRRORED = View(is_mirrored=True)
# A tenth off, at the corners, the edges or in the middle; and a tenth off every side. What lies
# between is still alike.
CROPS = (
    *(
        View(top, round(top + 0.9, 2), left, round(left + 0.9, 2))
        for top in (0.0, 0.05, 0.1)
        for left in (0.0, 0.05, 0.1)
    ),
    View(0.1, 0.9, 0.1, 0.9),
)
VIEWS = (WHOLE, MIRRORED, *CROPS)


def vectors_of(luma: NDArray[Any], view: View = WHOLE) -> Vectors:
    """Weighted frequencies of prints (n, 256) as they look through the window; not of length 1."""
    planes = np.asarray(luma, np.float32).reshape(-1, SIDE, SIDE)
    if view.is_mirrored:
        planes = planes[:, :, ::-1]
    down, across = _frequencies(view.top, view.bottom), _frequencies(view.left, view.right)
    found = down @ (np.ascontiguousarray(planes).reshape(-1, SIDE) @ across.T).reshape(
        -1, SIDE, KEPT
    )
    return np.asarray(found.reshape(-1, KEPT * KEPT)[:, _ORDER] * _WEIGHTS)


def changes_of(values: NDArray[Any], media: NDArray[np.int64]) -> NDArray[np.float32]:
    """What changed from the row before to the row after, in the same media; 0 at its ends.

    Holds for prints and for their vectors. It leaves out whatever stands still: a logo, a place.
    """
    change = np.zeros(values.shape, np.float32)
    if len(values) > 2:
        inside = media[2:] == media[:-2]
        change[1:-1][inside] = values[2:][inside].astype(np.float32) - values[:-2][inside]
    return change


def lengths_of(vectors: Vectors) -> NDArray[np.float32]:
    """The vectors' lengths."""
    return np.asarray(np.sqrt(np.einsum("ij,ij->i", vectors, vectors)))


def cosines(one: Vectors, other: Vectors) -> NDArray[np.float32]:
    """The cosines of rows, of each with its like; 0 where one says nothing."""
    lengths = lengths_of(one), lengths_of(other)
    says = np.minimum(*lengths) >= LEAST_LENGTH
    products = np.einsum("ij,ij->i", one, other)
    return np.asarray(np.where(says, products / np.maximum(lengths[0] * lengths[1], 1e-6), 0.0))


def fitted(outer: NDArray[Any], inner: NDArray[Any], view: View) -> View:
    """The window near `view` through which prints of `outer` are most like those of `inner`.

    Its sides are moved by ever smaller steps, each time the one that helps most, as long as any does.
    """
    target = vectors_of(inner)
    best = float(cosines(vectors_of(outer, view), target).sum())
    for step in FIT_STEPS:
        while True:
            windows = _moved(view, step)
            sums = _likenesses(outer, target, windows)
            most = int(np.argmax(sums))
            if sums[most] <= best + LEAST_GAIN:
                break
            best, view = float(sums[most]), windows[most]
    return view


def _likenesses(
    outer: NDArray[Any], target: Vectors, windows: Sequence[View]
) -> NDArray[np.float32]:
    """The sum of cosines of prints with their likes, through each window; mirrored all or none."""
    planes = np.asarray(outer, np.float32).reshape(-1, SIDE, SIDE)
    if windows[0].is_mirrored:
        planes = np.ascontiguousarray(planes[:, :, ::-1])
    down = np.stack([_frequencies(one.top, one.bottom) for one in windows])
    across = np.stack([_frequencies(one.left, one.right) for one in windows])
    seen = down[:, None] @ planes[None] @ across.transpose(0, 2, 1)[:, None]
    vectors = seen.reshape(-1, KEPT * KEPT)[:, _ORDER] * _WEIGHTS
    targets = np.broadcast_to(target, (len(windows), *target.shape)).reshape(vectors.shape)
    likenesses = cosines(np.asarray(vectors, np.float32), targets)
    return likenesses.reshape(len(windows), -1).sum(axis=1)


@lru_cache(maxsize=4096)
def _moved(view: View, step: float) -> tuple[View, ...]:
    """The windows with one side, or two that face each other, moved by a step, where allowed."""
    moved = []
    for sides in (
        ("top",),
        ("bottom",),
        ("left",),
        ("right",),
        ("top", "bottom"),
        ("left", "right"),
    ):
        for by in (-step, step):
            places = {side: round(getattr(view, side) + by, 4) for side in sides}
            tried = replace(view, **places)
            small = min(tried.bottom - tried.top, tried.right - tried.left) < LEAST_WINDOW
            if not small and all(-FIT_BEYOND <= at <= 1 + FIT_BEYOND for at in places.values()):
                moved.append(tried)
    return tuple(moved)


def _order() -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Places of the frequencies, low ones first, and their weights.

    Pictures have about 1 / f of each frequency: the square root of f gives the finer ones some say.
    """
    down, across = np.divmod(np.arange(KEPT * KEPT), KEPT)
    order = np.lexsort((np.abs(down - across), down + across))[1:]
    frequency = np.hypot(down, across)[order]
    return order, (np.sqrt(frequency)).astype(np.float32)


_ORDER, _WEIGHTS = _order()


@lru_cache(maxsize=4096)
def _frequencies(low: float, high: float) -> NDArray[np.float32]:
    """Cosine transform (8, 16) of a row's stretch [low, high) of 0–1, resampled to 16 cells."""
    place = np.arange(SIDE)
    points = (np.arange(SIDE * SAMPLES) + 0.5) / (SIDE * SAMPLES)
    at = np.clip((low + (high - low) * points) * SIDE - 0.5, 0, SIDE - 1)
    hats = np.maximum(0.0, 1.0 - np.abs(at[:, None] - place))
    cells = hats.reshape(SIDE, SAMPLES, SIDE).mean(axis=1)
    waves = np.cos(np.pi * np.outer(np.arange(KEPT), 2 * place + 1) / (2 * SIDE))
    waves *= np.sqrt(2 / SIDE)
    waves[0] /= np.sqrt(2)
    return np.asarray(waves @ cells, np.float32)
