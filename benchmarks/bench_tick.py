"""How long does a tick of the sensor `media_folders` take when nothing has changed?

At several numbers of known files, in a folder (in memory where there is one) and in a bucket of a real
S3 server on this machine. Baseline of the folder is a plain walk that takes each file's size and time,
of the bucket the bare client's listing. The slope is seconds a thousand files more. With
DAM_POSTGRES_URL the catalogue is there.
"""

import argparse
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
from bench_unchanged import walk
from pipeline import timed
from results import Figure, keep, middle, tell, tell_machine

from dam_pipeline.catalogue.catalogue import now_iso
from dam_pipeline.catalogue.registry import add_source
from dam_pipeline.identity import fingerprint, partition_key
from dam_pipeline.partitions import add_keys
from dam_pipeline.records import Location, Media, MediaKind, StageRow, State
from dam_pipeline.settings import Settings, load_settings
from dam_pipeline.sources.originals import open_walk
from dam_pipeline.stages.work import Toolbox
from resources.library import LibraryResource, close_libraries
from sensors.media_folders import build_media_folders

S3_SERVER = Path(__file__).resolve().parents[1] / ".ci" / "s3.sh"
COUNTS = (1_000, 10_000, 100_000)
A_FOLDER = 500  # files


def make_files(folder: Path, count: int) -> None:
    """Pictures by name, each with its number in it."""
    for number in range(count):
        path = folder / f"{number // A_FOLDER:04}" / f"{number:07}.jpg"
        if number % A_FOLDER == 0:
            path.parent.mkdir(parents=True)
        path.write_bytes(content(number))


def content(number: int) -> bytes:
    """What is in a file."""
    return b"\xff\xd8\xff" + number.to_bytes(8, "big")


def know(uri: str, settings: Settings, instance: dg.DagsterInstance) -> None:
    """Write rows as if all files at an address had been found and processed."""
    walking = open_walk(uri, settings, (), settings.home / "unused")
    walking.go_on()
    media, places, rows = [], [], []
    for number, file in enumerate(walking.listing().files):
        name, told = file.uri.rpartition("/")[2], content(number)
        one = fingerprint(len(told), lambda at, length, told=told: told[at : at + length])
        media.append(Media(one, partition_key(name, one), MediaKind.IMAGE, len(told), name, one))
        places.append(Location(file.uri, one, len(told), file.mtime_ns, "files"))
        rows.append(StageRow(one, "probe", State.EMPTY, "known", updated_at=now_iso()))
    with Toolbox.open(settings) as tools:
        tools.catalogue.add_media(media)
        tools.catalogue.put_locations(places)
        tools.catalogue.states.record(rows)
    add_keys(instance, [one.partition_key for one in media])


def ticks(settings: Settings, instance: dg.DagsterInstance) -> Callable[[], None]:
    """A function that does one tick and is through when all has been listed."""
    sensor, resource = build_media_folders(settings), LibraryResource(home=str(settings.home))

    def tick() -> None:
        while True:
            given = {"library": resource}
            with dg.build_sensor_context(instance=instance, resources=given) as context:
                found = sensor(context)
            words = found.skip_reason.skip_message if found.skip_reason else "a run was requested"
            if "none new" not in words:
                raise SystemExit(f"the library was not left alone: {words}")
            if "still listing" not in words:
                return

    return tick


@contextmanager
def s3_server() -> Iterator[tuple[Path, Any]]:
    """The folder behind a bucket `files` of a server of our own, and a bare client."""
    import boto3

    started = subprocess.run([S3_SERVER, "start"], check=True, capture_output=True, text=True)
    folder, url, key, secret, *_ = started.stdout.split()
    login = {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret, "NO_PROXY": "127.0.0.1"}
    os.environ.update(AWS_ENDPOINT_URL=url, AWS_REGION="us-east-1", **login)
    client = boto3.Session().client("s3")
    client.create_bucket(Bucket="files")
    try:
        yield Path(folder) / "data" / "files", client
    finally:
        subprocess.run([S3_SERVER, "stop", folder], check=True)


def bare_listing(client: Any) -> None:
    """All keys of the bucket, and no more."""
    for page in client.get_paginator("list_objects_v2").paginate(Bucket="files"):
        len(page["Contents"])


def measure(
    name: str, uri: str, bare: Callable[[], object], count: int, repeats: int
) -> tuple[float, float]:
    """Seconds of a tick and of the baseline, medians of interleaved repeats."""
    with tempfile.TemporaryDirectory(prefix="dam-bench-") as folder:
        settings = load_settings(Path(folder) / "home")
        (Path(folder) / "dagster").mkdir()
        with dg.DagsterInstance.local_temp(str(Path(folder) / "dagster")) as instance:
            add_source(settings, uri, name="files")
            began = time.monotonic()
            know(uri, settings, instance)
            tell(f"  {name}, {count} files: known after {time.monotonic() - began:.0f} s")
            tick = ticks(settings, instance)
            tick()  # the first one opens the library
            ours, baseline = [], []
            for _ in range(repeats):
                ours.append(timed(tick).wall_s)
                baseline.append(timed(bare).wall_s)
            close_libraries()
    return middle(ours), middle(baseline)


def main() -> None:
    """Fill, tick, tell and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--places", nargs="+", default=["folder", "bucket"])
    parser.add_argument("--files", type=int, nargs="+", default=COUNTS)
    options = parser.parse_args()
    os.environ.update(DAM_PROFILE="bundled", DAM_SETTLE_S="0")
    here = tell_machine()
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    seconds: dict[str, list[float]] = {"folder": [], "bucket": []}
    with s3_server() as (behind, client):
        for count in options.files:
            with tempfile.TemporaryDirectory(prefix="dam-bench-", dir=memory) as name:
                folder = Path(name) / "files"
                make_files(folder, count)
                make_files(behind, count)  # straight onto the server's disk: a minute less
                places = {
                    "folder": (folder.as_uri(), lambda folder=folder: walk(folder)),
                    "bucket": ("s3://files", lambda: bare_listing(client)),
                }
                for kind in options.places:
                    uri, bare = places[kind]
                    ours, baseline = measure(kind, uri, bare, count, options.repeats)
                    seconds[kind].append(ours)
                    figure = Figure(f"tick_{kind}_{count}", ours, baseline, "s", options.repeats)
                    keep(figure, here)
                for one in list(behind.iterdir()):
                    shutil.rmtree(one)
    for kind, found in seconds.items():
        for at in range(1, len(found)):
            more = (options.files[at] - options.files[at - 1]) / 1000
            slope = (found[at] - found[at - 1]) / more
            tell(f"{kind}: {slope:.4f} s a thousand files more, to {options.files[at]}")


if __name__ == "__main__":
    main()
