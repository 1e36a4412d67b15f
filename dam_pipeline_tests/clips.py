"""Test media made by real tools: pictures drawn here go through ffmpeg, speech through espeak-ng.

Every frame of `counted` clips carries its number as a row of 16 black or white squares along the
bottom, readable after scaling and lossy coding: what a person would read off a burned-in clock.
"""

import os
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

Picture = np.ndarray
BITS = 16
X264 = ("-c:v", "libx264", "-preset", "ultrafast", "-crf", "18", "-pix_fmt", "yuv420p")
X264_ANY_SIZE = ("-c:v", "libx264", "-preset", "ultrafast", "-crf", "18", "-pix_fmt", "yuv444p")


def ffmpeg(*arguments: str | Path | bytes, stdin: bytes | None = None) -> None:
    """Run ffmpeg, overwriting; fails with its words."""
    done = subprocess.run(
        ["ffmpeg", "-y", "-v", "error", *arguments],
        input=stdin,
        capture_output=True,
        check=False,
        stdin=subprocess.DEVNULL if stdin is None else None,
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")


def exiftool(*arguments: str | Path) -> None:
    """Write tags into a file with exiftool."""
    done = subprocess.run(
        ["exiftool", "-q", "-overwrite_original", *arguments], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")


def place(seed: int, width: int = 320, height: int = 180) -> Picture:
    """A textured picture of its own colours, (height, width, 3) uint8; the seed decides all."""
    random = np.random.default_rng(seed)
    base = np.array([[40, 90, 190], [190, 60, 40], [60, 160, 60], [200, 180, 70], [150, 70, 160]])
    picture = np.tile(base[seed % len(base)].astype(np.int16), (height, width, 1))
    for _ in range(40):
        x, y = random.integers(0, width), random.integers(0, height)
        w, h = random.integers(8, width // 4), random.integers(8, height // 4)
        picture[y : y + h, x : x + w] += random.integers(-50, 50, 3, dtype=np.int16)
    return np.clip(picture, 0, 255).astype(np.uint8)


def counted(picture: Picture, number: int) -> Picture:
    """A copy with the number written along the bottom as squares, the lowest bit at the left."""
    marked = picture.copy()
    height, width = marked.shape[:2]
    strip = max(8, height // 10)
    edges = np.linspace(0, width, BITS + 1).astype(int)
    for bit in range(BITS):
        marked[height - strip :, edges[bit] : edges[bit + 1]] = 255 if number >> bit & 1 else 0
    return marked


def read_counter(picture: Picture) -> int:
    """The number that `counted` wrote."""
    height, width = picture.shape[:2]
    row = np.asarray(picture, dtype=np.float32).mean(axis=2)[height - max(8, height // 10) // 2]
    edges = np.linspace(0, width, BITS + 1)
    middles = ((edges[:-1] + edges[1:]) / 2).astype(int)
    return sum(1 << bit for bit, x in enumerate(middles) if row[x] > 127)


def shots(lengths: Sequence[int], width: int = 320, height: int = 180) -> Iterator[Picture]:
    """Counted frames of several shots, `lengths` frames each."""
    number = 0
    for seed, length in enumerate(lengths):
        picture = place(seed, width, height)
        for _ in range(length):
            yield counted(picture, number)
            number += 1


def encode(
    path: Path,
    pictures: Iterable[Picture],
    *options: str,
    rate: str = "25",
    inputs: Sequence[str | Path] = (),
    codec: Sequence[str] = X264,
) -> Path:
    """Pipe pictures of one size through ffmpeg into a file; `inputs` are more inputs (`-i` …)."""
    frames = list(pictures)
    height, width = frames[0].shape[:2]
    raw = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", rate, "-i", "-")
    ffmpeg(
        *raw, *inputs, *codec, *options, path, stdin=b"".join(frame.tobytes() for frame in frames)
    )
    return path


def tone(path: Path, seconds: float, hertz: int = 440, start_s: float = 0.0) -> Path:
    """A WAV file: silence until `start_s`, then a tone to the end."""
    volume = f"volume=0:enable='lt(t,{start_s})'"
    ffmpeg("-f", "lavfi", "-i", f"sine={hertz}:r=48000:d={seconds}", "-af", volume, path)
    return path


def speech(path: Path, text: str) -> Path:
    """A WAV file of espeak-ng saying the text."""
    subprocess.run(["espeak-ng", "-w", os.fspath(path), text], check=True, capture_output=True)
    return path


def keep_head(path: Path, share: float) -> Path:
    """Cut the file off after this share of its bytes."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def flip_bytes(path: Path, count: int, first: float = 0.3, last: float = 0.8) -> Path:
    """Change bytes spread over a part of the file, the same ones each time."""
    data = bytearray(path.read_bytes())
    places = np.linspace(len(data) * first, len(data) * last, count).astype(int)
    for at in places:
        data[at] ^= 0x5A
    path.write_bytes(bytes(data))
    return path
