"""What does it cost that originals lie in a bucket instead of on this disk?

The same clips from both, by stages that use no model: found and registered, and through probe, checksum,
poster, shots and keyframes, with a copy in scratch space, and without room for one (decoded by ranges).
Probes alone are measured apart, with the bytes that they fetch. Baseline is the local disk. The store is
a server on this machine, so that the network costs next to nothing: the figures are what we add.
"""

import argparse
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from material import make_clips
from pipeline import timed
from results import Figure, keep, middle, tell, tell_machine

from dam_pipeline.catalogue.discovery import discover
from dam_pipeline.records import State
from dam_pipeline.settings import load_settings
from dam_pipeline.sources.window import View
from dam_pipeline.stages.engine import run_stages
from dam_pipeline.stages.work import Toolbox

S3_SERVER = Path(__file__).resolve().parents[1] / ".ci" / "s3.sh"
LOOKING = ("probe", "checksum", "poster", "shots", "keyframes")
BUCKET = "originals"


@contextmanager
def s3_server() -> Iterator[Any]:
    """A bare client of a server of our own with a bucket."""
    import boto3

    started = subprocess.run([S3_SERVER, "start"], check=True, capture_output=True, text=True)
    folder, url, key, secret, *_ = started.stdout.split()
    login = {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret, "NO_PROXY": "127.0.0.1"}
    os.environ.update(AWS_ENDPOINT_URL=url, AWS_REGION="us-east-1", **login)
    client = boto3.Session().client("s3")
    client.create_bucket(Bucket=BUCKET)
    try:
        yield client
    finally:
        subprocess.run([S3_SERVER, "stop", folder], check=True)


def seconds_of(place: str, stages: Sequence[str], scratch_bytes: int) -> tuple[float, int]:
    """Seconds of finding and processing all files of a place, and bytes fetched through windows."""
    fetched: list[View] = []
    made = View.__init__

    def noted(self: View, *words: Any) -> None:
        made(self, *words)
        fetched.append(self)

    home = Path(tempfile.mkdtemp(prefix="dam-bench-"))
    settings = load_settings(home).model_copy(update={"scratch_bytes": scratch_bytes})
    View.__init__ = noted  # type: ignore[method-assign]
    try:
        with Toolbox.open(settings) as tools:
            _ = tools.prober, tools.decoder

            def work() -> None:
                found = discover([place], tools.catalogue, tools.derived, settings)
                ids = [media.media_id for media in found.new]
                report = run_stages(tools, ids, stages, "bench")
                if len(report.of(State.DONE)) != len(ids) * len(stages):
                    raise SystemExit(f"not all was done: {report.finished}")

            return timed(work).wall_s, sum(view.fetched_bytes for view in fetched)
    finally:
        View.__init__ = made  # type: ignore[method-assign]
        shutil.rmtree(home)


def main() -> None:
    """Make clips, put them into a bucket, process both, tell and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--clips", type=int, default=6)
    options = parser.parse_args()
    os.environ.update(DAM_PROFILE="bundled", DAM_SETTLE_S="0")
    here = tell_machine()
    with tempfile.TemporaryDirectory(prefix="dam-bench-") as name, s3_server() as client:
        folder = Path(name) / "clips"
        make_clips(folder, options.clips)
        size = 0
        for path in folder.iterdir():
            client.upload_file(str(path), BUCKET, path.name)
            size += path.stat().st_size
        tell(f"  {options.clips} clips, {size / 1e6:.0f} MB")
        local, remote = str(folder), f"s3://{BUCKET}"
        ways = {
            "s3_looking_copied": (LOOKING, 20_000_000_000),
            "s3_looking_by_ranges": (LOOKING, 1),
            "s3_probe_by_ranges": (("probe",), 1),
        }
        for measure, (stages, scratch_bytes) in ways.items():
            ours, plain, fetched = [], [], 0
            for _ in range(options.repeats):
                seconds, fetched = seconds_of(remote, stages, scratch_bytes)
                ours.append(seconds)
                plain.append(seconds_of(local, stages, scratch_bytes)[0])
            tell(f"  {measure}: {fetched / 1e6:.1f} MB through windows of {size / 1e6:.0f} MB")
            figure = Figure(measure, middle(ours), middle(plain), "s", options.repeats)
            keep(figure, here)


if __name__ == "__main__":
    main()
