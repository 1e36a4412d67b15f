"""What does Dagster's bookkeeping cost a (stage, file), against the plain pattern with as many?

Ours: the job `ingest` on tiny photographs, as `dam ingest` launches it, less the stages' own time:
creating the run, planned events, descriptions, materialisations, ending it. Plain: one multi-asset of
as many assets, whose body only calls `log_event` with one number, on the same keys in one ranged run,
on Dagster's own storage as it comes. On SQLite, and on a Postgres that this starts; they take turns.

The last figure is Postgres against SQLite: ours with the seconds that the catalogue took in the run's
lanes, which is in that database too.
"""

import argparse
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg
import machine
import material
from results import Figure, keep, middle, tell, tell_machine

import dam_pipeline.assets.media as media_module
from dam_pipeline.catalogue.discovery import discover
from dam_pipeline.dagster_home import open_instance
from dam_pipeline.event_log.batches import BATCH_SIZE_VARIABLE
from dam_pipeline.launch import QUIET, quiet_dagster, run_media
from dam_pipeline.partitions import add_keys, media_partitions, range_tags
from dam_pipeline.settings import Settings, load_settings
from dam_pipeline.stages import STAGES
from dam_pipeline.stages.engine import BatchReport, Finished, Tell, run_stages
from resources.library import LibraryResource, close_libraries

UNIT = "ms a (stage, file)"


class Stopwatch:
    """The engine's own seconds: those of `run_stages` without what the asset does when told.

    While it tells, the lane ahead goes on in its thread, so ours is if anything told too long.
    """

    def __init__(self) -> None:
        self.own_s = 0.0

    def run_stages(self, *arguments: Any) -> BatchReport:
        """As the engine's, timed."""
        *others, listener = arguments
        began = time.perf_counter()
        report = run_stages(*others, self._timed(listener))
        self.own_s += time.perf_counter() - began
        return report

    def _timed(self, listener: Tell) -> Tell:
        def listen(finished: Sequence[Finished]) -> None:
            began = time.perf_counter()
            listener(finished)
            self.own_s -= time.perf_counter() - began

        return listen


def ours_s(folder: Path, home: Path, postgres_url: str) -> tuple[float, float]:
    """Seconds of bookkeeping for all files of the folder: Dagster's, and in the catalogue."""
    settings = _settings(home, postgres_url)
    stopwatch = Stopwatch()
    media_module.run_stages = stopwatch.run_stages
    with open_instance(settings) as instance:
        with LibraryResource(home=str(home)).open() as tools:
            discover([folder], tools.catalogue, tools.derived, tools.settings)
            by_key = {one.partition_key: one for one in tools.catalogue.all_media()}
            in_catalogue = time_methods(tools.catalogue, tools.catalogue.states)
        began = time.perf_counter()
        runs = list(run_media(settings, instance, by_key))
        wall_s = time.perf_counter() - began
        _check(instance, runs, len(by_key))
    close_libraries()
    return wall_s - stopwatch.own_s, sum(in_catalogue)


