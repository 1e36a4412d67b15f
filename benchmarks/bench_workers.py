"""How much faster are two workers than one, when each has one thread?

Real ones: `dam worker` processes that take runs from Redis, Dagster's daemon, one Postgres for runs and
catalogue, and a home that they share. Timed from the first run's start to the last one's end, the
loading of models in each worker included. Ours is two workers, the baseline one; they take turns, each
on a new library. Needs two cores and a machine without other work.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from uuid import uuid4

import machine
import material
import sqlalchemy as sa
from results import Figure, keep, middle, tell, tell_machine

from dam_pipeline.catalogue.postgres import with_driver
from dam_pipeline.dagster_home import WORKSPACE

DAM = Path(sys.executable).with_name("dam")
RUNS = sa.text("SELECT status, start_time, end_time FROM runs WHERE pipeline_name = 'ingest'")
RUNS_A_WORKER = 4
WITHIN_S = 3600
LOOK_EVERY_S = 1.0


@contextmanager
def server(name: str) -> Iterator[str]:
    """The address of a server of our own."""
    script = str(machine.CLONE / ".ci" / f"{name}.sh")
    started = subprocess.run([script, "start"], check=True, capture_output=True, text=True)
    folder, url = started.stdout.split()
    try:
        yield url
    finally:
        subprocess.run([script, "stop", folder], check=True)


@contextmanager
def new_database(url: str) -> Iterator[str]:
    """The address of an empty database, which is there meanwhile."""
    name = f"bench_{uuid4().hex}"
    engine = sa.create_engine(with_driver(url), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
        yield url.rpartition("/")[0] + f"/{name}"
        connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))


@contextmanager
def process(environment: dict[str, str], *command: str) -> Iterator[None]:
    """A process in a session of its own, which is ended with all that it started."""
    log = Path(environment["DAM_HOME"]) / f"{command[1]}.log"
    with log.open("ab") as told:
        started = subprocess.Popen(
            command, env=environment, stdout=told, stderr=told, start_new_session=True
        )
        try:
            yield
        finally:
            with suppress(ProcessLookupError):
                os.killpg(started.pid, signal.SIGKILL)
            started.wait()


def work_s(workers: int, originals: Path, files: int, home: Path, urls: dict[str, str]) -> float:
    """Seconds that so many workers are at the files."""
    environment = {
        **os.environ,
        **urls,
        "DAM_HOME": str(home),
        "DAM_TORCH_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "DAM_SETTLE_S": "0",
        "DAM_SENSOR_INTERVAL_S": "2",
        "DAM_BATCH_FILES": str(-(-files // (2 * RUNS_A_WORKER))),
    }
    subprocess.run(
        [DAM, "source", "add", str(originals)], env=environment, check=True, capture_output=True
    )
    daemon = ("-m", "dam_pipeline.dagster_home", "dagster-daemon", "run", "-w", str(WORKSPACE))
    with ExitStack() as started:
        for _ in range(workers):
            started.enter_context(process(environment, str(DAM), "worker"))
        started.enter_context(process(environment, sys.executable, *daemon))
        return spent_s(environment["DAM_POSTGRES_URL"])


def spent_s(database_url: str) -> float:
    """Seconds from the first run's start to the last one's end, once all have ended."""
    engine = sa.create_engine(with_driver(database_url))
    until = time.monotonic() + WITHIN_S
    while time.monotonic() < until:
        time.sleep(LOOK_EVERY_S)
        with engine.connect() as connection:
            is_made = sa.inspect(connection).has_table("runs")
            runs = connection.execute(RUNS).all() if is_made else []
        if runs and all(run.status in ("SUCCESS", "FAILURE") for run in runs):
            engine.dispose()
            return float(max(run.end_time for run in runs) - min(run.start_time for run in runs))
    raise TimeoutError(f"The runs have not ended after {WITHIN_S} s.")


def main() -> None:
    """Take turns, tell and keep the figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--files", type=int, default=160)
    options = parser.parse_args()
    here = tell_machine()
    tell(f"input     {options.files} photographs, {2 * RUNS_A_WORKER} runs")
    seconds: dict[int, list[float]] = {1: [], 2: []}
    with (
        tempfile.TemporaryDirectory(prefix="dam-bench-") as name,
        server("postgres") as postgres,
        server("redis") as redis,
    ):
        originals = Path(name) / "originals"
        material.make_photographs(originals, options.files)
        for repeat in range(options.repeats):
            for workers, spent in seconds.items():
                home = Path(name) / f"home-{repeat}-{workers}"
                home.mkdir()
                with new_database(postgres) as database:
                    urls = {"DAM_POSTGRES_URL": database, "DAM_CELERY_BROKER": redis}
                    spent.append(work_s(workers, originals, options.files, home, urls))
                tell(f"  {workers} at work: {spent[-1]:.1f} s")
    figure = Figure("workers_two", middle(seconds[2]), middle(seconds[1]), "s", options.repeats)
    keep(figure, here)


if __name__ == "__main__":
    main()
