"""Original films and their edited copies with true times.

All drawn from a seed: many kinds of motion, from flat animation to a locked-off camera. Used by
near_duplicates.py only.
"""

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from dam_pipeline.samples.textures import draw_texture

SIZES = ((320, 180), (400, 300), (480, 270), (426, 240))
RATE = 25
CODEC = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-threads", "1")
Size = tuple[int, int]
Frames = Iterator[np.ndarray]


@dataclass(frozen=True)
class Clip:
    """A file, the original it shows, which edit made it, and when original time 0 comes in it.

    `shown` is the stretch of the original that it holds; a distractor has its own name as original.
    """

    path: Path
    original: str
    edit: str
    shift_s: float = 0.0
    shown: tuple[float, float] = (0.0, 0.0)


def ffmpeg(*arguments: str | Path, stdin: Iterator[np.ndarray] | None = None) -> None:
    """Run ffmpeg, feeding it pictures if there are any."""
    command = ["ffmpeg", "-y", "-v", "error", *map(str, arguments)]
    if stdin is None:
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
        return
    frames = b"".join(np.ascontiguousarray(picture).tobytes() for picture in stdin)
    subprocess.run(command, check=True, input=frames)


def write_frames(path: Path, frames: Iterator[np.ndarray], size: Size) -> None:
    """Encode RGB frames well."""
    raw = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{size[0]}x{size[1]}", "-r", str(RATE))
    ffmpeg(*raw, "-i", "-", *CODEC, "-crf", "16", path, stdin=frames)


# --- originals -------------------------------------------------------------------------------


def _travel(
    size: Size, count: int, random: np.random.Generator, speed: float, kinds: list[str]
) -> Frames:
    """A camera that pans and zooms over a big drawn picture."""
    width, height = size
    big = draw_texture(str(random.choice(kinds)), (2 * width, 2 * height), random)
    start, end = random.uniform(0.2, 0.8, 2), random.uniform(0.2, 0.8, 2)
    end = start + (end - start) * speed
    zooms = random.uniform(0.8, 1.3), random.uniform(0.8, 1.3)
    for number in range(count):
        share = number / max(count - 1, 1)
        x, y = (start + (end - start) * share) * (2 * width, 2 * height)
        zoom = zooms[0] + (zooms[1] - zooms[0]) * share * speed
        matrix = np.array([[zoom, 0, width / 2 - zoom * x], [0, zoom, height / 2 - zoom * y]])
        yield cv2.warpAffine(big, matrix, size, borderMode=cv2.BORDER_REFLECT)


