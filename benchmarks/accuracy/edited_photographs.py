"""Photographs drawn from a seed, and their edits. Used by near_duplicates.py only."""

from pathlib import Path

import numpy as np
from copies import Clip, shapes
from PIL import Image

from dam_pipeline.samples.textures import draw_texture


def make_photographs(folder: Path, seed: int) -> list[Clip]:
    """Forty pictures of every kind the samples can draw, and four edits of each."""
    clips = []
    for number in range(40):
        random = np.random.default_rng([seed, 99, number])
        name = f"{number:02d}"
        image = Image.fromarray(_photograph(number, random))
        width, height = image.size
        left, top = (int(random.uniform(0, 0.1) * side) for side in image.size)
        box = (left, top, left + round(0.9 * width), top + round(0.9 * height))
        edits = {
            "original": (image, 92),
            "reencoded": (image, 25),
            "resized": (image.resize((int(width * 0.37), int(height * 0.37))), 85),
            "crop": (image.crop(box), 85),
            "mirrored": (image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), 85),
        }
        for edit, (picture, quality) in edits.items():
            path = folder / f"{name}-{edit}.jpg"
            picture.save(path, quality=quality)
            clips.append(Clip(path, name, edit))
    return clips


def _photograph(number: int, random: np.random.Generator) -> np.ndarray:
    """Clutter, clouds, shapes on a ground, or grain."""
    size = ((960, 640), (640, 960), (800, 600))[number % 3]
    kind = ("clutter", "clouds", "scene", "plain", "noise", "stripes", "gradient", "clutter")[
        number % 8
    ]
    if kind in ("scene", "plain"):
        ground = np.full((size[1], size[0], 3), random.integers(30, 226, 3), np.uint8)
        if kind == "scene":
            ground = draw_texture("clouds", size, random)
        return next(shapes(size, 1, random, ground, 0.3))
    return draw_texture(kind, size, random)
