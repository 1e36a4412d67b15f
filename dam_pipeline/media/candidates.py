"""Candidates for keyframe: what is known of a sampled picture, and how two of them are compared.

Pure arithmetic on small arrays; who is chosen is the business of `keyframes`.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

THUMB_PX = 32  # side of the square, three-channel picture in which change is measured
CHANGED_LEVEL = 24  # of 255; sensor noise averaged over a thumb's pixel stays well below it
STIRRED_LEVEL = 12  # of 255; counts only where the picture has been still so far
CELLS = 4  # change is looked for in windows of 2 × 2 of 4 × 4 cells, a quarter of the picture
MOMENT_LEVEL = 14  # of 255; what differs more from the usual picture around it is a moment
MOMENT_SHARE = 0.004  # of the picture that halves `calm`: both eyes of a face in a close shot
LEAST_CALM = 0.2  # where everything moves

Thumb = NDArray[np.uint8]
Luma = NDArray[np.uint8]


@dataclass(slots=True)
class Candidate:
    """A sampled picture: `thumb` is (32, 32, 3) uint8; `exposure` mean and `contrast` standard
    deviation of luma in 0–1; `picture` is whatever the feeder needs to keep it. `moment` is a small
    luma by which it is compared with those around it; `calm` (0–1) comes of that."""

    time_s: float
    thumb: Thumb
    sharpness: float
    exposure: float
    contrast: float
    picture: Any = None
    moment: Luma | None = None
    calm: float = 1.0


def changed_share(reference: Thumb, other: Thumb) -> float:
    """Largest share of changed pixels (0–1) in any quarter of the picture.

    A quarter, not the whole, so that a small thing in a still picture counts; the median shift of
    brightness is taken out, so that a passing cloud does not.
    """
    return _largest_share(_changes(reference, other) > CHANGED_LEVEL, CELLS)


def stirred_share(reference: Thumb, other: Thumb) -> float:
    """The same in any sixteenth and for fainter changes: noise, swaying leaves, or a small thing."""
    return _largest_share(_changes(reference, other) > STIRRED_LEVEL, 2 * CELLS)


def _changes(reference: Thumb, other: Thumb) -> NDArray[Any]:
    difference = other.astype(np.int16) - reference
    shift = np.clip(np.median(difference, axis=(0, 1)), -CHANGED_LEVEL, CHANGED_LEVEL)
    largest: NDArray[Any] = np.abs(difference - shift).max(axis=2)
    return largest


def _largest_share(changed: NDArray[Any], cells: int) -> float:
    side = THUMB_PX // cells
    shares = changed.reshape(cells, side, cells, side).mean(axis=(1, 3))
    windows = shares[:-1, :-1] + shares[1:, :-1] + shares[:-1, 1:] + shares[1:, 1:]
    return float(windows.max()) / 4


def quality(candidate: Candidate) -> float:
    """How good a picture is by sharpness and exposure; near 0 when black, white or blank."""
    low, high = 0.08, 0.92
    darkness = min(1.0, candidate.exposure / low)
    brightness = min(1.0, (1 - candidate.exposure) / (1 - high))
    blankness = min(1.0, candidate.contrast / 0.04)
    exposure = max(0.02, darkness * brightness * blankness) ** 2
    return math.log1p(candidate.sharpness) * exposure + 1e-3 * exposure


def calm(around: Sequence[Luma], moment: Luma) -> float:
    """How much a picture looks like the usual of those around it (0–1): low in a blink."""
    usual = np.median(np.stack(around), axis=0)
    share = float(np.mean(np.abs(moment - usual) > MOMENT_LEVEL))
    return max(LEAST_CALM, 1 / (1 + share / MOMENT_SHARE))
