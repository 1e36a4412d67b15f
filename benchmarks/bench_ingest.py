"""How long does `dam ingest` take, against decoding alone plus the same network alone?

Ours: wall time of `dam ingest --json` on a new home, speech and faces off, less its start-up: the same
command on one tiny file (imports, loading the models, starting the run, the graph). Bare, in batches,
the model loaded beforehand: `ffmpeg -f null` of the same clips and CLIP on the keyframes that ours
chose; or `Image.draft` of the same photographs and CLIP on what it gave. Ours, bare and start-up take
turns. One thread a core on both sides.
"""

import argparse
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import machine
import material
from bare import BareClip, decode_clips, decode_photographs
from PIL import Image
from pipeline import Took, forget, ingest, keyframe_paths, stage_seconds, timed
from results import Figure, keep, middle, tell, tell_machine

PEER = 5.6
"""How much longer than the bare work clip-retrieval 2.45 took to embed photographs."""

Pictures = Sequence[Image.Image]


@dataclass
class Bench:
    """One measure: a folder of originals, what is bare for them, and the times so far.

    `decode` gives the pictures to encode, or None where these are ours.
    """

    measure: str
    folder: Path
    tiny: Path
    settings: dict[str, str]
    decode: Callable[[], Pictures | None]
    clip: BareClip
    ours: list[Took] = field(default_factory=list)
    start: list[Took] = field(default_factory=list)
    again: list[Took] = field(default_factory=list)
    bare: dict[str, list[Took]] = field(default_factory=dict)
    stages: list[Counter[str]] = field(default_factory=list)
    pictures: int = 0

    def turn(self, home: Path) -> None:
        """Start-up, ours, ours again, bare: once each."""
        self.start.append(ingest(self.tiny, home, self.settings))
        loading = stage_seconds(home)
        forget(home)
        self.ours.append(ingest(self.folder, home, self.settings))
        self.again.append(ingest(self.folder, home, self.settings))
        spent = stage_seconds(home)
        # What the stages of the tiny file took was loading; it is in the start-up already.
        spent.subtract(loading)
        self.stages.append(spent)
        keyframes = decode_photographs(keyframe_paths(home))
        forget(home)
        self.pictures = len(keyframes)
        self._bare(keyframes)

    def _bare(self, keyframes: Pictures) -> None:
        decoded: list[Pictures | None] = []
        took = timed(lambda: decoded.append(self.decode()))
        self.bare.setdefault("decode", []).append(took)
        pictures = decoded[0] or keyframes
        self.bare.setdefault("CLIP", []).append(timed(lambda: self.clip.encode(pictures)))

    def figure(self) -> Figure:
        """The answer; its parts are told on the way."""
        start, ours, again = _wall(self.start), _wall(self.ours), _wall(self.again)
        parts = {name: _wall(times) for name, times in self.bare.items()}
        tell(
            f"{self.measure}: {self.pictures} pictures; whole command {ours:.1f} s, start-up "
            f"{start:.1f} s (subtracted), with nothing to do {again:.1f} s"
        )
        tell("  bare     " + _row(parts))
        spent = {stage: middle([one[stage] for one in self.stages]) for stage in self.stages[0]}
        tell("  ours     " + _row(spent) + " (two lanes at once)")
        own, bare = ours - start, sum(parts.values())
        cpu = (_cpu(self.ours) - _cpu(self.start)) / sum(_cpu(t) for t in self.bare.values())
        tell(f"  CPU seconds {cpu:.2f}, ÷ a peer of {PEER} × bare {own / bare / PEER:.2f}")
        return Figure(self.measure, own, bare, "s", len(self.ours))


def _wall(times: Sequence[Took]) -> float:
    return middle([one.wall_s for one in times])


def _cpu(times: Sequence[Took]) -> float:
    return middle([one.cpu_s for one in times])


def _row(seconds: dict[str, float]) -> str:
    return ", ".join(f"{name} {value:.1f}" for name, value in seconds.items()) + " s"


def _benches(folder: Path, options: argparse.Namespace, model: Path, suffix: str) -> list[Bench]:
    clips = sorted((folder / "clips").iterdir())
    photographs = sorted((folder / "photographs").iterdir())
    cores, threads = machine.threads(), options.threads
    settings = {
        "DAM_PROFILE": "bundled",
        "DAM_SPEECH": "false",
        "DAM_FACES": "false",
        "DAM_SETTLE_S": "0",
        "DAM_MODELS_DIR": str(folder / "models"),
        "DAM_TORCH_THREADS": str(threads),
        "DAM_CLIP_MODEL": str(model),
    }
    clip = BareClip(model, threads)
    decoders: dict[str, Callable[[], Pictures | None]] = {
        "clips": lambda: decode_clips(clips, cores),
        "photographs": lambda: decode_photographs(photographs),
    }
    return [
        Bench(f"ingest_{kind}{suffix}", folder / kind, folder / f"tiny-{kind}", settings, decode,
              clip)
        for kind, decode in decoders.items()
        if kind in options.kinds
    ]  # fmt: skip


def main() -> None:
    """Make the material, take turns, tell and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=machine.threads(), help="of the network")
    parser.add_argument("--clips", type=int, default=len(material.CLIPS))
    parser.add_argument("--photographs", type=int, default=500)
    parser.add_argument("--kinds", nargs="+", default=["clips", "photographs"])
    parser.add_argument("--bundled", action="store_true", help="also with the tiny CLIP, once")
    options = parser.parse_args()
    here = tell_machine()
    with tempfile.TemporaryDirectory(prefix="dam-bench-") as name:
        folder = Path(name)
        clips = material.make_clips(folder / "clips", options.clips)
        photographs = material.make_photographs(folder / "photographs", options.photographs)
        for kind in options.kinds:
            material.make_one_tiny(folder / f"tiny-{kind}", kind)
        tell(
            f"input     {len(clips)} clips ({', '.join(path.stem for path in clips)}), "
            f"{len(photographs)} photographs of 12 MP; network with {options.threads} threads"
        )
        full_size = material.make_full_size_clip(folder / "vit-b32-random")
        rounds = [(full_size, "", options.repeats)]
        if options.bundled:
            rounds.append((material.TINY_CLIP, "_bundled", 1))
        for model, suffix, repeats in rounds:
            tell(f"CLIP      {model.name}")
            for bench in _benches(folder, options, model, suffix):
                for _ in range(repeats):
                    bench.turn(folder / "home")
                keep(bench.figure(), here)


if __name__ == "__main__":
    main()
