"""How long does finding and describing faces take, against MTCNN and dlib's recogniser alone?

Ours: wall time of the stage `face_embeddings` through the engine on stored keyframes of 1280 × 960:
reading them, finding (faces from 28 px), describing, tracks, tables and states. Bare: facenet-pytorch's
MTCNN (faces from 40 px) in batches of 8 and dlib's recogniser, on the same pictures decoded beforehand.
Models are loaded beforehand on both sides, threads are the same, ours and bare take turns.
"""

import argparse
import tempfile
from pathlib import Path

import machine
import material
import numpy as np
from bare import BareFaces
from PIL import Image
from pipeline import Took, keyframe_paths, timed
from results import Figure, keep, middle, tell, tell_machine

from dam_pipeline.catalogue.discovery import discover
from dam_pipeline.settings import Settings
from dam_pipeline.stages.engine import run_stages
from dam_pipeline.stages.work import Toolbox

SIZE = (1280, 960)
FACE_PX = 300
BEFORE = ("probe", "shots", "keyframes")


def make_pictures(folder: Path, count: int) -> None:
    """JPEG pictures of textures; each fourth shows the public-domain astronaut of scikit-image."""
    from skimage.data import astronaut

    folder.mkdir()
    face = Image.fromarray(astronaut()).resize((FACE_PX, FACE_PX), Image.Resampling.BICUBIC)
    for number in range(count):
        picture = material.texture(number, SIZE)
        if number % material.FACE_EVERY == 0:
            picture.paste(
                face, (37 * number % (SIZE[0] - FACE_PX), 91 * number % (SIZE[1] - FACE_PX))
            )
        picture.save(folder / f"picture-{number:03}.jpg", quality=90)


def ours(settings: Settings, turn: int) -> tuple[Took, int]:
    """Time of the stage on all files of the home, and how many faces it found.

    Each turn asks for another confidence, by a hair: else the files would be fresh.
    """
    changed = settings.model_copy(
        update={"face_confidence": settings.face_confidence + turn * 1e-9}
    )
    with Toolbox.open(changed) as tools:
        media = [one.media_id for one in tools.catalogue.all_media()]
        _ = tools.face
        took = timed(lambda: run_stages(tools, media, ("face_embeddings",), f"bench-{turn}"))
        found = [tools.derived.outcome(one, "face_embeddings") for one in media]
        return took, sum(one.rows for one in found if one)


def prepared(home: Path, originals: Path, threads: int) -> Settings:
    """Settings of a home whose files have keyframes."""
    settings = Settings(home=home, profile="bundled", torch_threads=threads, settle_s=0)
    with Toolbox.open(settings) as tools:
        discover([originals], tools.catalogue, tools.derived, settings)
        run_stages(tools, [one.media_id for one in tools.catalogue.all_media()], BEFORE, "prepare")
    return settings


def opened(paths: list[Path]) -> list[np.ndarray]:
    """The stored keyframes, decoded."""
    return [np.asarray(Image.open(path).convert("RGB")) for path in paths]


def main() -> None:
    """Make the pictures, take turns, tell and keep the figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--pictures", type=int, default=64)
    parser.add_argument("--threads", type=int, default=machine.threads(), help="of the networks")
    options = parser.parse_args()
    here = tell_machine()
    with tempfile.TemporaryDirectory(prefix="dam-bench-") as name:
        folder = Path(name)
        make_pictures(folder / "pictures", options.pictures)
        settings = prepared(folder / "home", folder / "pictures", options.threads)
        pictures = opened(keyframe_paths(folder / "home"))
        bare = BareFaces(options.threads)
        bare.find(pictures[:8])
        turns: list[tuple[Took, Took]] = []
        for turn in range(options.repeats):
            counts: list[int] = []
            alone = timed(lambda counts=counts: counts.append(bare.find(pictures)))
            took, found = ours(settings, turn + 1)
            turns.append((took, alone))
            tell(
                f"turn {turn + 1}: ours {took.wall_s:.1f} s ({took.cpu_s:.1f} CPU), {found} faces; "
                f"bare {alone.wall_s:.1f} s ({alone.cpu_s:.1f} CPU), {counts[0]} faces"
            )
        cpu = middle([took.cpu_s for took, _ in turns]) / middle(
            [alone.cpu_s for _, alone in turns]
        )
        tell(f"{len(pictures)} pictures of 1280 × 960; CPU seconds {cpu:.2f}")
        walls = [middle([pair[side].wall_s for pair in turns]) for side in (0, 1)]
        keep(Figure("faces", walls[0], walls[1], "s", options.repeats), here)


if __name__ == "__main__":
    main()