def shapes(
    size: Size, count: int, random: np.random.Generator, ground: np.ndarray, most: float
) -> Frames:
    """Circles and boxes on their ways over a ground, `most` of the short side large."""
    many = int(random.integers(2, 6))
    inks = random.integers(0, 256, (many, 3)).tolist()
    radii = random.uniform(0.3 * most, most, many) * min(size)
    start = random.uniform(0.1, 0.9, (many, 2)) * size
    speed = random.uniform(-1, 1, (many, 2)) * np.array(size) / 6
    sway = random.uniform(0, 0.2, many) * min(size)
    phase, turn = random.uniform(0, 6, many), random.uniform(0.5, 2, many)
    for number in range(count):
        time_s = number / RATE
        picture = ground.copy()
        for n in range(many):
            at = start[n] + speed[n] * time_s
            at = at + sway[n] * np.array([np.cos(turn[n] * time_s + phase[n]), np.sin(time_s)])
            x, y = (int(v) for v in np.abs((at + size) % (2 * np.array(size)) - size))
            r = int(radii[n])
            if n % 2:
                cv2.circle(picture, (x, y), r, inks[n], -1, cv2.LINE_AA)
            else:
                cv2.rectangle(picture, (x - r, y - r // 2), (x + r, y + r // 2), inks[n], -1)
        yield picture


def _cut_film(size: Size, count: int, random: np.random.Generator) -> Frames:
    while count > 0:
        length = min(count, int(random.integers(1.5 * RATE, 5 * RATE)))
        yield from _travel(size, length, random, 0.6, ["clutter", "clouds", "noise"])
        count -= length


def _film(size: Size, count: int, random: np.random.Generator) -> Frames:
    yield from _travel(size, count, random, 1.0, ["clutter"])


def _slow(size: Size, count: int, random: np.random.Generator) -> Frames:
    yield from _travel(size, count, random, 0.15, ["clutter", "clouds"])


def _scene(size: Size, count: int, random: np.random.Generator) -> Frames:
    ground = draw_texture("clutter", size, random)
    yield from shapes(size, count, random, ground, 0.25)


def _plain(size: Size, count: int, random: np.random.Generator) -> Frames:
    ground = np.full((size[1], size[0], 3), random.integers(30, 226, 3), np.uint8)
    yield from shapes(size, count, random, ground, 0.3)


def _locked(size: Size, count: int, random: np.random.Generator) -> Frames:
    """Two takes of one place differ by their movers alone: the ground hangs on the size."""
    ground = draw_texture("clutter", size, 77)
    yield from shapes(size, count, random, ground, 0.15)


DRAWN: dict[str, Callable[[Size, int, np.random.Generator], Frames]] = {
    "film": _film,
    "cut_film": _cut_film,
    "slow": _slow,
    "scene": _scene,
    "plain": _plain,
    "locked": _locked,
}


def _lavfi(kind: str, number: int, random: np.random.Generator) -> str:
    """A source of ffmpeg's own with arguments of the seed; sizes and rate are filled in."""
    seed, turn = int(random.integers(1, 1_000_000)), int(random.integers(0, 360))
    if kind == "mandelbrot":
        x, y = MANDELBROT[number % len(MANDELBROT)]
        start = f"start_x={x}:start_y={y}:start_scale={random.uniform(0.3, 1.5):.3f}"
        return f"mandelbrot=s={{s}}:r={{r}}:{start}"
    if kind == "gradients":
        return f"gradients=s={{s}}:r={{r}}:seed={seed}:n={random.integers(2, 8)}:speed=0.03"
    if kind == "life":
        return (
            f"life=s=160x120:r={{r}}:seed={seed}:mold=20:ratio=0.2:mold_color=#3060a0,scale={{s}}"
        )
    if kind == "cellauto":
        return f"cellauto=s=160x120:r={{r}}:seed={seed}:rule={random.choice([18, 22, 30, 110])},scale={{s}}"
    return f"testsrc2=s={{s}}:r={{r}},hue=h={turn},rotate=a={turn}*PI/180"


MANDELBROT = (  # points worth a zoom: two zooms on one point are the same pictures
    *((-0.743643887, -0.131825904), (-0.7453, 0.1127), (0.2549, 0.0005), (-1.2507, 0.0201)),
    *((-0.1011, 0.9563), (0.3602, 0.6413), (-1.7688, 0.0017), (-0.5626, 0.6428)),
)
KINDS = (
    *("film", "film", "cut_film", "cut_film", "cut_film", "cut_film", "slow", "slow", "scene"),
    *("scene", "scene", "plain", "plain", "plain", "locked", "locked", "locked", "film", "scene"),
    *("mandelbrot", "mandelbrot", "mandelbrot", "gradients", "gradients", "gradients"),
    *("testsrc2", "life", "life", "cellauto", "cut_film"),
)


def make_original(path: Path, kind: str, seed: int) -> float:
    """Write one original; returns its length in seconds."""
    random = np.random.default_rng(seed)
    size = SIZES[seed % len(SIZES)]
    seconds = round(float(random.uniform(10, 14)), 2)
    count = round(seconds * RATE)
    if kind in DRAWN:
        write_frames(path, DRAWN[kind](size, count, random), size)
    else:
        source = _lavfi(kind, seed, random).format(s=f"{size[0]}x{size[1]}", r=RATE)
        ffmpeg("-f", "lavfi", "-i", source, "-frames:v", str(count), *CODEC, "-crf", "16", path)
    return count / RATE


# --- copies ----------------------------------------------------------------------------------


def make_copies(folder: Path, original: Path, seconds: float, seed: int) -> list[Clip]:
    """All edits of one original, by one ffmpeg."""
    random = np.random.default_rng(seed + 1_000_000)
    name = original.stem
    tenth = max(8_000, round(original.stat().st_size * 8 / seconds / 10))
    start_s = round(float(random.uniform(0, 0.3)) * seconds, 3)
    x, y = random.choice([0.0, 0.5, 1.0], 2)
    bars = random.choice(["pad=iw:ih*4/3:0:(oh-ih)/2", "pad=iw*4/3:ih:(ow-iw)/2:0"])
    rate = random.choice(["30", "24", "50", "30000/1001", "15"])
    logo = "drawbox=x=iw*0.8:y=ih*0.06:w=iw*0.14:h=ih*0.1:color=white@0.8:t=fill"
    look = "eq=brightness=0.06:contrast=1.1:saturation=1.2,scale=trunc(iw*0.35)*2:-2"
    slow = (*("-preset", "medium", "-b:v"), *(str(tenth), "-maxrate", str(2 * tenth)))
    slow, quality = (*slow, "-bufsize", str(2 * tenth)), ("-crf", "28")
    whole, kept = (0.0, seconds), (start_s, start_s + 0.7 * seconds)
    cut = f"crop=trunc(iw*0.45)*2:trunc(ih*0.45)*2:(iw-ow)*{x}:(ih-oh)*{y}"
    trim = f"trim=start={start_s}:duration={0.7 * seconds},setpts=PTS-STARTPTS"
    edits: dict[str, tuple[str, tuple[str, ...], float, tuple[float, float]]] = {
        "tenth_rate": ("null", slow, 0.0, whole),
        "crop": (cut, quality, 0.0, whole),
        "letterbox": (f"{bars},scale=trunc(iw/2)*2:trunc(ih/2)*2", quality, 0.0, whole),
        "black_front": ("tpad=start_duration=2:color=black", quality, 2.0, whole),
        "trim": (trim, quality, -start_s, kept),
        "frame_rate": (f"fps={rate}", quality, 0.0, whole),
        "logo": (logo, quality, 0.0, whole),
        "grade_and_size": (look, quality, 0.0, whole),
        "mirrored": ("hflip", quality, 0.0, whole),
    }
    outputs: list[str | Path] = []
    clips = [Clip(original, name, "original", 0.0, (0.0, seconds))]
    for edit, (chain, coding, shift_s, shown) in edits.items():
        path = folder / f"{name}-{edit}.mp4"
        outputs += ["-vf", chain, *CODEC, *coding, path]
        clips.append(Clip(path, name, edit, shift_s, shown))
    ffmpeg("-i", original, *outputs)
    return clips
