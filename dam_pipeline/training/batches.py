"""Batches for training on drawn pictures: pictures, wordings and which of them belong together.

Here belongs what is put side by side so that the network has to tell it apart. Networks and losses do not.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from dam_pipeline.samples.drawing import COLOURS, NUMBERS, SHAPES, Scene
from dam_pipeline.samples.textures import TEXTURES
from dam_pipeline.training.captions import (
    Wording,
    bits,
    facts_of,
    fits,
    full_wording,
    short_wording,
    unknown_wording,
)
from dam_pipeline.training.pictures import stock, views

FOURS = 18
"""Groups of four scenes that differ in one attribute each, per batch."""
SECOND_VIEWS = 12
"""Scenes per batch of which another picture is shown too; and as many textures, seen twice."""
UNKNOWN = 8
"""Wordings per batch with words outside the vocabulary."""
TEXTURE_STOCK = 720
# Clutter is nearest to a photograph, so it gets the largest share; plain backgrounds share a fifth.
_TEXTURE_SHARES = {"clutter": 0.4} | dict.fromkeys(COLOURS, 0.2 / len(COLOURS))


@dataclass(frozen=True, slots=True)
class Batch:
    """What one step learns from.

    `pixels` is uint8 (first + second, side, side, 3). `fit` tells which first picture fits which wording, bool
    (first, wordings); the first len(first) wordings are full ones. `same` tells which second picture shows the same
    as which first one, bool (second, first). `facts` are the bits of the first pictures.
    """

    pixels: np.ndarray
    wordings: tuple[Wording, ...]
    fit: np.ndarray
    same: np.ndarray
    facts: np.ndarray


class Batches:
    """An endless supply of batches from a stock of pictures drawn at the start."""

    def __init__(self, scenes: Sequence[Scene], copies: int, seed: int) -> None:
        """Draw `copies` pictures of every scene (about 2 ms each) and the textures."""
        self._rng = np.random.default_rng(seed)
        self._scenes = tuple(scenes)
        self._place = {scene: place for place, scene in enumerate(scenes)}
        self._shelf = stock(self._scenes, copies, self._rng)
        kinds = [*TEXTURES, *COLOURS]
        rest = (1 - sum(_TEXTURE_SHARES.values())) / (len(kinds) - len(_TEXTURE_SHARES))
        shares = [_TEXTURE_SHARES.get(kind, rest) for kind in kinds]
        self._kinds = [str(kind) for kind in self._rng.choice(kinds, TEXTURE_STOCK, p=shares)]
        self._views = np.stack([views(kind, self._rng) for kind in self._kinds])

    def draw(self) -> Batch:
        """The next batch."""
        rng = self._rng
        scenes = [scene for _ in range(FOURS) for scene in self._four()]
        textures = rng.choice(TEXTURE_STOCK, SECOND_VIEWS, replace=False)
        again = rng.choice(len(scenes), SECOND_VIEWS, replace=False)
        shown: list[Scene | str] = [*scenes, *(self._kinds[place] for place in textures)]
        pixels = np.concatenate(
            [
                self._pictures(scenes),
                self._views[textures, 0],
                self._pictures([scenes[place] for place in again]),
                self._views[textures, 1],
            ]
        )
        turned = rng.random(len(pixels)) < 0.5
        pixels[turned] = pixels[turned, :, ::-1]
        wordings = (
            *(full_wording(picture, rng) for picture in shown),
            *(short_wording(picture, rng) for picture in shown),
            *(unknown_wording(picture, rng) for picture in scenes[:UNKNOWN]),
        )
        facts = np.stack([bits(facts_of(picture)) for picture in shown])
        first = [self._place[scene] for scene in scenes] + [-1 - int(place) for place in textures]
        second = [first[place] for place in again] + first[len(scenes) :]
        same = np.array(second)[:, None] == np.array(first)[None, :]
        return Batch(pixels, wordings, fits(facts, list(wordings)), same, facts)

    def _pictures(self, scenes: Sequence[Scene]) -> np.ndarray:
        copies = self._rng.integers(self._shelf.shape[1], size=len(scenes))
        return self._shelf[[self._place[scene] for scene in scenes], copies]

    def _four(self) -> tuple[Scene, ...]:
        """A scene, and it with another count, another shape, another colour of shapes or background."""
        scene = self._scenes[self._rng.integers(len(self._scenes))]
        last = "colour" if self._rng.random() < 0.5 else "background"
        return (scene, *(self._changed(scene, attribute) for attribute in ("count", "shape", last)))

    def _changed(self, scene: Scene, attribute: str) -> Scene:
        """The scene with another value of one attribute; any scene where training has no such one."""
        values = {"count": tuple(NUMBERS), "shape": SHAPES}.get(attribute, tuple(COLOURS))
        for place in self._rng.permutation(len(values)):
            value = values[place]
            if value in (scene.colour, scene.background, getattr(scene, attribute)):
                continue
            changed = replace(scene, **{attribute: value})
            if changed in self._place:
                return changed
        return self._scenes[self._rng.integers(len(self._scenes))]
