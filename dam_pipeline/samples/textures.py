"""Drawn pictures without shapes: noise, stripes, gradients and the like, for telling scenes from everything else.

Here belongs how each texture is painted; a plain background counts as one, named by its colour.
Scenes with shapes are in `drawing`.
"""

from collections.abc import Callable
from dataclasses import replace
from types import MappingProxyType

import numpy as np
from PIL import Image, ImageDraw

from dam_pipeline.samples.drawing import COLOURS, Scene, lay_out, paint, shade


def draw_texture(kind: str, size: tuple[int, int], rng: np.random.Generator | int) -> np.ndarray:
    """One of `TEXTURES`, or a plain background of a colour: uint8 RGB (height, width, 3).

    `size` is (width, height) in pixels. Raises ValueError for any other kind.
    """
    rng = np.random.default_rng(rng)
    if kind in COLOURS:
        return _plain(kind, size, rng)
    if kind not in TEXTURES:
        raise ValueError(f"cannot draw {kind!r}: use one of {', '.join((*TEXTURES, *COLOURS))}")
    picture = _PAINTERS[kind](size, rng)
    return np.clip(picture + 0.5, 0, 255).astype(np.uint8)


def _plain(colour: str, size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """The background of a scene without its shapes."""
    ink = next(name for name in COLOURS if name != colour)
    return paint(replace(lay_out(Scene(1, ink, "circle", colour), rng), placements=()), size)


def _two_colours(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two different named colours as float32 RGB."""
    first, second = rng.choice(list(COLOURS), 2, replace=False)
    return np.array(shade(first, rng), np.float32), np.array(shade(second, rng), np.float32)


def _mix(share: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Two colours blended by a (height, width) share of 0 to 1."""
    first, second = _two_colours(rng)
    return first + (second - first) * share.astype(np.float32)[..., None]


def _axes(size: tuple[int, int], angle: float) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates along and across a direction for every pixel, in short sides of the picture."""
    width, height = size
    down, across = np.mgrid[0:height, 0:width].astype(np.float32) / min(size)
    return across * np.cos(angle) + down * np.sin(angle), down * np.cos(angle) - across * np.sin(
        angle
    )


def _gradient(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    along, _ = _axes(size, rng.uniform(0, 2 * np.pi))
    return _mix((along - along.min()) / (along.max() - along.min()), rng)


def _noise(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    # The grain is a share of the picture, so that it survives being reduced to the size of a model's input.
    width, height = size
    cells = rng.integers(20, 64)
    rows, columns = (
        max(1, round(cells * height / min(size))),
        max(1, round(cells * width / min(size))),
    )
    grain = rng.integers(0, 256, (rows, columns, 3), np.uint8)
    return np.asarray(
        Image.fromarray(grain).resize((width, height), Image.Resampling.NEAREST),
        np.float32,
    )


def _stripes(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    along, _ = _axes(size, rng.uniform(0, np.pi))
    return _mix(np.floor(along * rng.uniform(4, 12)) % 2, rng)


def _chequerboard(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    along, across = _axes(size, rng.uniform(-0.2, 0.2))
    cells = rng.uniform(4, 10)
    return _mix((np.floor(along * cells) + np.floor(across * cells)) % 2, rng)


def _clouds(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    width, height = size
    share = np.zeros((height, width), np.float32)
    for octave in range(1, 5):
        grain = rng.uniform(0, 1, (2**octave + 1, 2**octave + 1)).astype(np.float32)
        smooth = Image.fromarray(grain).resize((width, height), Image.Resampling.BICUBIC)
        share += np.asarray(smooth, np.float32) / 2**octave
    return _mix(np.clip(share, 0, 1), rng)


def _clutter(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Boxes, ellipses and lines of many colours over clouds: closest to a photograph of all textures."""
    picture = Image.fromarray(np.clip(_clouds(size, rng), 0, 255).astype(np.uint8))
    pen = ImageDraw.Draw(picture)
    scale = np.array(size)
    for _ in range(rng.integers(8, 24)):
        ink = tuple(int(value) for value in rng.integers(0, 256, 3))
        corner = rng.uniform(-0.1, 1, 2)
        box = (*(corner * scale), *((corner + rng.uniform(0.03, 0.5, 2)) * scale))
        part = rng.integers(3)
        if part == 0:
            pen.rectangle(box, fill=ink)
        elif part == 1:
            pen.ellipse(box, fill=ink)
        else:
            pen.line(box, fill=ink, width=max(1, int(min(size) * rng.uniform(0.01, 0.05))))
    return np.asarray(picture, np.float32)


_PAINTERS: dict[str, Callable[[tuple[int, int], np.random.Generator], np.ndarray]] = {
    "gradient": _gradient,
    "noise": _noise,
    "stripes": _stripes,
    "chequerboard": _chequerboard,
    "clouds": _clouds,
    "clutter": _clutter,
}

TEXTURES = MappingProxyType(
    {
        "gradient": ("a gradient", "colour gradient", "a smooth gradient"),
        "noise": ("noise", "random noise", "coloured noise"),
        "stripes": ("stripes", "coloured stripes", "a striped pattern"),
        "chequerboard": ("a chequerboard", "chequerboard", "a checkerboard pattern"),
        "clouds": ("clouds", "a cloudy pattern", "smooth clouds"),
        "clutter": ("clutter", "a cluttered picture", "many things"),
    }
)
"""Kind of texture → captions for it."""
