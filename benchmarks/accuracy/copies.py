"""Originals, their edited copies with true times, and clips that share nothing worth a word.

All drawn from a seed: many kinds of motion, from flat animation to a locked-off camera. Used by
near_duplicates.py only.
"""

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageDraw

from dam_pipeline.samples.textures import draw_texture

SIZES = ((320, 180), (400, 300), (480, 270), (426, 240))
RATE = 25
CODEC = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-threads", "1")
Size = tuple[int, int]


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
    with subprocess.Popen(command, stdin=subprocess.PIPE) as process:
        assert process.stdin
        for picture in stdin:
            process.stdin.write(np.ascontiguousarray(picture).tobytes())
    if process.returncode:
        raise RuntimeError(f"ffmpeg ended with {process.returncode}")


def write_frames(path: Path, frames: Iterator[np.ndarray], size: Size) -> None:
    """Encode RGB frames well."""
    raw = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{size[0]}x{size[1]}", "-r", str(RATE))
    ffmpeg(*raw, "-i", "-", *CODEC, "-crf", "16", path, stdin=frames)


# --- originals -------------------------------------------------------------------------------


def _travel(size: Size, count: int, random: np.random.Generator, speed: float, kinds: list[str]):
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


def _shapes(size: Size, count: int, random: np.random.Generator, ground: np.ndarray, most: float):
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


def _cut_film(size: Size, count: int, random: np.random.Generator):
    while count > 0:
        length = min(count, int(random.integers(1.5 * RATE, 5 * RATE)))
        yield from _travel(size, length, random, 0.6, ["clutter", "clouds", "noise"])
        count -= length


def _film(size: Size, count: int, random: np.random.Generator):
    yield from _travel(size, count, random, 1.0, ["clutter"])


def _slow(size: Size, count: int, random: np.random.Generator):
    yield from _travel(size, count, random, 0.15, ["clutter", "clouds"])


def _scene(size: Size, count: int, random: np.random.Generator):
    ground = draw_texture("clutter", size, random)
    yield from _shapes(size, count, random, ground, 0.25)


def _plain(size: Size, count: int, random: np.random.Generator):
    ground = np.full((size[1], size[0], 3), random.integers(30, 226, 3), np.uint8)
    yield from _shapes(size, count, random, ground, 0.3)


def _locked(size: Size, count: int, random: np.random.Generator):
    """Two takes of one place differ by their movers alone: the ground hangs on the size."""
    ground = draw_texture("clutter", size, 77)
    yield from _shapes(size, count, random, ground, 0.15)


DRAWN: dict[str, Callable[[Size, int, np.random.Generator], Iterator[np.ndarray]]] = {
    "film": _film,
    "cut_film": _cut_film,
    "slow": _slow,
    "scene": _scene,
    "plain": _plain,
    "locked": _locked,
}


def _lavfi(kind: str, random: np.random.Generator) -> str:
    """A source of ffmpeg's own with arguments of the seed; sizes and rate are filled in."""
    seed, turn = int(random.integers(1, 1_000_000)), int(random.integers(0, 360))
    if kind == "mandelbrot":
        x, y = random.uniform(-0.8, -0.6), random.uniform(-0.3, 0.3)
        # All zooms end near one point unless told otherwise, and are then the same pictures.
        end_x, end_y = MANDELBROT_ENDS[int(random.integers(len(MANDELBROT_ENDS)))]
        ends = f"end_x={end_x}:end_y={end_y}:start_x={x:.6f}:start_y={y:.6f}"
        return f"mandelbrot=s={{s}}:r={{r}}:{ends}:start_scale={random.uniform(0.3, 1.5):.3f}"
    if kind == "gradients":
        return f"gradients=s={{s}}:r={{r}}:seed={seed}:n={random.integers(2, 8)}:speed=0.03"
    if kind == "life":
        return f"life=s=160x120:r={{r}}:seed={seed}:mold=20:ratio=0.2:mold_color=#3060a0,scale={{s}}"
    if kind == "cellauto":
        return f"cellauto=s=160x120:r={{r}}:seed={seed}:rule={random.choice([18, 22, 30, 110])},scale={{s}}"
    return f"testsrc2=s={{s}}:r={{r}},hue=h={turn},rotate=a={turn}*PI/180"


