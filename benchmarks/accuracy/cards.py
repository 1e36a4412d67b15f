"""Clips that share nothing but a card, bars, a logo or black: no copies of each other.

Used by near_duplicates.py only.
"""

from pathlib import Path

import numpy as np
from copies import DRAWN, RATE, Clip, Size, ffmpeg, write_frames
from PIL import Image, ImageDraw


def _card(size: Size, lines: list[str], ground: str, ink: str) -> np.ndarray:
    image = Image.new("RGB", size, ground)
    pen = ImageDraw.Draw(image)
    for number, line in enumerate(lines):
        pen.text(
            (size[0] * 0.12, size[1] * (0.15 + 0.16 * number)), line, ink, font_size=size[1] // 10
        )
    return np.asarray(image)


def _slate(size: Size) -> np.ndarray:
    card = _card(
        size,
        ["PRODUCTION  NORTH", "SCENE 12   ROLL A004", "CAMERA  B", "DATE 2024-05-01"],
        "#101010",
        "white",
    ).copy()
    for n in range(10):
        card[: size[1] // 9, n * size[0] // 10 : (n * 2 + 1) * size[0] // 20] = 240
    return card


def _logo(size: Size) -> np.ndarray:
    image = Image.new("RGB", size, "#f4f4f0")
    pen = ImageDraw.Draw(image)
    w, h = size
    pen.ellipse((w * 0.36, h * 0.25, w * 0.64, h * 0.75), fill="#c02030")
    pen.rectangle((w * 0.46, h * 0.3, w * 0.54, h * 0.7), fill="white")
    return np.asarray(image)


SHARED = (
    "black",
    "white",
    "blue",
    "slate",
    "bars",
    "hdbars",
    "logo",
    "end_card",
    "testcard",
    "leader",
)


def make_distractors(folder: Path, seed: int) -> list[Clip]:
    """Three clips for each thing that is never evidence: it, then a film of their own."""
    size = (480, 270)
    stills = {
        "black": np.zeros((270, 480, 3), np.uint8),
        "white": np.full((270, 480, 3), 255, np.uint8),
        "blue": np.full((270, 480, 3), (20, 40, 200), np.uint8),
        "slate": _slate(size),
        "logo": _logo(size),
        "end_card": _card(
            size, ["THE END", "A film by", "Nobody & Sons", "(c) 2024"], "black", "#d0d0d0"
        ),
    }
    for name, source in {
        "bars": "smptebars",
        "hdbars": "smptehdbars",
        "testcard": "pal100bars",
    }.items():
        path = folder / f"{name}.png"
        ffmpeg("-f", "lavfi", "-i", f"{source}=s=480x270", "-frames:v", "1", path)
        stills[name] = np.asarray(Image.open(path).convert("RGB"))
    stills["leader"] = stills["bars"]
    clips = []
    for place, name in enumerate(SHARED):
        for take in range(3):
            random = np.random.default_rng([seed, place, take])
            hold = [stills[name]] * (3 * RATE)
            if name == "leader":
                hold = [*hold, *[stills["slate"]] * (2 * RATE), *[stills["black"]] * RATE]
            film = list(DRAWN["cut_film" if take else "scene"](size, 6 * RATE, random))
            frames = [*film, *hold] if name == "end_card" else [*hold, *film]
            path = folder / f"shared-{name}-{take}.mp4"
            write_frames(path, iter(frames), size)
            clips.append(Clip(path, path.stem, "distractor", 0.0, (0.0, len(frames) / RATE)))
    return clips
