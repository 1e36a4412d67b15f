"""Many workers: the same library as one process gives, although one of them is killed at work.

Everything is real: two `dam worker` processes with caches of their own, Dagster's daemon, Redis,
Postgres, S3 and Weaviate.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import dagster as dg
import pytest
import sqlalchemy as sa
from dagster._core.storage.tags import AUTO_RETRY_RUN_ID_TAG

from dam_pipeline.catalogue.catalogue import open_catalogue
from dam_pipeline.catalogue.tables import BEAT, STAGE_STATE
from dam_pipeline.dagster_home import WORKSPACE, open_instance
from dam_pipeline.settings import Settings
from dam_pipeline.stages.queues import QUEUE_TAG, stages_without_models
from dam_pipeline_tests.processed import DAM, Library, json_of, run_dam
from dam_pipeline_tests.s3_server import Bucket
from dam_pipeline_tests.weaviate_server import own_prefix

pytestmark = [
    pytest.mark.slow,
    pytest.mark.weights,
    pytest.mark.postgres,
    pytest.mark.redis,
    pytest.mark.s3,
    pytest.mark.weaviate,
]

WITHIN_S = 300
LOST_AFTER_S = 6
LAST_DIGITS = {"clip_embeddings", "face_embeddings", "scenes"}
"""Stages whose results depend, in the last digits, on which pictures went through the model together."""

HISTORY = {"stages", "provenance"}
T = TypeVar("T")
Answer = Callable[..., Any]
UNDER_WAY = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]


class Team:
    """A library of several machines: each is a home of its own that sees the same servers."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._folder = folder
        self._environment = environment
        self.processes: list[subprocess.Popen[bytes]] = []
        for name in ("boss", "one", "two"):
            done = run_dam(self.on(name), "init")
            assert done.returncode == 0, done.stderr

    def on(self, machine: str) -> dict[str, str]:
        """The variables of a machine."""
        home = self._folder / machine
        return {**self._environment, "DAM_HOME": str(home), "DAGSTER_HOME": str(home / "dagster")}

    def start(self, machine: str, *command: str) -> subprocess.Popen[bytes]:
        """Start something on a machine, in a session of its own."""
        log = (self._folder / f"{machine}.log").open("wb")
        environment = {**os.environ, **self.on(machine)}
        process = subprocess.Popen(
            command, env=environment, stdout=log, stderr=log, start_new_session=True
        )
        self.processes.append(process)
        return process

    def told(self) -> str:
        """What the processes said last."""
        return "\n".join(log.read_text()[-3000:] for log in self._folder.glob("*.log"))

    def json(self, *words: str) -> Any:
        """What a command on the boss's machine answers."""
        return json_of(self.on("boss"), *words)


@pytest.fixture
def team(
    tmp_path: Path,
    library: Library,
    own_postgres: str,
    redis_server: str,
    bucket: Bucket,
    weaviate_server: dict[str, str | int],
) -> Iterator[Team]:
    """The machines of a library that holds nothing yet."""
    environment = {
        **bucket.server.environment(),
        **library.environment(),
        "DAM_POSTGRES_URL": own_postgres,
        "DAM_STORAGE_URL": f"{bucket.uri}/library",
        **{f"DAM_{name.upper()}": str(value) for name, value in weaviate_server.items()},
        "DAM_WEAVIATE_PREFIX": own_prefix(),
        "DAM_CELERY_BROKER": redis_server,
        "DAM_GPU_QUEUE": "gpu",
        "DAM_BATCH_FILES": "3",
        "DAM_LOST_AFTER_S": str(LOST_AFTER_S),
        "DAM_SENSOR_INTERVAL_S": "2",
        "OMP_NUM_THREADS": "1",
    }
    made = Team(tmp_path, environment)
    yield made
    for process in made.processes:
        end_group(process)


def end_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and all that it started."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def wait_for(team: Team, what: Callable[[], T | None], within_s: float = WITHIN_S) -> T:
    """The answer as soon as there is one."""
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        if (answer := what()) is not None:
            return answer
        time.sleep(0.3)
    pytest.fail(f"Waited {within_s} s in vain. {team.told()}")


@contextmanager
def opened(team: Team) -> Iterator[tuple[dg.DagsterInstance, sa.Engine]]:
    """Dagster's instance and the catalogue's database."""
    own = {name.removeprefix("DAM_").lower(): v for name, v in team.on("boss").items()}
    settings = Settings(**{n: v for n, v in own.items() if n in ("home", "postgres_url")})
    with (
        open_instance(settings) as instance,
        open_catalogue(settings.home, settings.postgres_url) as catalogue,
    ):
        yield instance, catalogue.engine


def at_work(engine: sa.Engine, instance: dg.DagsterInstance) -> tuple[int, str] | None:
    """A worker's process group, and the run with models that it has been at for a while."""
    with engine.connect() as connection:
        beats = connection.execute(sa.select(BEAT.c.owner, BEAT.c.run_id).where(BEAT.c.beats > 1))
        owners = {row.run_id: int(row.owner.split("/")[1]) for row in beats}
    for run in instance.get_runs(dg.RunsFilter(tags={QUEUE_TAG: "gpu"})):
        if run.run_id in owners and run.status is dg.DagsterRunStatus.STARTED:
            return os.getpgid(owners[run.run_id]), run.run_id
    return None


