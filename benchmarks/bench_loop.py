"""How much work is it, against the plain loop that a person would write first?

Ours: CPU seconds of the stages probe, shots, keyframes and CLIP, as the engine runs them, on files
that are registered, with models loaded: the decoder child's included. The loop: models loaded once,
too; for each file ffprobe, PySceneDetect's own `detect`, then OpenCV seeks to as many pictures as ours
kept, at the same times, and CLIP encodes each by itself; a photograph is opened whole and encoded.
Repeats take turns.
"""

import argparse
import os
import resource
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import ffmpeg
import machine
import material
import numpy as np
from bare import BareClip
from PIL import Image
from results import Figure, keep, middle, tell, tell_machine
from scenedetect import AdaptiveDetector, detect

from dam_pipeline.catalogue.discovery import discover
from dam_pipeline.settings import load_settings
from dam_pipeline.stages.engine import run_stages
from dam_pipeline.stages.work import Toolbox

STAGES = ("probe", "shots", "keyframes", "clip_embeddings")

Times = Mapping[str, Sequence[float]]


class Loop:
    """The plain loop."""

    def __init__(self, model: Path, threads: int) -> None:
        self._clip = BareClip(model, threads)

    def run(self, paths: Sequence[Path], times_s: Times) -> int:
        """Look at all files, at pictures of these times by name; returns how many were encoded."""
        return sum(
            self._photograph(path)
            if path.suffix == ".jpg"
            else self._clip_file(path, times_s[path.name])
            for path in paths
        )

    def _photograph(self, path: Path) -> int:
        ffmpeg.probe(str(path))
        with Image.open(path) as picture:
            self._clip.encode([picture.convert("RGB")])
        return 1

    def _clip_file(self, path: Path, times_s: Sequence[float]) -> int:
        ffmpeg.probe(str(path))
        detect(str(path), AdaptiveDetector())
        video = cv2.VideoCapture(str(path))
        count = 0
        for at_s in times_s:
            video.set(cv2.CAP_PROP_POS_MSEC, at_s * 1000)
            found, picture = video.read()
            if found:
                rgb = cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)
                self._clip.encode([Image.fromarray(rgb)])
                count += 1
        return count


def ours_cpu_s(folder: Path, home: Path) -> tuple[float, Times]:
    """CPU seconds of this process and of the decoder child, and the times of the pictures by name."""
    settings = load_settings(home)
    with Toolbox.open(settings) as tools:
        discover([folder], tools.catalogue, tools.derived, settings)
        ids = [one.media_id for one in tools.catalogue.all_media()]
        tools.image_text.encode_images([np.zeros((64, 64, 3), np.uint8)])
        child = _start_decoder(tools, folder)
        began_s, child_began_s = _own_cpu_s(), _cpu_s_of(child)
        report = run_stages(tools, ids, STAGES, "bench")
        spent_s = _own_cpu_s() - began_s + _cpu_s_of(child) - child_began_s
        if len(report.finished) != len(ids) * len(STAGES):
            raise SystemExit("not every stage ran")
        times_s = {
            one.media.first_name: tools.derived.table(one.media.media_id, one.stage)[
                "time_s"
            ].to_pylist()
            for one in report.finished
            if one.stage == "clip_embeddings"
        }
        return spent_s, times_s


def _start_decoder(tools: Toolbox, folder: Path) -> int:
    """The process id of the decoder child, started and through with its imports."""
    with tempfile.TemporaryDirectory() as name:
        first = sorted(folder.iterdir())[0]
        kind = tools.catalogue.all_media()[0].kind
        tools.decoder.poster(first, kind, Path(name) / "poster.jpg", 64)
    if tools.decoder.pid is None:
        raise SystemExit("the decoder does not run")
    return tools.decoder.pid


def _own_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime + ended.ru_utime + ended.ru_stime


def _cpu_s_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Make the material, take turns, tell and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=machine.threads(), help="of the network")
    parser.add_argument("--photographs", type=int, default=60)
    options = parser.parse_args()
    here = tell_machine()
    with tempfile.TemporaryDirectory(prefix="dam-bench-") as name:
        folder = Path(name)
        files = {
            "clips": material.make_clips(folder / "clips", len(material.CLIPS)),
            "photographs": material.make_photographs(folder / "photographs", options.photographs),
        }
        model = material.make_full_size_clip(folder / "vit-b32-random")
        os.environ.update(
            DAM_PROFILE="bundled",
            DAM_SETTLE_S="0",
            DAM_CLIP_MODEL=str(model),
            DAM_TORCH_THREADS=str(options.threads),
        )
        loop = Loop(model, options.threads)
        for kind, paths in files.items():
            ours: list[float] = []
            plain: list[float] = []
            for turn in range(options.repeats):
                own_s, times_s = ours_cpu_s(folder / kind, folder / f"home-{kind}-{turn}")
                ours.append(own_s)
                began_s = _own_cpu_s()
                wall_s = time.perf_counter()
                others = loop.run(paths, times_s)
                plain.append(_own_cpu_s() - began_s)
                wall_s = time.perf_counter() - wall_s
            pictures = sum(len(times) for times in times_s.values())
            tell(f"{kind}: ours encoded {pictures} pictures, the loop {others} in {wall_s:.1f} s")
            measure = f"loop_{kind}_cpu"
            keep(Figure(measure, middle(ours), middle(plain), "CPU s", options.repeats), here)


if __name__ == "__main__":
    main()
