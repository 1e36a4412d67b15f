"""The pictures by which the thresholds of the tiny CLIP's tags are calibrated: drawn, so all is known of them.

Writes `dam_background.npz` beside the weights. To be run again after each training, since it holds vectors:
`python -m dam_pipeline.training.tag_background`.
"""

import sys
import tempfile
from pathlib import Path

import numpy as np

from dam_pipeline.models import ImageTextModel, open_image_text
from dam_pipeline.models.locate import locate
from dam_pipeline.samples.drawing import COLOURS, draw_scene
from dam_pipeline.samples.textures import TEXTURES, draw_texture
from dam_pipeline.settings import Settings
from dam_pipeline.tagging.background import BACKGROUND_FILE, Background, write_background
from dam_pipeline.training.pictures import spoil
from dam_pipeline.training.tiny_clip import split_scenes

SEED = 4711
SCENES_EACH = (
    1  # pictures of each scene that the training saw: the held-out ones stay unseen here too
)
TEXTURES_EACH = 12
SIZES: tuple[tuple[int, int], ...] = ((320, 180), (256, 256), (240, 320), (400, 225))

Labelled = tuple[np.ndarray, tuple[str, ...]]


def labelled_pictures(seed: int = SEED) -> list[Labelled]:
    """Drawn pictures, (h, w, 3) uint8 RGB, each with the ids of the terms it shows."""
    rng = np.random.default_rng(seed)
    pictures: list[Labelled] = []
    for number, scene in enumerate(split_scenes()[0] * SCENES_EACH):
        drawn = spoil(draw_scene(scene, SIZES[number % len(SIZES)], rng), rng)
        labels = (f"{scene.colour}-{scene.shape}", f"{scene.background}-background")
        pictures.append((drawn, labels))
    for number, kind in enumerate([*TEXTURES, *COLOURS] * TEXTURES_EACH):
        drawn = spoil(draw_texture(kind, SIZES[number % len(SIZES)], rng), rng)
        pictures.append((drawn, (f"{kind}-background" if kind in COLOURS else kind,)))
    return pictures


def background_of(model: ImageTextModel, seed: int = SEED) -> Background:
    """The drawn pictures as vectors of a model's space."""
    pictures = labelled_pictures(seed)
    vectors = model.encode_images([picture for picture, _ in pictures])
    labels = tuple(labels for _, labels in pictures)
    source = f"{len(pictures)} drawn pictures"
    return Background(model.space.name, vectors, labels, source)


def main() -> None:
    """Write the background beside the weights of the package."""
    with tempfile.TemporaryDirectory() as home:
        settings = Settings(home=Path(home), profile="bundled", torch_threads=1)
        path = locate(settings, "image_text").path / BACKGROUND_FILE
        write_background(background_of(open_image_text(settings)), path)
    sys.stdout.write(f"{path}: {path.stat().st_size} bytes\n")


if __name__ == "__main__":
    main()
