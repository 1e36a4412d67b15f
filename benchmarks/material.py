"""What the benchmarks work on: clips, photographs and a full-size CLIP, made anew from fixed seeds.

Textures with grain instead of drawings: they cost a decoder what camera pictures cost.
"""

import json
import shutil
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import machine
import numpy as np
from PIL import Image

from dam_pipeline.samples.tools import run_tool

PHOTOGRAPH = (4000, 3000)  # 12 MP
TURNS = (
    Image.Transpose.FLIP_LEFT_RIGHT,
    Image.Transpose.FLIP_TOP_BOTTOM,
    Image.Transpose.ROTATE_180,
)
FACE_EVERY = 4  # each fourth photograph shows a face
FACE_PX = 900
CLIPS = (  # width, height, frames a second, seconds
    (1280, 720, 25, 20),
    (1920, 1080, 30, 12),
    (1280, 720, 50, 10),
    (1920, 1080, 25, 15),
    (1280, 720, 30, 20),
    (1920, 1080, 25, 10),
)
CUT_EVERY_S = 4
TINY_CLIP = machine.CLONE / "dam_pipeline" / "models" / "weights" / "tiny-clip"


def texture(seed: int, size: tuple[int, int] = PHOTOGRAPH) -> Image.Image:
    """A picture of clouds of colour at all scales, with fine grain."""
    random = np.random.default_rng(seed)
    width, height = size
    picture = np.full((height, width, 3), 110, np.int16)
    for cells, depth in ((4, 90), (16, 60), (64, 45), (256, 30)):
        coarse = random.integers(-depth, depth, (cells * 3 // 4, cells, 3)) + 128
        grown = Image.fromarray(coarse.astype(np.uint8)).resize(size, Image.Resampling.BICUBIC)
        picture += np.asarray(grown, np.int16) - 128
    grain = random.integers(-9, 9, (height, width, 1), dtype=np.int16)
    return Image.fromarray(np.clip(picture + grain, 0, 255).astype(np.uint8))


def make_photographs(folder: Path, count: int) -> list[Path]:
    """JPEG photographs of 12 MP; some show the public-domain astronaut of scikit-image."""
    folder.mkdir(parents=True)
    paths = [folder / f"photo-{number:03}.jpg" for number in range(count)]
    shares = [range(first, count, machine.threads()) for first in range(machine.threads())]
    with ProcessPoolExecutor(machine.threads(), mp_context=get_context("spawn")) as pool:
        for made in [pool.submit(_make_some, paths, share) for share in shares]:
            made.result()
    return paths


def _make_some(paths: list[Path], numbers: Iterable[int]) -> None:
    from skimage.data import astronaut

    face = Image.fromarray(astronaut()).resize((FACE_PX, FACE_PX), Image.Resampling.BICUBIC)
    width, height = PHOTOGRAPH
    ground = texture(0, (2 * width, 2 * height))
    for number in numbers:
        random = np.random.default_rng(number)
        x, y = random.integers(0, width), random.integers(0, height)
        picture = ground.crop((x, y, x + width, y + height))
        # Another order of colours and another way up, so that hardly two resemble each other.
        picture = Image.merge("RGB", [picture.getchannel(int(c)) for c in random.permutation(3)])
        if turn := int(random.integers(0, 4)):
            picture = picture.transpose(TURNS[turn - 1])
        if number % FACE_EVERY == 0:
            picture.paste(face, (300 + 37 * number % 2500, 400 + 23 * number % 1500))
        picture.save(paths[number], quality=90)


def make_clips(folder: Path, count: int) -> list[Path]:
    """Clips of 10 to 20 s, 720p and 1080p, H.264: a camera that pans, with a cut every 4 s."""
    folder.mkdir(parents=True)
    paths = []
    for number, (width, height, rate, seconds) in enumerate(CLIPS[:count]):
        ground = folder.parent / f"ground-{number}.jpg"
        texture(100 + number, (3600, 2400)).save(ground, quality=92)
        jump = f"mod(floor(t/{CUT_EVERY_S})*977\\,1300)"
        pan = f"loop=loop=-1:size=1,crop={width}:{height}:{jump}+40*mod(t\\,{CUT_EVERY_S}):{jump}/2,noise=alls=5:allf=t"
        paths.append(folder / f"clip-{number}-{height}p{rate}.mp4")
        run_tool(
            *("ffmpeg", "-v", "error", "-nostdin", "-framerate", str(rate)),
            *("-i", str(ground), "-t", str(seconds), "-vf", pan, "-pix_fmt", "yuv420p"),
            *("-c:v", "libx264", "-preset", "superfast", "-crf", "21", str(paths[-1])),
        )
    return paths


def make_long_clip(path: Path, minutes: int) -> Path:
    """A small clip of many minutes that moves and is cut now and then, quick to make and decode."""
    turn = "hue=H=2*PI*floor(t/20)/7"
    run_tool(
        *("ffmpeg", "-v", "error", "-nostdin", "-f", "lavfi"),
        *("-i", f"testsrc2=size=640x360:rate=25:duration={60 * minutes}", "-vf", turn),
        *("-c:v", "libx264", "-preset", "ultrafast", "-g", "250", "-pix_fmt", "yuv420p"),
        str(path),
    )
    return path


def make_one_tiny(folder: Path, kind: str) -> None:
    """One file that is next to no work, for what a start costs: a clip of 2 frames or a photograph."""
    folder.mkdir(parents=True)
    picture = folder / "tiny.jpg"
    texture(0, (64, 48)).save(picture)
    if kind == "clips":
        run_tool(
            *("ffmpeg", "-v", "error", "-nostdin", "-loop", "1", "-i", str(picture)),
            *("-frames:v", "2", "-pix_fmt", "yuv420p", str(folder / "tiny.mp4")),
        )
        picture.unlink()


def make_photographs_of_nothing(folder: Path, count: int) -> None:
    """Photographs of 64 × 48 pixels, all different."""
    folder.mkdir(parents=True)
    for number in range(count):
        texture(number, (64, 48)).save(folder / f"small-{number:03}.png")


def make_full_size_clip(folder: Path) -> Path:
    """A checkpoint of CLIP ViT-B/32 in its full size with random weights: its speed, not its sense.

    Its floor keeps vectors that all look alike from becoming edges of the graph.
    """
    import torch
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel
    from transformers.utils import logging

    logging.disable_progress_bar()
    torch.manual_seed(0)
    CLIPModel(CLIPConfig()).save_pretrained(folder)
    CLIPImageProcessor().save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(TINY_CLIP / name, folder / name)
    floors = {"text_floor": 1.0, "image_floor": 1.0, "looks_like_floor": 1.0}
    (folder / "dam_space.json").write_text(json.dumps(floors))
    return folder
