"""Scene boundaries on generated programmes: dialogues, montages, single shots and returns.

Places are drawn (which is all that the bundled tiny CLIP knows) or, as a second truth, ffmpeg's own test
sources (which it never saw). Boundaries count as found within a third of a second; coverage and overflow
are those of Vendrig and Worring 2002, "Systematic evaluation of logical story unit segmentation", over time.

    .venv/bin/python benchmarks/accuracy/scenes.py [--seed N] [--programmes N]
"""

import argparse
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from figures import f1, keep, tell

from dam_pipeline.catalogue.discovery import discover
from dam_pipeline.models import spaces
from dam_pipeline.samples.drawing import Layout, Scene, all_scenes, lay_out, paint
from dam_pipeline.settings import Settings, load_settings
from dam_pipeline.stages import scenes as stage
from dam_pipeline.stages.engine import run_stages
from dam_pipeline.stages.work import Toolbox

SIZE = (320, 180)
RATE = 12
NEAR_S = 0.34
STAGES = ("probe", "shots", "keyframes", "clip_embeddings", "tags", "scenes")
# Which set-up of its place each shot of a scene shows; letters after the first are other set-ups.
PATTERNS = ("A", "AB" * 2, "AB" * 3, "ABACAB", "MMMM", "MMM", "AABA")
SOURCES = (
    *("testsrc2", "mandelbrot", "smptebars", "cellauto=rule=110", "life=mold=10", "testsrc"),
    *("rgbtestsrc", "sierpinski", "gradients=speed=0.01:seed={}", "pal75bars", "yuvtestsrc"),
)
Span = tuple[float, float]
Frames = Iterator[np.ndarray]
Setup = Callable[[int], Frames]


@dataclass(frozen=True)
class Programme:
    """A file and where its scenes truly are."""

    path: Path
    scenes: tuple[Span, ...]


def drawn_place(
    rng: np.random.Generator, pattern: str, other: frozenset[Scene]
) -> dict[str, Setup]:
    """Set-ups of one place: different drawn scenes; in a montage each shot is laid out anew."""
    free = [scene for scene in all_scenes() if scene not in other]
    chosen = [free[n] for n in rng.choice(len(free), len(set(pattern)), replace=False)]
    return {
        letter: _takes(scene, rng, anew=letter == "M")
        for letter, scene in zip(sorted(set(pattern)), chosen, strict=True)
    }


def _takes(scene: Scene, rng: np.random.Generator, *, anew: bool) -> Setup:
    fixed = lay_out(scene, rng)
    moved = [0]

    def shoot(count: int) -> Frames:
        layout: Layout = lay_out(scene, rng) if anew else fixed
        for number in range(count):
            drift = 0.02 * (moved[0] + number) / RATE
            yield paint(layout, SIZE, (drift, drift / 2))
        moved[0] += count

    return shoot


def source_place(rng: np.random.Generator, pattern: str, free: list[str]) -> dict[str, Setup]:
    """Set-ups of one place: test sources of ffmpeg, which go on where they were left."""
    return {letter: _source(free.pop(), rng) for letter in sorted(set(pattern))}


def _source(name: str, rng: np.random.Generator) -> Setup:
    first, _, rest = name.format(int(rng.integers(1000))).partition("=")
    size = f"size={SIZE[0]}x{SIZE[1]}:rate={RATE}"
    command = ("ffmpeg", "-v", "error", "-f", "lavfi", "-i", f"{first}={size}{rest and ':'}{rest}")
    raw = subprocess.run(
        (*command, "-t", "30", "-pix_fmt", "rgb24", "-f", "rawvideo", "-"),
        capture_output=True,
        check=True,
    ).stdout
    frames = np.frombuffer(raw, np.uint8).reshape(-1, SIZE[1], SIZE[0], 3)
    at = [int(rng.integers(60))]

    def shoot(count: int) -> Frames:
        yield from frames[at[0] : at[0] + count]
        at[0] += count

    return shoot


def write_programme(path: Path, rng: np.random.Generator, kind: str, scenes: int) -> Programme:
    """Scenes of random patterns and lengths; from the third on, one may return to the first's place."""
    spans: list[Span] = []
    first: tuple[str, dict[str, Setup]] | None = None
    free = list(rng.permutation(SOURCES))
    frames: list[np.ndarray] = []
    for number in range(scenes):
        pattern = str(rng.choice(PATTERNS if kind == "drawn" else PATTERNS[:3]))
        if kind == "sources" and len(free) < len(set(pattern)):
            break
        returns = kind == "drawn" and number >= 3 and first is not None and rng.random() < 0.3
        if returns and first is not None:
            pattern, place = first
            first = None
        elif kind == "drawn":
            place = drawn_place(rng, pattern, frozenset())
        else:
            place = source_place(rng, pattern, free)
        if number == 0:
            first = (pattern, place)
        start = len(frames)
        for letter in pattern:
            frames += place[letter](int(rng.integers(RATE, int(2.2 * RATE))))
        spans.append((start / RATE, len(frames) / RATE))
    _encode(path, frames)
    return Programme(path, tuple(spans))


