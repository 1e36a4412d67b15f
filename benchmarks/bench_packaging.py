"""What does an item of a package cost, against a bare copy and a bare exiftool on the same tags?

Ours: `make_package` on photographs and a few clips that the library knows: masters proved by their hash,
copies with their descriptions in them read back and looked at, thumbnails, table, checklist, manifest.
Bare: each file copied, then one exiftool with an argument file writes the same tags into all copies. They
take turns. The second figure is memory: what the process and its children hold when the last item is
done, against when the first hundred are.
"""

import argparse
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import material
from bench_memory import family, pss_bytes
from results import Figure, keep, middle, tell, tell_machine

from dam_pipeline.agencies.loading import find_agency
from dam_pipeline.catalogue.discovery import discover
from dam_pipeline.identity import uri_to_path
from dam_pipeline.media.exif_writer import ARGUMENTS, assignments
from dam_pipeline.packaging.embedding import tags_of
from dam_pipeline.packaging.package import make_package
from dam_pipeline.packaging.verification import verify_package
from dam_pipeline.settings import Settings
from dam_pipeline.stages.engine import run_stages
from dam_pipeline.stages.work import Toolbox
from dam_pipeline.stock.items import load_items
from dam_pipeline.stock.people import Edit, edit_records
from dam_pipeline.stock.record import Verdict
from dam_pipeline.stock.rules import check_items

AGENCY = "generic"
SIZE = (800, 600)
CLIP_EVERY = 50
EARLY = 100  # items: when memory is looked at first
WORDS = (
    *("sea", "coast", "noon", "water", "sky", "calm", "cliff", "rock", "light", "summer"),
    *("wave", "horizon", "blue", "travel", "nature"),
)


def make_masters(folder: Path, count: int) -> None:
    """Small photographs, each fiftieth a clip of two seconds."""
    folder.mkdir()
    ground = material.texture(0, (2 * SIZE[0], 2 * SIZE[1]))
    for number in range(count):
        if number % CLIP_EVERY == 0:
            _make_clip(folder / f"clip-{number:04}.mov", number)
            continue
        x, y = number * 7 % SIZE[0], number * 13 % SIZE[1]
        picture = ground.crop((x, y, x + SIZE[0], y + SIZE[1]))
        picture.save(folder / f"photo-{number:04}.jpg", quality=90)


def _make_clip(path: Path, number: int) -> None:
    source = f"testsrc2=size=640x360:rate=25:duration=2,hue=h={number % 360}"
    command = ["ffmpeg", "-v", "error", "-f", "lavfi", "-i", source, "-pix_fmt", "yuv420p", path]
    subprocess.run(command, check=True)


def verdicts_of(tools: Toolbox, originals: Path) -> list[Verdict]:
    """The items of the folder, described, as the rules let them through."""
    discover([originals], tools.catalogue, tools.derived, tools.settings)
    media = tools.catalogue.all_media()
    run_stages(tools, [one.media_id for one in media], ("checksum", "probe", "poster"), "bench")
    edits = [
        Edit(
            [one.asset_id],
            {
                "title": f"Calm sea at noon off the coast, number {number}",
                "description": f"The sea on a calm day in summer, taken from the cliff, {number}.",
                "keywords": list(WORDS),
                "usage": "commercial",
                "people": 0,
            },
        )
        for number, one in enumerate(media)
    ]
    edit_records(tools.settings, edits)
    agency = find_agency(tools.settings, AGENCY)
    verdicts = check_items(tools, load_items(tools, media), agency)
    if bad := [one for one in verdicts if one.errors]:
        raise SystemExit(f"{bad[0].item.media.first_name}: {bad[0].errors}")
    return verdicts


def packaged(tools: Toolbox, verdicts: Sequence[Verdict], folder: Path) -> tuple[float, list[int]]:
    """Seconds of a package, and the bytes held when some and when all items were done."""
    held: dict[int, int] = {}

    def look(done: int, total: int, _note: str) -> None:
        if done in (min(EARLY, total), total) and done not in held:
            held[done] = sum(pss_bytes(pid) for pid in family(os.getpid()))

    began = time.perf_counter()
    manifest = make_package(tools, find_agency(tools.settings, AGENCY), verdicts, folder, look)
    took_s = time.perf_counter() - began
    if manifest.left_out or verify_package(folder, manifest):
        raise SystemExit(f"{len(manifest.left_out)} left out, {verify_package(folder, manifest)}")
    return took_s, [held[one] for one in sorted(held)]


def bare(verdicts: Sequence[Verdict], folder: Path) -> float:
    """Seconds of copying all masters, and of one exiftool with one argument file."""
    folder.mkdir()
    began = time.perf_counter()
    lines: list[str] = []
    for verdict in verdicts:
        copy = folder / verdict.submission.file_name
        shutil.copyfile(uri_to_path(verdict.item.uri), copy)
        own = ["-E", "-overwrite_original", *assignments(tags_of(verdict.submission)), str(copy)]
        lines += [*ARGUMENTS, *own, "-execute"]
    arguments = folder.with_suffix(".args")
    arguments.write_text("\n".join(lines))
    subprocess.run(["exiftool", "-@", arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def main() -> None:
    """Measure and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=1000)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    here = tell_machine()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_masters(folder / "originals", options.items)
        settings = Settings(home=folder / "home", profile="bundled", settle_s=0)
        ours, theirs, early, late = [], [], [], []
        with Toolbox.open(settings) as tools:
            verdicts = verdicts_of(tools, folder / "originals")
            for turn in range(options.repeats):
                theirs.append(bare(verdicts, folder / f"bare-{turn}"))
                took_s, held = packaged(tools, verdicts, folder / f"package-{turn}")
                ours.append(took_s)
                early.append(held[0] / 1e6)
                late.append(held[-1] / 1e6)
        items = len(verdicts)
        tell(f"{items} items in {middle(ours):.1f} s, bare {middle(theirs):.1f} s")
        each = [1e3 * middle(one) / items for one in (ours, theirs)]
        keep(Figure("packaging_item", *each, "ms", options.repeats), here)
        memory = Figure("packaging_memory", middle(late), middle(early), "MB", options.repeats)
        keep(memory, here)


if __name__ == "__main__":
    main()
