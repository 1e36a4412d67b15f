"""Servers of our own: one command starts all, twice is once, and a killed one comes back as it was."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import boto3
import nats
import pytest
import redis
import sqlalchemy as sa

from dam_pipeline.catalogue.postgres import with_driver
from dam_pipeline.settings import Settings
from dam_pipeline_tests.servers import REQUIRED, SCRIPTS, require

NAMES = ("postgres", "s3", "redis", "nats", "weaviate")
S3_TEST = "dam_pipeline_tests/test_sources_s3.py::test_one_object_can_be_named"


@pytest.fixture
def clone() -> Iterator[Path]:
    """A folder with the scripts alone; what they start in it is stopped afterwards."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o711)  # Postgres runs as a user of its own
        (folder / ".ci").mkdir()
        for script in SCRIPTS.glob("*.sh"):
            (folder / ".ci" / script.name).symlink_to(script)
        yield folder
        run_servers(folder, "stop")


def run_servers(clone: Path, task: str, **variables: str) -> str:
    """Do a task of the script of all servers in a clone; returns what it says."""
    done = subprocess.run(
        [clone / ".ci" / "servers.sh", task],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout + done.stderr


def start(clone: Path, **variables: str) -> tuple[dict[str, str], str]:
    """Start the servers; returns the settings that are left for use, also those with a #, and words."""
    words = run_servers(clone, "start", **variables)
    lines = (clone / ".servers.env").read_text().splitlines()
    return dict(x.removeprefix("#").split("=", 1) for x in lines if "# " not in x), words


def pid_of(clone: Path, name: str) -> int:
    """The process of a server."""
    return int((clone / ".servers" / name / "pid").read_text().split()[0])


async def publish(url: str) -> str:
    """Store a message in JetStream; returns the stream that took it."""
    client = await nats.connect(url)
    stream = client.jetstream()
    await stream.add_stream(name="news", subjects=["news.>"])
    taken = await stream.publish("news.one", b"1")
    await client.close()
    return taken.stream


@pytest.mark.slow
@pytest.mark.postgres
@pytest.mark.s3
@pytest.mark.redis
@pytest.mark.nats
@pytest.mark.weaviate
def test_one_command_starts_all_servers_and_another_ends_them(clone: Path) -> None:
    for name in NAMES:
        require(name)
    found, _words = start(clone)
    assert {name for name in found if name.startswith("DAM_")} <= {
        "DAM_PASSWORD_127_0_0_1",  # of the FTP server: a login is no setting
        *(f"DAM_{name.upper()}" for name in Settings.model_fields),
    }
    with sa.create_engine(with_driver(found["DAM_POSTGRES_URL"])).connect() as connection:
        assert connection.scalar(sa.text("SELECT 1")) == 1
    client = boto3.client(
        "s3",
        endpoint_url=found["AWS_ENDPOINT_URL"],
        aws_access_key_id=found["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=found["AWS_SECRET_ACCESS_KEY"],
        region_name=found["AWS_DEFAULT_REGION"],
    )
    bucket = found["DAM_STORAGE_URL"].split("/")[2]
    client.put_object(Bucket=bucket, Key="a", Body=b"1")
    assert asyncio.run(publish(found["DAM_NATS_URL"])) == "news"
    ready = urllib.request.Request(
        found["DAM_WEAVIATE_URL"] + "/v1/meta",
        headers={"Authorization": f"Bearer {found['DAM_WEAVIATE_API_KEY']}"},
    )
    assert urllib.request.urlopen(ready).status == 200
    broker = redis.Redis.from_url(found["DAM_CELERY_BROKER"])
    broker.set("a", "1")

    pids = {name: pid_of(clone, name) for name in NAMES}
    assert start(clone)[0] == found
    assert {name: pid_of(clone, name) for name in NAMES} == pids

    os.kill(pids["redis"], signal.SIGKILL)
    assert start(clone)[0] == found
    assert broker.get("a") == b"1"

    run_servers(clone, "stop")
    assert not (clone / ".servers").exists()
    assert not (clone / ".servers.env").exists()
    with pytest.raises(redis.ConnectionError):
        broker.ping()


@pytest.mark.postgres
def test_what_cannot_be_had_is_said_and_left_out(clone: Path, tmp_path: Path) -> None:
    require("postgres")
    found, words = start(clone, GO="/no/go", XDG_CACHE_HOME=str(tmp_path))
    assert "*** NO SERVER of weaviate" in words
    assert "built with Go, which is not installed" in words
    assert "DAM_POSTGRES_URL" in found
    assert "DAM_WEAVIATE_URL" not in found


def test_settings_of_the_servers_change_no_library_unasked(clone: Path, tmp_path: Path) -> None:
    start(clone, GO="/no/go", XDG_CACHE_HOME=str(tmp_path))
    active = [x for x in (clone / ".servers.env").read_text().splitlines() if x[0] != "#"]
    names = {line.split("=")[0] for line in active}
    assert names & {"DAM_CELERY_BROKER", "DAM_STORAGE_URL", "DAM_VECTOR_STORE"} == set()


@pytest.mark.parametrize(
    ("required", "words"),
    [
        (
            "",
            ["1 skipped", "NOT TESTED", "1 tests, no server of s3: s3.sh: The server is not built"],
        ),
        ("postgres s3", ["1 error", "no server of s3"]),
    ],
)
def test_a_test_without_its_server_is_told_last_or_fails(
    tmp_path: Path, required: str, words: list[str]
) -> None:
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-n0", "-q", "--basetemp", tmp_path / "base", S3_TEST],
        cwd=SCRIPTS.parent,
        env={**os.environ, "XDG_CACHE_HOME": str(tmp_path), REQUIRED: required},
        capture_output=True,
        text=True,
        check=False,
    )
    assert [word for word in words if word not in result.stdout] == []