def _encode(path: Path, frames: Sequence[np.ndarray]) -> None:
    raw = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{SIZE[0]}x{SIZE[1]}", "-r", str(RATE))
    codec = ("-c:v", "libx264", "-preset", "veryfast", "-crf", "20", "-pix_fmt", "yuv420p")
    subprocess.run(
        ("ffmpeg", "-y", "-v", "error", *raw, "-i", "-", *codec, str(path)),
        input=b"".join(frame.tobytes() for frame in frames),
        check=True,
    )


def detected(programmes: Sequence[Programme], settings: Settings) -> dict[str, list[list[Span]]]:
    """Scenes of each programme by the stage, and by each of its two senses alone."""
    ways: dict[str, list[list[Span]]] = {"stage": [], "vectors alone": [], "colours alone": []}
    with Toolbox.open(settings) as tools:
        discover([programmes[0].path.parent], tools.catalogue, tools.derived, settings)
        media = {one.first_name: one.media_id for one in tools.catalogue.all_media()}
        run_stages(tools, list(media.values()), STAGES, "accuracy")
        for programme in programmes:
            tables = {
                name: tools.derived.table(media[programme.path.name], name).to_pylist()
                for name in STAGES[1:]
            }
            spans = [(row["start_s"], row["end_s"]) for row in tables["scenes"]]
            ways["stage"].append(spans)
            floor = spaces(settings)["image_text"].image_floor
            ways["vectors alone"].append(_regrouped({**tables, "tags": []}, floor))
            ways["colours alone"].append(_regrouped({**tables, "clip_embeddings": []}, floor))
    return ways


def _regrouped(tables: dict[str, list], image_floor: float) -> list[Span]:
    likeness, floor = stage.likeness_of(tables, image_floor)
    shots = tables["shots"]
    return [
        (shots[first]["start_s"], shots[last - 1]["end_s"])
        for first, last in stage.group_shots(likeness, floor)
    ]


def judged(programmes: Sequence[Programme], found: Sequence[list[Span]]) -> dict[str, float]:
    """F1 of the boundaries between scenes, and coverage and overflow, over all programmes."""
    right = wrong = missed = 0
    covered, flown, length = 0.0, 0.0, 0.0
    for programme, spans in zip(programmes, found, strict=True):
        true = [start for start, _ in programme.scenes[1:]]
        told = [start for start, _ in spans[1:]]
        hits = sum(any(abs(t - s) <= NEAR_S for s in told) for t in true)
        right, missed, wrong = right + hits, missed + len(true) - hits, wrong + len(told) - hits
        for number, scene in enumerate(programme.scenes):
            lasting = scene[1] - scene[0]
            length += lasting
            covered += max(_overlap(scene, span) for span in spans)
            flown += lasting * _overflow(programme.scenes, number, spans)
    return {
        "precision": right / max(right + wrong, 1),
        "recall": right / max(right + missed, 1),
        "F1": f1(right, missed, wrong),
        "coverage": covered / length,
        "overflow": flown / length,
    }


def _overlap(a: Span, b: Span) -> float:
    return max(0.0, min(a[1], b[1]) - max(a[0], b[0]))


def _overflow(scenes: Sequence[Span], number: int, spans: Sequence[Span]) -> float:
    """Share of the neighbouring scenes that found scenes overlapping this one reach into."""
    scene = scenes[number]
    near = [scenes[n] for n in (number - 1, number + 1) if 0 <= n < len(scenes)]
    beyond = sum(
        _overlap(span, other) for span in spans if _overlap(span, scene) > NEAR_S for other in near
    )
    return min(1.0, beyond / sum(end - start for start, end in near)) if near else 0.0


def main() -> None:
    """Write programmes, find their scenes, tell and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=20261121)
    parser.add_argument("--programmes", type=int, default=6)
    asked = parser.parse_args()
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for kind, count, scenes in (("drawn", asked.programmes, 9), ("sources", 4, 6)):
            folder = Path(scratch) / kind
            folder.mkdir()
            rng = np.random.default_rng(asked.seed)
            programmes = [
                write_programme(folder / f"{kind}-{n}.mp4", rng, kind, scenes) for n in range(count)
            ]
            total = sum(len(one.scenes) for one in programmes)
            tell(f"{kind}: {count} programmes, {total} scenes")
            home = load_settings(Path(scratch) / f"home-{kind}")
            settings = home.model_copy(update={"profile": "bundled", "settle_s": 0.0})
            for way, found in detected(programmes, settings).items():
                judgement = judged(programmes, found)
                figures |= {f"{kind}, {way}: {name}": value for name, value in judgement.items()}
    keep("scenes", figures, f"generated programmes, tiny-clip (drawn worlds), seed {asked.seed}")


if __name__ == "__main__":
    main()
