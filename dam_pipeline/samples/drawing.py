"""Drawn scenes: a few shapes of one colour on a coloured background, the same for the same seed.

Here belong the vocabulary of drawn scenes, their captions, where the shapes go and how they are painted.
Pictures without shapes (stripes, noise, …) are in `textures`; files, codecs and networks do not belong here.

All shapes lie in the centred square of the picture, so a centre crop, the usual preparation of a picture for an
image-text model, never loses one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import cos, hypot, pi, sin

import numpy as np
from PIL import Image, ImageDraw

COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (214, 30, 36),
    "green": (34, 150, 52),
    "blue": (30, 66, 214),
    "yellow": (246, 222, 40),
    "black": (14, 14, 16),
    "white": (244, 244, 242),
    "orange": (246, 134, 20),
    "purple": (122, 40, 156),
    "grey": (128, 128, 130),
    "pink": (250, 150, 190),
}
"""Colour name → typical sRGB value; shades are drawn close around it."""

SHAPES: tuple[str, ...] = ("circle", "square", "triangle", "star")
NUMBERS: dict[int, str] = {1: "one", 2: "two", 3: "three"}

RADIUS_RANGE: dict[int, tuple[float, float]] = {
    1: (0.15, 0.32),
    2: (0.13, 0.21),
    3: (0.12, 0.18),
}
"""Count of shapes → smallest and largest circumscribed radius, in sides of the centred square."""

SHADE_JITTER = 14
"""Largest distance of a channel from its typical value, in 8-bit steps; more would mix orange with red."""

# A circle looks larger than the polygons inscribed in it; this evens it out with the square.
_CIRCLE_SHRINK = 0.86
_STAR_INNER = 0.42


@dataclass(frozen=True, slots=True)
class Scene:
    """What a drawn picture shows: 1 to 3 shapes of one kind and colour on a background of another colour."""

    count: int
    colour: str
    shape: str
    background: str

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn, with ValueError."""
        if self.count not in NUMBERS or self.shape not in SHAPES:
            raise ValueError(
                f"cannot draw {self.count} × {self.shape}: use 1 to 3 of {', '.join(SHAPES)}"
            )
        if (
            self.colour not in COLOURS
            or self.background not in COLOURS
            or self.colour == self.background
        ):
            raise ValueError(
                f"cannot draw {self.colour} on {self.background}: use two of {', '.join(COLOURS)}"
            )

    @property
    def caption(self) -> str:
        """The scene in words, for example "two red circles on a blue background"."""
        noun = self.shape if self.count == 1 else self.shape + "s"
        return f"{NUMBERS[self.count]} {self.colour} {noun} on {with_article(self.background)} background"


@dataclass(frozen=True, slots=True)
class Placement:
    """One shape: its centre and radius in sides of the centred square (0 to 1), its turn in radians."""

    x: float
    y: float
    radius: float
    turn: float


@dataclass(frozen=True, slots=True)
class Layout:
    """A scene with all its chances decided; the same layout can be painted at any size."""

    scene: Scene
    placements: tuple[Placement, ...]
    ink: tuple[int, int, int]
    paper: tuple[int, int, int]
    slope: tuple[float, float]
    """How much the background brightens from left to right and from top to bottom, as a fraction."""


def with_article(word: str) -> str:
    """The word with "a" or "an" before it."""
    return f"an {word}" if word[0] in "aeiou" else f"a {word}"


def all_scenes() -> Iterator[Scene]:
    """Every scene that can be drawn, in a fixed order."""
    for count, colour, shape, background in product(NUMBERS, COLOURS, SHAPES, COLOURS):
        if colour != background:
            yield Scene(count, colour, shape, background)


