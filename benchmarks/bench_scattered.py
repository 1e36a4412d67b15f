"""What does it cost to process every second file of a library in one run of `process_files`?

Baseline are ranged runs of `ingest` over the same files, one a file, one after the other in this
process: what Dagster offers for a scattered set. One cheap stage on tiny files, so that the runs and
not the work are measured; a home of its own for each measurement.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import dagster as dg
from pipeline import timed
from results import Figure, keep, middle, tell_machine

from dam_pipeline.catalogue.discovery import discover
from dam_pipeline.dagster_home import open_instance
from dam_pipeline.definitions import build_definitions
from dam_pipeline.launch import QUIET, quiet_dagster, run_media
from dam_pipeline.ops.process_files import run_config
from dam_pipeline.partitions import add_keys
from dam_pipeline.records import Media
from dam_pipeline.settings import Settings, load_settings
from dam_pipeline.stages.work import Toolbox
from resources.library import close_libraries

STAGE = ["checksum"]
OLD_S = 3600.0


def make_files(folder: Path, count: int) -> None:
    """Tiny files that differ, and have settled."""
    folder.mkdir()
    old = time.time() - OLD_S
    for number in range(count):
        path = folder / f"{number:05}.jpg"
        path.write_bytes(b"\xff\xd8\xff" + number.to_bytes(8, "big"))
        os.utime(path, (old, old))


def measure(home: Path, folder: Path, *, in_one_run: bool) -> float:
    """Seconds for every second file of the folder, in a new home."""
    os.environ.update(DAM_HOME=str(home), DAM_PROFILE="bundled")
    settings = load_settings(home)
    with Toolbox.open(settings) as tools:
        discover([folder], tools.catalogue, tools.derived, settings)
        media = tools.catalogue.all_media()
    with open_instance(settings) as instance:
        add_keys(instance, [one.partition_key for one in media])
        chosen = media[::2]
        process = _in_one_run if in_one_run else _in_ranges
        seconds = timed(lambda: process(settings, instance, chosen)).wall_s
        done = instance.get_materialized_partitions(dg.AssetKey(STAGE[0]))
        if done != {one.partition_key for one in chosen}:
            raise SystemExit(f"{len(done)} files are done, not {len(chosen)}")
    close_libraries()
    return seconds


def _in_one_run(settings: Settings, instance: dg.DagsterInstance, media: Sequence[Media]) -> None:
    config = run_config([one.partition_key for one in media], STAGE)
    job = build_definitions(settings).resolve_job_def("process_files")
    job.execute_in_process(instance=instance, run_config={**QUIET, **config})


def _in_ranges(settings: Settings, instance: dg.DagsterInstance, media: Sequence[Media]) -> None:
    list(run_media(settings, instance, {one.partition_key: one for one in media}, STAGE))


def main() -> None:
    """Measure both in turn, tell and keep the figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--files", type=int, default=40)
    options = parser.parse_args()
    here = tell_machine()
    quiet_dagster()
    ours: list[float] = []
    ranged: list[float] = []
    with tempfile.TemporaryDirectory(prefix="dam-bench-") as name:
        folder = Path(name) / "files"
        make_files(folder, 2 * options.files)
        for number in range(options.repeats):
            ours.append(measure(Path(name) / f"set-{number}", folder, in_one_run=True))
            ranged.append(measure(Path(name) / f"ranges-{number}", folder, in_one_run=False))
    measured = f"scattered_{options.files}"
    keep(Figure(measured, middle(ours), middle(ranged), "s", options.repeats), here)


if __name__ == "__main__":
    main()