def time_methods(*objects: object) -> list[float]:
    """A list to which every call of their methods from now on adds its seconds."""
    seconds: list[float] = []

    def timed(method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            began = time.perf_counter()
            try:
                return method(*arguments, **named)
            finally:
                seconds.append(time.perf_counter() - began)

        return call

    for one in objects:
        for name in [name for name in vars(type(one)) if not name.startswith("_")]:
            setattr(one, name, timed(getattr(one, name)))
    return seconds


def plain_s(count: int, home: Path, postgres_url: str) -> float:
    """Seconds of the plain pattern on as many keys."""
    keys = [f"plain-{number:06}" for number in range(count)]
    with _plain_instance(home, postgres_url) as instance:
        began = time.perf_counter()
        add_keys(instance, keys)
        definitions = dg.Definitions(assets=[_plain_assets()], executor=dg.in_process_executor)
        result = definitions.resolve_implicit_global_asset_job_def().execute_in_process(
            instance=instance, run_config=QUIET, tags=range_tags(keys)
        )
        wall_s = time.perf_counter() - began
        _check(instance, [result.run_id], count)
    return wall_s


def _plain_instance(home: Path, postgres_url: str) -> dg.DagsterInstance:
    """An instance with Dagster's own storage, which writes each event alone."""
    os.environ.pop(BATCH_SIZE_VARIABLE, None)
    home.mkdir()
    storage = f"storage:\n  postgres:\n    postgres_url: {postgres_url}\n" if postgres_url else ""
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n" + storage)
    return dg.DagsterInstance.from_config(str(home))


def _plain_assets() -> dg.AssetsDefinition:
    names = list(STAGES)
    specs = [
        dg.AssetSpec(name, deps=names[:at][-1:], partitions_def=media_partitions, skippable=True)
        for at, name in enumerate(names)
    ]

    @dg.multi_asset(name="plain", specs=specs, can_subset=True)
    def plain(context: dg.AssetExecutionContext) -> Iterator[None]:
        for key in context.partition_keys:
            for asset in specs:
                context.log_event(
                    dg.AssetMaterialization(asset.key, partition=key, metadata={"x": 1})
                )
        yield from ()

    return plain


def _check(instance: dg.DagsterInstance, run_ids: list[str], count: int) -> None:
    """Raise SystemExit unless every stage of every file is materialised."""
    for run_id in run_ids:
        run = instance.get_run_by_id(run_id)
        if run is None or run.status is not dg.DagsterRunStatus.SUCCESS:
            raise SystemExit(f"run {run_id} did not succeed")
    for name in STAGES:
        found = len(instance.get_materialized_partitions(dg.AssetKey(name)))
        if found != count:
            raise SystemExit(f"{name}: {found} of {count} partitions are materialised")


def _settings(home: Path, postgres_url: str) -> Settings:
    os.environ.update(
        DAM_POSTGRES_URL=postgres_url,
        DAM_HOME=str(home),
        DAM_PROFILE="bundled",
        DAM_SPEECH="false",
        DAM_SETTLE_S="0",
        DAM_MODELS_DIR=str(home.parent / "models"),
    )
    return load_settings(home)


@dataclass(slots=True)
class Measured:
    """Milliseconds a (stage, file) on one database, a number a turn."""

    ours: list[float] = field(default_factory=list)
    plain: list[float] = field(default_factory=list)
    with_catalogue: list[float] = field(default_factory=list)


def measure(folder: Path, options: argparse.Namespace) -> dict[str, Measured]:
    """Ours and plain in turns on each database, each time on a new home and a new server."""
    pairs = options.files * len(STAGES)
    found = {backend: Measured() for backend in options.backends}
    for turn in range(options.repeats):
        for backend, measured in found.items():
            with database(backend) as url:
                home = folder / f"{backend}-ours-{turn}"
                dagster_s, catalogue_s = ours_s(folder / "files", home, url)
            measured.ours.append(dagster_s * 1000 / pairs)
            measured.with_catalogue.append((dagster_s + catalogue_s) * 1000 / pairs)
            with database(backend) as url:
                home = folder / f"{backend}-plain-{turn}"
                spent_s = plain_s(options.files, home, url.replace("ql:", "ql+psycopg2:"))
            measured.plain.append(spent_s * 1000 / pairs)
    return found


@contextmanager
def database(backend: str) -> Iterator[str]:
    """What DAM_POSTGRES_URL says for a database."""
    with postgres() if backend == "postgres" else nullcontext("") as url:
        yield url


@contextmanager
def postgres() -> Iterator[str]:
    """The address of a Postgres of our own."""
    script = str(machine.CLONE / ".ci" / "postgres.sh")
    started = subprocess.run([script, "start"], check=True, capture_output=True, text=True)
    server, url = started.stdout.split()
    try:
        yield url
    finally:
        subprocess.run([script, "stop", server], check=True)


def main() -> None:
    """Take turns on new homes, tell and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--files", type=int, default=50)
    parser.add_argument("--backends", nargs="+", default=["sqlite", "postgres"])
    options = parser.parse_args()
    here = tell_machine()
    quiet_dagster()
    tell(f"input     {options.files} photographs of 64 × 48 pixels, {len(STAGES)} stages, one run")
    with tempfile.TemporaryDirectory(prefix="dam-bench-") as name:
        folder = Path(name)
        material.make_photographs_of_nothing(folder / "files", options.files)
        found = measure(folder, options)
        for backend, one in found.items():
            values = middle(one.ours), middle(one.plain)
            figure = Figure(f"bookkeeping_{backend}", *values, UNIT, options.repeats)
            tell(f"  a photograph: {figure.value * len(STAGES):.0f} ms of bookkeeping")
            keep(figure, here)
    if {"sqlite", "postgres"} <= set(found):
        values = (middle(found[one].with_catalogue) for one in ("postgres", "sqlite"))
        keep(Figure("bookkeeping_postgres_to_sqlite", *values, UNIT, options.repeats), here)


if __name__ == "__main__":
    main()
