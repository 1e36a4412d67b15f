"""Dominant colours by arithmetic: each pixel gets the name of the nearest known colour.

Distances are in OKLab (Ottosson 2020, "A perceptual color space for image processing"), where equal
steps look equal. A table of 32³ colours holds the answers, so a picture costs a look-up a pixel.
"""

from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image

LOOKED_AT_PX = 160  # longest side at which colours are counted; JPEG decodes to it in about 1 ms
LEVELS = 32  # steps of a channel in the table
DOMINANT = 0.08  # least share of the picture that is worth a name
MOST = 6  # names a picture

# Several sRGB values a name, since what a name covers is no ball: brown is dark orange, navy is blue.
EXAMPLES: dict[str, tuple[int, ...]] = {
    "red": (0xD61E24, 0xFF0000, 0xB22222, 0x8B0000, 0xE34234, 0xDC143C, 0x9B1B1B),
    "orange": (0xF68614, 0xFF8C00, 0xFFA500, 0xFF7F2A, 0xE87722, 0xF5A742),
    "yellow": (0xF6DE28, 0xFFFF00, 0xFFD700, 0xE6C200, 0xFFF04D, 0xD4C21A, 0xF7E98E),
    "green": (
        *(0x229634, 0x00FF00, 0x008000, 0x006400, 0x6B8E23, 0x7CB342, 0x2E8B57, 0x90EE90),
        *(0x1F4D2B, 0x55803E, 0x9ACD32, 0x3C5A28),
    ),
    "turquoise": (0x40E0D0, 0x00CED1, 0x008B8B, 0x00FFFF, 0x20B2AA, 0x007A7A, 0x7FE5DC),
    "blue": (
        *(0x1E42D6, 0x0000FF, 0x00008B, 0x4169E1, 0x1E90FF, 0x87CEEB, 0x4682B4, 0x191970),
        *(0x6CA6E0, 0x23395B),
    ),
    "purple": (0x7A289C, 0x800080, 0x8A2BE2, 0x9932CC, 0x4B0082, 0x9370DB, 0xBA55D3, 0x5B3A75),
    "pink": (0xFA96BE, 0xFFC0CB, 0xFF69B4, 0xFF1493, 0xDB7093, 0xF4A6B7, 0xFF00FF, 0xE75480),
    "brown": (0x8B4513, 0x5C4033, 0xA0522D, 0x6B4423, 0x7B5B3A, 0x3B2412, 0x996633),
    "beige": (0xF5F5DC, 0xD2B48C, 0xE6D3B3, 0xC8AD7F, 0xEAD9C0, 0xE8C4A0),
    "grey": (0x808082, 0x606060, 0xA0A0A0, 0xBFBFBF, 0x4A4A4A, 0x77808A, 0x8A827A),
    "black": (0x0E0E10, 0x000000, 0x1E1E1E, 0x14181C, 0x1C1614),
    "white": (0xF4F4F2, 0xFFFFFF, 0xE8E8E8, 0xF0F4F8, 0xFAF5EF),
}
NAMES: tuple[str, ...] = tuple(EXAMPLES)


def read_small(path: Path) -> np.ndarray:
    """A picture for counting colours, (h, w, 3) uint8 RGB; decoded small where it is a JPEG.

    Raises OSError for one that cannot be read.
    """
    with Image.open(path) as image:
        image.draft("RGB", (LOOKED_AT_PX, LOOKED_AT_PX))
        # A JPEG is reduced by its decoder to at least the size asked, by 8 at most.
        small = image.reduce(max(1, max(image.size) // LOOKED_AT_PX))
        return np.asarray(small.convert("RGB"))


def bins(picture: np.ndarray) -> np.ndarray:
    """Cell of the table, 0 to 32³ - 1, of each pixel of an (h, w, 3) uint8 RGB picture."""
    levels = picture.astype(np.uint32) // (256 // LEVELS)
    cells: np.ndarray = (levels[..., 0] * LEVELS + levels[..., 1]) * LEVELS + levels[..., 2]
    return cells


def shares(picture: np.ndarray) -> np.ndarray:
    """Share (names,) float64 of each of `NAMES` in an (h, w, 3) uint8 RGB picture."""
    counts = np.bincount(_table()[bins(picture)].ravel(), minlength=len(NAMES))
    found: np.ndarray = counts / counts.sum()
    return found


def dominant(found: np.ndarray) -> dict[str, float]:
    """The colours with a share worth naming, the largest first."""
    order = np.argsort(-found, kind="stable")[:MOST]
    return {NAMES[n]: round(float(found[n]), 4) for n in order if found[n] >= DOMINANT}


def oklab(rgb: np.ndarray) -> np.ndarray:
    """sRGB values (n, 3) in 0–1 as OKLab (n, 3)."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    cone = np.cbrt(linear @ _TO_CONES.T)
    result: np.ndarray = cone @ _TO_LAB.T
    return result


_TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_TO_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


@lru_cache(maxsize=1)
def _table() -> np.ndarray:
    """Name, as its number, of the middle of each cell: uint8 (32³,)."""
    middles = (np.arange(LEVELS) + 0.5) / LEVELS
    cells = np.stack(np.meshgrid(middles, middles, middles, indexing="ij"), axis=-1).reshape(-1, 3)
    values = np.array([value for some in EXAMPLES.values() for value in some])
    names = np.repeat(np.arange(len(NAMES)), [len(some) for some in EXAMPLES.values()])
    known = oklab(np.stack([values >> 16, values >> 8 & 255, values & 255], axis=1) / 255)
    points = oklab(cells)
    far = (points**2).sum(1)[:, None] - 2 * points @ known.T + (known**2).sum(1)
    table: np.ndarray = names[far.argmin(axis=1)].astype(np.uint8)
    return table
