"""A library of drawn pictures that went through all stages once, for tests of embedding spaces.

Its model is the bundled tiny CLIP, which knows drawn shapes and colours; two more of the same form lie
beside it: one that is nearly the same, and one with random weights.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np
from filelock import FileLock
from PIL import Image

from dam_pipeline.catalogue.discovery import discover
from dam_pipeline.records import Media
from dam_pipeline.samples.drawing import Scene, draw_scene
from dam_pipeline.settings import Settings, load_settings
from dam_pipeline.stages import STAGES
from dam_pipeline.stages.engine import run_stages
from dam_pipeline.stages.work import Toolbox
from dam_pipeline_tests.checkpoints import tiny_clip_again

SCENES = {
    f"{colour}-{shape}": Scene(1, colour, shape, "white")
    for colour, shape in product(
        ("red", "blue", "green", "yellow"), ("circle", "square", "triangle", "star")
    )
}
SIZE = (320, 180)


@dataclass(frozen=True)
class Drawings:
    """Folders: the processed home, its pictures, and the two further models. Copy the home to use it."""

    home: Path
    pictures: Path
    good: Path
    bad: Path

    def copy(self, home: Path) -> None:
        """The processed library in a home of the test's own."""
        shutil.copytree(self.home, home, ignore=shutil.ignore_patterns("scratch"))

    def pairs(self) -> list[str]:
        """Lines of queries: the caption of every picture, and the picture."""
        return [f"{scene.caption}\t{self.pictures / name}.jpg" for name, scene in SCENES.items()]


def draw(folder: Path, names: Sequence[str] = tuple(SCENES), seed: int = 5) -> None:
    """Draw pictures into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    for name in names:
        picture = draw_scene(SCENES[name], SIZE, random)
        Image.fromarray(picture).save(folder / f"{name}.jpg", quality=92)


def add(tools: Toolbox, folder: Path, stages: Sequence[str] = tuple(STAGES)) -> list[Media]:
    """Register what lies in a folder and bring it through stages; gives what was new."""
    found = discover([folder], tools.catalogue, tools.derived, tools.settings).new
    run_stages(tools, [one.media_id for one in found], stages, "run-1")
    return found


def drawn_library(shared_folder: Path, settings: Settings) -> Drawings:
    """The library, made by the first test that asks."""
    base = shared_folder / "drawings"
    made = Drawings(base / "home", base / "pictures", base / "good", base / "bad")
    with FileLock(shared_folder / "drawings.lock"):
        if not (base / "done").exists():
            shutil.rmtree(base, ignore_errors=True)
            draw(made.pictures)
            tiny_clip_again(made.good, trained=True)
            tiny_clip_again(made.bad, trained=False)
            own = load_settings(made.home)
            with Toolbox.open(own) as tools:
                add(tools, made.pictures)
            (base / "done").touch()
    return made
