"""Test media made by real tools: pictures drawn here go through ffmpeg, speech through espeak-ng.

Every frame of `counted` clips carries its number as a row of 16 black or white squares along the
bottom, readable after scaling and lossy coding: what a person would read off a burned-in clock.
"""

import io
import os
import struct
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

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


Tag = tuple[int, str, tuple[int, ...] | str]  # number, type (B s H I R r), values
TYPES = {"B": (1, "B"), "s": (2, "s"), "H": (3, "H"), "I": (4, "I"), "R": (5, "I"), "r": (10, "i")}


def write_tiff(path: Path, tags: Sequence[Tag], data: bytes, sub: tuple | None = None) -> Path:
    """A little-endian TIFF of one strip; `sub` is (tags, data) of a picture inside (SubIFD)."""
    body = bytearray(struct.pack("<2sHI", b"II", 42, 0))

    def add(blob: bytes) -> int:
        body.extend(b"\0" * (len(body) % 2))
        body.extend(blob)
        return len(body) - len(blob)

    def directory(tags: Sequence[Tag], data: bytes) -> int:
        strip = [(273, "I", (add(data),)), (279, "I", (len(data),))]
        entries = b""
        for number, form, values in sorted([*tags, *strip]):
            code, letter = TYPES[form]
            if form == "s":
                raw, count = values.encode() + b"\0", len(values) + 1
            else:
                raw = struct.pack(f"<{len(values)}{letter}", *values)
                count = len(values) // 2 if form in "Rr" else len(values)
            field = raw.ljust(4, b"\0") if len(raw) <= 4 else struct.pack("<I", add(raw))
            entries += struct.pack("<HHI", number, code, count) + field
        return add(struct.pack("<H", len(entries) // 12) + entries + bytes(4))

    if sub is not None:
        tags = [*tags, (330, "I", (directory(*sub),))]
    struct.pack_into("<I", body, 4, directory(tags, data))
    path.write_bytes(bytes(body))
    return path


def write_deep_tiff(path: Path, picture: Picture) -> Path:
    """A TIFF of 16 bits a channel."""
    height, width = picture.shape[:2]
    tags: list[Tag] = [
        (256, "I", (width,)), (257, "I", (height,)), (258, "H", (16, 16, 16)), (259, "H", (1,)),
        (262, "H", (2,)), (277, "H", (3,)), (278, "I", (height,)),
    ]  # fmt: skip
    return write_tiff(path, tags, (picture.astype("<u2") * 257).tobytes())


def write_dng(
    path: Path, picture: Picture, orientation: int = 1, preview: Picture | None = None
) -> Path:
    """A camera's DNG: the picture as a Bayer mosaic, with a JPEG preview in front if given."""
    height, width = picture.shape[:2]
    mosaic = np.zeros((height, width), "<u2")
    linear = (picture / 255.0) ** 2.2 * 16000
    for y, x, channel in ((0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 2)):
        mosaic[y::2, x::2] = linear[y::2, x::2, channel]
    size: list[Tag] = [(256, "I", (width,)), (257, "I", (height,)), (278, "I", (height,))]
    matrix = (3240, -1537, -499, -969, 1876, 42, 56, -204, 1057)  # XYZ to linear sRGB, D65
    camera: list[Tag] = [
        (271, "s", "Maker"), (272, "s", "Maker One"), (274, "H", (orientation,)),
        (50706, "B", (1, 4, 0, 0)), (50708, "s", "Maker One"),
        (50721, "r", tuple(v for m in matrix for v in (m, 1000))), (50728, "R", (1,) * 6),
        (50778, "H", (21,)),
    ]  # fmt: skip
    raw: list[Tag] = [
        *size, (254, "I", (0,)), (258, "H", (16,)), (259, "H", (1,)), (262, "H", (32803,)),
        (277, "H", (1,)), (33421, "H", (2, 2)), (33422, "B", (0, 1, 1, 2)), (50714, "H", (0,)),
        (50717, "H", (16000,)),
    ]  # fmt: skip
    if preview is None:
        return write_tiff(path, [*camera, *raw], mosaic.tobytes())
    jpeg = io.BytesIO()
    Image.fromarray(preview).save(jpeg, "JPEG", quality=92, subsampling=0)
    front: list[Tag] = [
        (254, "I", (1,)), (256, "I", (preview.shape[1],)), (257, "I", (preview.shape[0],)),
        (258, "H", (8, 8, 8)), (259, "H", (7,)), (262, "H", (6,)), (277, "H", (3,)),
        (278, "I", (preview.shape[0],)),
    ]  # fmt: skip
    return write_tiff(path, [*camera, *front], jpeg.getvalue(), (raw, mosaic.tobytes()))
