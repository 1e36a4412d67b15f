"""`dam ingest` as a person starts it, timed, and the seconds that its stages wrote down."""

import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from dam_pipeline.catalogue.catalogue import open_catalogue

DAM = Path(sys.executable).with_name("dam")


@dataclass(frozen=True, slots=True)
class Took:
    """Wall and CPU seconds, child processes included."""

    wall_s: float
    cpu_s: float


def timed(work: Callable[[], object]) -> Took:
    """How long some work takes."""
    wall_s, cpu_s = time.perf_counter(), _cpu_s()
    work()
    return Took(time.perf_counter() - wall_s, _cpu_s() - cpu_s)


def ingest(folder: Path, home: Path, settings: Mapping[str, str]) -> Took:
    """`dam ingest --json` of a folder; a home that is there is gone on with.

    Raises SystemExit when it does not end well.
    """
    kept = {n: v for n, v in os.environ.items() if not n.startswith(("DAM_", "DAGSTER_"))}
    environment = {**kept, **settings, "DAM_HOME": str(home), "HF_HUB_OFFLINE": "1"}
    command = [DAM, "ingest", folder, "--json"]
    answers: list[subprocess.CompletedProcess[bytes]] = []

    def run() -> None:
        answers.append(subprocess.run(command, env=environment, capture_output=True, check=False))

    took = timed(run)
    if answers[0].returncode:
        raise SystemExit(f"dam ingest ended badly: {answers[0].stderr.decode()[-2000:]}")
    if not json.loads(answers[0].stdout)["discovered"]:
        raise SystemExit(f"dam ingest found nothing in {folder}")
    return took


def stage_seconds(home: Path) -> Counter[str]:
    """Seconds by stage, over all files of a home."""
    seconds: Counter[str] = Counter()
    with open_catalogue(home) as catalogue:
        ids = [media.media_id for media in catalogue.all_media()]
        for rows in catalogue.states.of(ids).values():
            for stage, row in rows.items():
                seconds[stage] += row.seconds
    return seconds


def keyframe_paths(home: Path) -> list[Path]:
    """All stored keyframes of a home."""
    return sorted((home / "derived").glob("*/*/keyframes-*/*.jpg"))


def forget(home: Path) -> None:
    """Delete a home."""
    shutil.rmtree(home, ignore_errors=True)


def _cpu_s() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)
