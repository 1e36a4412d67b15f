"""What does it cost to keep derived files in S3 instead of DAM_HOME?

Ours: all stages but speech and faces over photographs and clips, derived files in an S3 server on
loopback. Bare: the same with DAM_HOME alone; both in one process with loaded models, in
turns. Then the storing alone against boto3 putting the same bytes with as many threads, and fetching
them into an empty home against boto3 getting them. Requests are counted by kind.
"""

import argparse
import os
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import machine
import material
from pipeline import Took, timed
from results import Figure, keep, middle, tell, tell_machine

from dam_pipeline import buckets
from dam_pipeline.catalogue.discovery import discover
from dam_pipeline.settings import Settings
from dam_pipeline.stages import STAGES
from dam_pipeline.stages.engine import run_stages
from dam_pipeline.stages.work import Toolbox
from dam_pipeline.stores.cache import THREADS
from dam_pipeline.stores.shared_files import SharedFiles, open_derived

SCRIPT = machine.CLONE / ".ci" / "s3.sh"
BUCKET = "bench"


@contextmanager
def s3_server() -> Iterator[None]:
    """An S3 server, as that of this process."""
    started = subprocess.run([SCRIPT, "start"], check=True, capture_output=True, text=True)
    folder, url, key, secret, *_ = started.stdout.split()
    os.environ |= {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": key,
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_REGION": "us-east-1",
        "NO_PROXY": "127.0.0.1",
    }
    try:
        buckets.client().create_bucket(Bucket=BUCKET)
        yield
    finally:
        subprocess.run([SCRIPT, "stop", folder], check=True)


def processed(settings: Settings, originals: Path, warm: Path) -> Took:
    """All stages over a folder in a new home; the models are loaded before by one small file."""
    with Toolbox.open(settings) as tools:
        _stages(tools, warm, "warm")
        return timed(lambda: _stages(tools, originals, "run"))


def _stages(tools: Toolbox, folder: Path, run_id: str) -> None:
    before = {one.media_id for one in tools.catalogue.all_media()}
    discover([folder], tools.catalogue, tools.derived, tools.settings)
    ids = [one.media_id for one in tools.catalogue.all_media() if one.media_id not in before]
    report = run_stages(tools, ids, STAGES, run_id)
    bad = [one for one in report.finished if one.row and one.row.state not in ("done", "empty")]
    if bad:
        raise SystemExit(f"{bad[0].media.first_name}: {bad[0].row}")


class Requests:
    """Requests of this process by kind."""

    def __init__(self) -> None:
        self.count: Counter[str] = Counter()
        buckets.client().meta.events.register("before-call.s3", self._note)

    def _note(self, model: Any, **_: Any) -> None:
        self.count[model.name] += 1


def objects_of(prefix: str) -> dict[str, bytes]:
    """All derived files of a library, by key."""
    pages = buckets.client().get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
    keys = [one["Key"] for page in pages for one in page.get("Contents", ())]
    return {key: buckets.client().get_object(Bucket=BUCKET, Key=key)["Body"].read() for key in keys}


def bare(do: Callable[[str], object], keys: list[str]) -> Took:
    """boto3 alone over all keys, with as many threads as ours."""
    with ThreadPoolExecutor(THREADS) as threads:
        return timed(lambda: list(threads.map(do, keys)))


def store(files: SharedFiles, content: dict[str, bytes], scratch: Path) -> Took:
    """Our flush of the same files, under media of their own."""
    for number, (key, body) in enumerate(content.items()):
        made = scratch / f"{number}"
        made.write_bytes(body)
        media_id, _, name = key.partition("/derived/")[2][3:].partition("/")
        files.take_in(media_id, name, made)
    return timed(files.flush)


def storing(folder: Path, prefix: str, repeats: int, here: dict[str, Any]) -> None:
    """Storing and fetching alone, ours ÷ bare boto3."""
    client, content = buckets.client(), objects_of(f"{prefix}/derived/")
    size_mb = sum(map(len, content.values())) / 1e6
    tell(f"{len(content)} derived files, {size_mb:.1f} MB")
    took: dict[str, list[float]] = {name: [] for name in ("put", "bare put", "get", "bare get")}
    for turn in range(repeats):
        home = folder / f"storing-{turn}"
        (home / "scratch").mkdir(parents=True)
        settings = Settings(home=home, storage_url=f"s3://{BUCKET}/again-{turn}")
        files = open_derived(settings, lambda home=home: home / "scratch")
        assert isinstance(files, SharedFiles)  # noqa: S101
        took["put"].append(store(files, content, home).wall_s)

        def put(key: str, turn: int = turn) -> None:
            client.put_object(Bucket=BUCKET, Key=f"bare-{turn}/{key}", Body=content[key])

        took["bare put"].append(bare(put, list(content)).wall_s)
        fresh = open_derived(settings.model_copy(update={"home": folder / f"fetching-{turn}"}))
        ids = list(fresh.media_ids())
        began = time.perf_counter()
        fresh.bring(ids, pictures=True)
        took["get"].append(time.perf_counter() - began)

        def get(key: str) -> None:
            client.get_object(Bucket=BUCKET, Key=key)["Body"].read()

        took["bare get"].append(bare(get, list(content)).wall_s)
    for name in ("put", "get"):
        ours, theirs = middle(took[name]), middle(took[f"bare {name}"])
        keep(Figure(f"storage_{name}", ours, theirs, "s", repeats), here)


def main() -> None:
    """Measure and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photographs", type=int, default=40)
    parser.add_argument("--clips", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    here = tell_machine()
    with tempfile.TemporaryDirectory() as name, s3_server():
        folder = Path(name)
        originals, warm = folder / "originals", folder / "warm"
        material.make_photographs(originals / "photographs", options.photographs)
        material.make_photographs(warm, 1)
        material.make_clips(originals / "clips", options.clips)
        shared, local = [], []
        requests = Requests()
        for turn in range(options.repeats):
            plain = Settings(
                home=folder / f"local-{turn}",
                profile="bundled",
                speech=False,
                faces=False,
                settle_s=0,
                torch_threads=1,
                models_dir=folder / "models",
            )
            local.append(processed(plain, originals, warm).wall_s)
            storage_url = f"s3://{BUCKET}/turn-{turn}"
            own = {"home": folder / f"shared-{turn}", "storage_url": storage_url}
            requests.count.clear()
            shared.append(processed(plain.model_copy(update=own), originals, warm).wall_s)
        files = options.photographs + options.clips + 1
        counts = ", ".join(f"{n} {c / files:.1f}" for n, c in sorted(requests.count.items()))
        tell(f"requests a file: {counts}")
        figure = Figure("storage_stages", middle(shared), middle(local), "s", options.repeats)
        keep(figure, here)
        storing(folder, "turn-0", options.repeats, here)


if __name__ == "__main__":
    main()