def has_failed(instance: dg.DagsterInstance, run_id: str) -> bool | None:
    """Whether a run is known to have failed."""
    run = instance.get_run_by_id(run_id)
    return True if run and run.status is dg.DagsterRunStatus.FAILURE else None


def repetition(instance: dg.DagsterInstance, run_id: str) -> str | None:
    """The run that Dagster started in the place of another one."""
    run = instance.get_run_by_id(run_id)
    return run.tags.get(AUTO_RETRY_RUN_ID_TAG) if run else None


def is_complete(team: Team, instance: dg.DagsterInstance, files: int) -> bool | None:
    """Whether nothing of so many files is left to do and the graph knows them."""
    graphs = dg.RunsFilter(job_name="graph", statuses=[dg.DagsterRunStatus.SUCCESS])
    if instance.get_runs(dg.RunsFilter(statuses=UNDER_WAY)) or not instance.get_runs(graphs):
        return None
    found = states(team.json("status")).values()
    waiting = [one for one in found if "never" in one.values() and "failed" not in one.values()]
    return True if len(found) == files and not waiting else None


def states(status: Any) -> dict[str, dict[str, str]]:
    """Partition key → stage → state."""
    return {
        one["partition_key"]: {name: stage["state"] for name, stage in one["stages"].items()}
        for one in status["media"]
    }


def data_versions(engine: sa.Engine) -> dict[tuple[str, str], str]:
    """(media id, stage) → version of what it gave."""
    with engine.connect() as connection:
        rows = connection.execute(sa.select(STAGE_STATE))
        return {(row.media_id, row.stage): row.data_version for row in rows}


def contents(answer: Answer, key: str) -> Any:
    """All that is known of a file but who found it out, and when."""
    return rounded({name: x for name, x in answer("show", key).items() if name not in HISTORY})


def rounded(value: Any) -> Any:
    """A document with its numbers to three places."""
    if isinstance(value, dict):
        return {name: rounded(one) for name, one in value.items()}
    if isinstance(value, list):
        return [rounded(one) for one in value]
    return round(value, 3) if isinstance(value, float) else value


def edges(answer: Answer, keys: Iterable[str]) -> set[tuple[str, str, str, float]]:
    """What ties each file to which other, and how strongly."""
    return {
        (key, edge["kind"], edge["other"]["media_id"], round(edge["weight"], 3))
        for key in keys
        for edge in answer("related", key)
    }


def moments(answer: Answer, *words: str) -> list[tuple[str, float]]:
    """The best moments that a search finds."""
    return [(hit["partition_key"], hit["start_s"]) for hit in answer("search", *words)["hits"][:5]]


def test_two_workers_make_the_library_of_one_process_though_one_is_killed(
    team: Team, library: Library
) -> None:
    team.json("source", "add", str(library.originals))
    daemon = ("-m", "dam_pipeline.dagster_home", "dagster-daemon", "run", "-w", str(WORKSPACE))
    team.start("boss", sys.executable, *daemon)
    queues = ("--queue", "cpu", "--queue", "gpu")
    workers = [team.start(name, str(DAM), "worker", *queues) for name in ("one", "two")]

    with opened(team) as (instance, engine):
        killed, lost = wait_for(team, lambda: at_work(engine, instance))
        assert killed in [worker.pid for worker in workers]
        os.killpg(killed, signal.SIGKILL)
        wait_for(team, lambda: has_failed(instance, lost))
        events = instance.all_logs(lost, of_type=dg.DagsterEventType.RUN_FAILURE)
        assert f"no sign of life for {LOST_AFTER_S} s" in str([event.message for event in events])
        again = wait_for(team, lambda: repetition(instance, lost))
        wait_for(team, lambda: is_complete(team, instance, len(library.ingest["media"])))
        repeated = instance.get_run_by_id(again)
        assert repeated
        assert repeated.is_finished

        with_models = instance.get_runs(dg.RunsFilter(tags={QUEUE_TAG: "gpu"}))
        without = instance.get_runs(dg.RunsFilter(job_name="ingest"))
        plain = {dg.AssetKey(name) for name in stages_without_models()}
        assert with_models
        assert [run.run_id for run in without if run.asset_selection != plain] == []
        assert {run.run_id for run in with_models} & {run.run_id for run in without} == set()
        assert [run for run in with_models if run.run_id != lost and not run.is_success] == []
        found = data_versions(engine)

    with open_catalogue(library.home) as catalogue:
        expected = data_versions(catalogue.engine)
    assert found.keys() == expected.keys()
    assert {pair[1] for pair in found if found[pair] != expected[pair]} <= LAST_DIGITS
    alone = states(library.json("status"))
    assert states(team.json("status")) == alone
    for key in alone:
        assert contents(team.json, key) == contents(library.json, key)
    assert edges(team.json, alone) == edges(library.json, alone)
    picture = str(library.originals / "faces/astronaut.jpg")
    for words in (("orchestra",), ("--image", picture)):
        assert moments(team.json, *words) == moments(library.json, *words)
