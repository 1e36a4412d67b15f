"""Drawn pictures as a network sees them: spoilt as files and clips spoil them, then reduced to its input.

Here belong degradation, preparation and the stock of training pictures. Drawing itself is in `samples`.
"""

from collections.abc import Sequence
from io import BytesIO

import numpy as np
from PIL import Image, ImageFilter, ImageOps

from dam_pipeline.samples.drawing import Scene, draw_scene
from dam_pipeline.samples.textures import draw_texture

INPUT_SIDE = 72
"""Side of the network's square input, pixels."""

DRAWN_SIZES: tuple[tuple[int, int], ...] = (
    (96, 96),
    (128, 128),
    (170, 96),
    (228, 128),
    (160, 120),
    (96, 170),
)
"""Sizes (width, height) at which training pictures are drawn before they are reduced."""


def prepare(picture: np.ndarray) -> np.ndarray:
    """Shorter side to `INPUT_SIDE` by bicubic resampling, then a centre crop, as CLIPImageProcessor does.

    Takes and gives uint8 RGB (height, width, 3); the result is square.
    """
    height, width = picture.shape[:2]
    share = INPUT_SIDE / min(height, width)
    size = (
        max(INPUT_SIDE, round(width * share)),
        max(INPUT_SIDE, round(height * share)),
    )
    small = np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC))
    top, left = (size[1] - INPUT_SIDE) // 2, (size[0] - INPUT_SIDE) // 2
    return small[top : top + INPUT_SIDE, left : left + INPUT_SIDE]


def spoil(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A picture after some of: letterbox bars, blur, JPEG compression, noise, a change of brightness."""
    image = Image.fromarray(picture)
    if rng.random() < 0.08:
        bar = round(image.height * rng.uniform(0.05, 0.17))
        image = ImageOps.expand(image, (0, bar))
    if rng.random() < 0.2:
        image = image.filter(ImageFilter.GaussianBlur(rng.uniform(0.3, 0.012 * min(image.size))))
    if rng.random() < 0.35:
        file = BytesIO()
        image.save(file, "JPEG", quality=int(rng.integers(25, 90)))
        image = Image.open(file)
    values = np.asarray(image, np.float32)
    if rng.random() < 0.3:
        values = values * rng.uniform(0.93, 1.06) + rng.uniform(-6, 6)
    if rng.random() < 0.2:
        values = values + rng.normal(0, rng.uniform(1, 9), values.shape).astype(np.float32)
    return np.clip(values + 0.5, 0, 255).astype(np.uint8)


def take(picture: Scene | str, rng: np.random.Generator) -> np.ndarray:
    """A scene, or a texture given by its kind, drawn, spoilt and prepared: uint8 RGB, square."""
    size = DRAWN_SIZES[rng.integers(len(DRAWN_SIZES))]
    drawn = (
        draw_texture(picture, size, rng)
        if isinstance(picture, str)
        else draw_scene(picture, size, rng)
    )
    return prepare(spoil(drawn, rng))


def stock(pictures: Sequence[Scene], copies: int, rng: np.random.Generator) -> np.ndarray:
    """Some versions of each scene, uint8 (scenes, copies, side, side, 3)."""
    shelf = np.empty((len(pictures), copies, INPUT_SIDE, INPUT_SIDE, 3), np.uint8)
    for place, picture in enumerate(pictures):
        for copy in range(copies):
            shelf[place, copy] = take(picture, rng)
    return shelf


def views(kind: str, rng: np.random.Generator) -> np.ndarray:
    """One texture seen twice, cropped and spoilt differently: uint8 (2, side, side, 3)."""
    drawn = draw_texture(kind, DRAWN_SIZES[rng.integers(len(DRAWN_SIZES))], rng)
    height, width = drawn.shape[:2]
    seen = []
    for _ in range(2):
        share = rng.uniform(0.85, 1)
        top = rng.integers(int(height * (1 - share)) + 1)
        left = rng.integers(int(width * (1 - share)) + 1)
        part = drawn[top : top + int(height * share), left : left + int(width * share)]
        seen.append(prepare(spoil(part, rng)))
    return np.stack(seen)
