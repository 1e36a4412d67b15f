"""The originals that are worked on while things break: small, quick, with something for every stage."""

import hashlib
import subprocess
from pathlib import Path

from PIL import Image, ImageDraw

COLOURS = ("red", "green", "blue", "yellow", "white", "magenta")
SHAPES = ("ellipse", "rectangle")
SIZE = (480, 360)


def make_originals(folder: Path, photographs: int = 6, clips: int = 2) -> Path:
    """A folder of drawn photographs, clips of two shots each, and a sound."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(photographs):
        photograph(folder / f"photo-{number}.jpg", number)
    for number in range(clips):
        _clip(folder / f"clip-{number}.mp4", number)
    _ffmpeg("-f", "lavfi", "-i", "sine=440:duration=2", folder / "tone.wav")
    return folder


def photograph(path: Path, number: int) -> Path:
    """A picture that no other number gives."""
    with Image.new("RGB", SIZE, (20, 20, 30 + number % 200)) as picture:
        draw = ImageDraw.Draw(picture)
        shape = getattr(draw, SHAPES[number % len(SHAPES)])
        left = 30 + (number * 37) % 200
        shape((left, 60, left + 180, 260), fill=COLOURS[number % len(COLOURS)])
        draw.text((10, 330), f"number {number}", fill="white")
        picture.save(path, quality=90)
    return path


def _clip(path: Path, number: int) -> None:
    sources = ("testsrc2", "mandelbrot", "smptebars", "rgbtestsrc")
    inputs: list[str] = []
    for at in (number, number + 1):
        source = sources[at % len(sources)]
        inputs += ["-f", "lavfi", "-t", "2", "-i", f"{source}=size=320x240:rate=12"]
    join = "[0:v]format=yuv420p[a];[1:v]format=yuv420p[b];[a][b]concat=n=2[v]"
    _ffmpeg(*inputs, "-filter_complex", join, "-map", "[v]", "-c:v", "libx264", path)


def _ffmpeg(*words: str | Path) -> None:
    command = ["ffmpeg", "-nostdin", "-y", "-v", "error", "-threads", "1", *words]
    subprocess.run(command, check=True)


def sums(folder: Path) -> dict[str, str]:
    """SHA-256 by name of all that lies in a folder."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