MANDELBROT_ENDS = (
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
        source = _lavfi(kind, random).format(s=f"{size[0]}x{size[1]}", r=RATE)
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
    quality = ("-crf", "28")
    edits: dict[str, tuple[str, tuple[str, ...], float, tuple[float, float]]] = {
        "tenth_rate": ("null", ("-preset", "medium", "-b:v", str(tenth), "-maxrate", str(2 * tenth), "-bufsize", str(2 * tenth)), 0, (0, seconds)),
        "crop": (f"crop=trunc(iw*0.45)*2:trunc(ih*0.45)*2:(iw-ow)*{x}:(ih-oh)*{y}", quality, 0, (0, seconds)),
        "letterbox": (f"{bars},scale=trunc(iw/2)*2:trunc(ih/2)*2", quality, 0, (0, seconds)),
        "black_front": ("tpad=start_duration=2:color=black", quality, 2.0, (0, seconds)),
        "trim": (f"trim=start={start_s}:duration={0.7 * seconds},setpts=PTS-STARTPTS", quality, -start_s, (start_s, start_s + 0.7 * seconds)),
        "frame_rate": (f"fps={rate}", quality, 0, (0, seconds)),
        "logo": (logo, quality, 0, (0, seconds)),
        "grade_and_size": (look, quality, 0, (0, seconds)),
        "mirrored": ("hflip", quality, 0, (0, seconds)),
    }  # fmt: skip
    outputs: list[str | Path] = []
    clips = [Clip(original, name, "original", 0.0, (0.0, seconds))]
    for edit, (chain, coding, shift_s, shown) in edits.items():
        path = folder / f"{name}-{edit}.mp4"
        outputs += ["-vf", chain, *CODEC, *coding, path]
        clips.append(Clip(path, name, edit, shift_s, shown))
    ffmpeg("-i", original, *outputs)
    return clips


# --- what is never evidence ------------------------------------------------------------------


def _card(size: Size, lines: list[str], ground: str, ink: str) -> np.ndarray:
    image = Image.new("RGB", size, ground)
    pen = ImageDraw.Draw(image)
    for number, line in enumerate(lines):
        pen.text((size[0] * 0.12, size[1] * (0.15 + 0.16 * number)), line, ink, font_size=size[1] // 10)
    return np.asarray(image)


def _slate(size: Size) -> np.ndarray:
    card = _card(size, ["PRODUCTION  NORTH", "SCENE 12   ROLL A004", "CAMERA  B", "DATE 2024-05-01"], "#101010", "white").copy()
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


SHARED = ("black", "white", "blue", "slate", "bars", "hdbars", "logo", "end_card", "testcard", "leader")


def make_distractors(folder: Path, seed: int) -> list[Clip]:
    """Three clips for each thing that is never evidence: it, then a film of their own."""
    size = (480, 270)
    stills = {
        "black": np.zeros((270, 480, 3), np.uint8),
        "white": np.full((270, 480, 3), 255, np.uint8),
        "blue": np.full((270, 480, 3), (20, 40, 200), np.uint8),
        "slate": _slate(size),
        "logo": _logo(size),
        "end_card": _card(size, ["THE END", "A film by", "Nobody & Sons", "(c) 2024"], "black", "#d0d0d0"),
    }
    for name, source in {"bars": "smptebars", "hdbars": "smptehdbars", "testcard": "pal100bars"}.items():
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


# --- photographs -----------------------------------------------------------------------------


def make_photographs(folder: Path, seed: int) -> list[Clip]:
    """Forty pictures of every kind the samples can draw, and four edits of each."""
    clips = []
    for number in range(40):
        random = np.random.default_rng([seed, 99, number])
        name = f"{number:02d}"
        image = Image.fromarray(_photograph(number, random))
        width, height = image.size
        left, top = (int(random.uniform(0, 0.1) * side) for side in image.size)
        box = (left, top, left + round(0.9 * width), top + round(0.9 * height))
        edits = {
            "original": (image, 92),
            "reencoded": (image, 25),
            "resized": (image.resize((int(width * 0.37), int(height * 0.37))), 85),
            "crop": (image.crop(box), 85),
            "mirrored": (image.transpose(Image.Transpose.FLIP_LEFT_RIGHT), 85),
        }
        for edit, (picture, quality) in edits.items():
            path = folder / f"{name}-{edit}.jpg"
            picture.save(path, quality=quality)
            clips.append(Clip(path, name, edit))
    return clips


def _photograph(number: int, random: np.random.Generator) -> np.ndarray:
    """Clutter, clouds, shapes on a ground, or grain."""
    size = ((960, 640), (640, 960), (800, 600))[number % 3]
    kind = ("clutter", "clouds", "scene", "plain", "noise", "stripes", "gradient", "clutter")[number % 8]
    if kind in ("scene", "plain"):
        ground = np.full((size[1], size[0], 3), random.integers(30, 226, 3), np.uint8)
        if kind == "scene":
            ground = draw_texture("clouds", size, random)
        return next(_shapes(size, 1, random, ground, 0.3))
    return draw_texture(kind, size, random)
