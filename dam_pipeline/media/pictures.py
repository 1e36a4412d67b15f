"""Measures of a picture and the writing of JPEGs; pictures are (h, w, 3) uint8 RGB arrays.

Used in the decoder child only: nothing here opens an original.
"""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dam_pipeline.errors import UnsupportedMedia
from dam_pipeline.media.candidates import THUMB_PX, Candidate, Thumb
from dam_pipeline.media.glances import Glance

JPEG_QUALITY = 90
Picture = NDArray[np.uint8]
Luma = NDArray[np.uint8]  # (h, w)


def fit(width: int, height: int, px: int) -> tuple[int, int]:
    """The size whose long side is at most `px`, in the same proportion, never enlarged."""
    scale = min(1.0, px / max(width, height, 1))
    return max(1, round(width * scale)), max(1, round(height * scale))


def thumb_of(picture: Picture) -> Thumb:
    """The small square picture in which change is measured; channels stay as they are."""
    small = cv2.resize(picture, (THUMB_PX, THUMB_PX), interpolation=cv2.INTER_AREA)
    return np.asarray(small, dtype=np.uint8)


def thumb_of_glance(glance: Glance) -> Thumb:
    """The same of a glance, its colours back in three channels that weigh alike."""
    return np.asarray(cv2.cvtColor(thumb_of(glance), cv2.COLOR_YUV2BGR), dtype=np.uint8)


def luma_of(picture: Picture) -> Luma:
    """The picture's luma."""
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), dtype=np.uint8)


def measure(luma: Luma, time_s: float, thumb: Thumb, picture: Any = None) -> Candidate:
    """A candidate with sharpness (variance of the Laplacian), exposure and contrast of luma."""
    mean, deviation = cv2.meanStdDev(luma)
    _, edges = cv2.meanStdDev(cv2.Laplacian(luma, cv2.CV_16S))
    return Candidate(
        time_s=time_s,
        thumb=thumb,
        sharpness=float(edges[0, 0]) ** 2,
        exposure=float(mean[0, 0]) / 255,
        contrast=float(deviation[0, 0]) / 255,
        picture=picture,
    )


def check_size(width: int, height: int, max_megapixels: float) -> None:
    """Raise UnsupportedMedia for a picture that is larger than the limit."""
    megapixels = width * height / 1e6
    if megapixels > max_megapixels:
        raise UnsupportedMedia(
            f"has {width} × {height} pixels ({megapixels:.0f} megapixels), more than the limit of "
            f"{max_megapixels:g}; raise DAM_MAX_MEGAPIXELS if the file is trusted."
        )


def write_jpeg(picture: Picture | Image.Image, path: Path) -> tuple[int, int]:
    """Write a JPEG; returns its width and height. The same picture gives the same bytes."""
    image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
    image.save(path, "JPEG", quality=JPEG_QUALITY)
    return image.size


def turn(picture: NDArray[Any], quarter_turns: int, mirrored: bool = False) -> NDArray[Any]:
    """The picture mirrored left to right if asked, then turned counter-clockwise."""
    turned = np.fliplr(picture) if mirrored else picture
    return np.ascontiguousarray(np.rot90(turned, quarter_turns))