def shade(colour: str, rng: np.random.Generator) -> tuple[int, int, int]:
    """An sRGB value near the typical one of a named colour."""
    common = rng.integers(-SHADE_JITTER // 2, SHADE_JITTER // 2 + 1)
    channels = (
        np.array(COLOURS[colour])
        + common
        + rng.integers(-SHADE_JITTER // 2, SHADE_JITTER // 2 + 1, 3)
    )
    red, green, blue = (int(value) for value in np.clip(channels, 0, 255))
    return red, green, blue


def lay_out(scene: Scene, rng: np.random.Generator) -> Layout:
    """Decide position, size, turn and shade of everything in a scene; shapes neither touch nor leave the square."""
    slope = (float(rng.uniform(-0.12, 0.12)), float(rng.uniform(-0.12, 0.12)))
    ink, paper = shade(scene.colour, rng), shade(scene.background, rng)
    low, high = RADIUS_RANGE[scene.count]
    placements: list[Placement] = []
    attempt = 0
    while len(placements) < scene.count:
        # Shapes shrink, and from time to time all start again, so that the search always ends.
        radius = low + (high - low) * float(rng.uniform()) * 0.97**attempt
        x, y = (float(value) for value in rng.uniform(radius + 0.01, 0.99 - radius, 2))
        if all(
            hypot(x - other.x, y - other.y) > 1.06 * (radius + other.radius) for other in placements
        ):
            placements.append(Placement(x, y, radius, _turn(scene.shape, rng)))
        attempt += 1
        if attempt % 60 == 0:
            placements.clear()
    return Layout(scene, tuple(placements), ink, paper, slope)


def paint(
    layout: Layout, size: tuple[int, int], drift: tuple[float, float] = (0.0, 0.0)
) -> np.ndarray:
    """An upright RGB picture of a layout, uint8 (height, width, 3), for a size of (width, height) pixels.

    `drift` moves all shapes, in sides of the centred square: the frames of a clip are one layout with a growing
    drift. Movement that would leave the square stops at its border.
    """
    width, height = size
    side = min(width, height)
    # Pillow draws polygons without smooth edges: draw larger, then reduce.
    factor = 4 if side < 200 else 2
    mask = Image.new("L", (width * factor, height * factor), 0)
    pen = ImageDraw.Draw(mask)
    left, top = (width - side) / 2, (height - side) / 2
    for placement in layout.placements:
        x = float(np.clip(placement.x + drift[0], placement.radius, 1 - placement.radius))
        y = float(np.clip(placement.y + drift[1], placement.radius, 1 - placement.radius))
        centre = ((left + x * side) * factor, (top + y * side) * factor)
        _fill(
            pen,
            layout.scene.shape,
            centre,
            placement.radius * side * factor,
            placement.turn,
        )
    cover = np.asarray(mask.reduce(factor), np.float32)[..., None] / 255
    paper = _sloped(layout.paper, layout.slope, (width, height))
    return np.clip(paper + (np.array(layout.ink, np.float32) - paper) * cover + 0.5, 0, 255).astype(
        np.uint8
    )


def draw_scene(scene: Scene, size: tuple[int, int], rng: np.random.Generator | int) -> np.ndarray:
    """A picture of a scene, uint8 RGB (height, width, 3), for (width, height) pixels and a generator or a seed.

    The seed alone decides where things are, in shares of the picture: another size gives the same picture.
    """
    return paint(lay_out(scene, np.random.default_rng(rng)), size)


def _turn(shape: str, rng: np.random.Generator) -> float:
    """A turn in radians: any for stars, modest for the others, so that a square is not read as a diamond."""
    limit = {"circle": 0.0, "square": pi / 9, "triangle": pi / 6, "star": pi}[shape]
    return float(rng.uniform(-limit, limit))


def _fill(
    pen: ImageDraw.ImageDraw,
    shape: str,
    centre: tuple[float, float],
    radius: float,
    turn: float,
) -> None:
    """Paint one shape whose corners lie within `radius` pixels of its centre."""
    x, y = centre
    if shape == "circle":
        reach = radius * _CIRCLE_SHRINK
        pen.ellipse((x - reach, y - reach, x + reach, y + reach), fill=255)
        return
    corners = {"square": 4, "triangle": 3, "star": 10}[shape]
    start = turn - pi / 2 + (pi / 4 if shape == "square" else 0.0)
    points = []
    for corner in range(corners):
        length = radius * (_STAR_INNER if shape == "star" and corner % 2 else 1.0)
        angle = start + 2 * pi * corner / corners
        points.append((x + length * cos(angle), y + length * sin(angle)))
    pen.polygon(points, fill=255)


def _sloped(
    paper: tuple[int, int, int], slope: tuple[float, float], size: tuple[int, int]
) -> np.ndarray:
    """A background that brightens evenly along both axes, float32 (height, width, 3)."""
    width, height = size
    across = np.linspace(-0.5, 0.5, width, dtype=np.float32)[None, :] * np.float32(slope[0])
    down = np.linspace(-0.5, 0.5, height, dtype=np.float32)[:, None] * np.float32(slope[1])
    return np.array(paper, np.float32) * (1 + across + down)[..., None]
