"""What all tests share: the sample library, homes of their own, and no ERROR log unnoticed."""

import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from filelock import FileLock

from dam_pipeline.samples.contents import SampleFile
from dam_pipeline.samples.library import make_library
from dam_pipeline.settings import Settings, load_settings
from dam_pipeline_tests.delivery_servers import (
    DeliveryServer,
    running_sshd,
    running_vsftpd,
    trust,
)
from dam_pipeline_tests.postgres_server import PostgresServer, running_postgres
from dam_pipeline_tests.processed import Library, processed_library
from dam_pipeline_tests.s3_server import Bucket, Server, ask_as, open_bucket
from dam_pipeline_tests.s3_server import running_server as running_s3
from dam_pipeline_tests.servers import REQUIRED, missing_servers, running_server
from dam_pipeline_tests.weaviate_server import running_server as running_weaviate

# Two workers on two cores: one thread each is faster than two that wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Whoever runs the tests may have a library: no test may touch it, or go by its settings.
for _name in [name for name in os.environ if name.startswith("DAM_") or name == "DAGSTER_HOME"]:
    if _name != REQUIRED:
        del os.environ[_name]
os.environ["DAM_HOME"] = "/dev/null/every-test-sets-its-own-home"
# No test may reach for a model hub, even where there is a network.
os.environ["HF_HUB_OFFLINE"] = "1"
# How busy the machine is, and what was drawn last time, decide no test.
hypothesis.settings.register_profile(
    "house",
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("house")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say last what could not be tested here."""
    if lines := missing_servers(terminalreporter.stats.get("skipped", [])):
        terminalreporter.section("NOT TESTED", sep="*", red=True, bold=True)
        for line in lines:
            terminalreporter.line(line, red=True)


@pytest.fixture
def expected_error_logs() -> list[str]:
    """Regular expressions of the ERROR logs that belong to the test; append to it."""
    return []


@pytest.fixture(autouse=True)
def _unexpected_errors_fail(
    caplog: pytest.LogCaptureFixture, expected_error_logs: list[str]
) -> Iterator[None]:
    """Fail a test during which an ERROR was logged that it did not expect."""
    yield
    errors = [
        record.getMessage()
        for phase in ("setup", "call")
        for record in caplog.get_records(phase)
        if record.levelno >= logging.ERROR
    ]
    unexpected = [
        error
        for error in errors
        if not any(re.search(pattern, error) for pattern in expected_error_logs)
    ]
    if unexpected:
        pytest.fail("Logged as ERROR, but not expected: " + "; ".join(unexpected))


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that all workers of this run of the tests share."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if os.environ.get("PYTEST_XDIST_WORKER") else base) / "shared"
    folder.mkdir(exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def sample_library(shared_folder: Path) -> dict[str, SampleFile]:
    """The sample library, made once: name → file with its truth. Read it only."""
    with FileLock(shared_folder / "library.lock"):
        return {sample.name: sample for sample in make_library(shared_folder / "library")}


@pytest.fixture
def dam_home(tmp_path: Path, shared_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of this test's own for the profile `bundled`, set in the environment; not made yet.

    Weights that are put together from packages lie in a folder that all tests share.
    """
    home = tmp_path / "home"
    for name, value in {
        "DAM_HOME": home,
        "DAM_PROFILE": "bundled",
        "DAM_MODELS_DIR": shared_folder / "models",
        "DAM_TORCH_THREADS": 1,
        "DAM_SETTLE_S": 0,
    }.items():
        monkeypatch.setenv(name, str(value))
    return home


@pytest.fixture
def settings(dam_home: Path) -> Settings:
    """The settings of `dam_home`."""
    return load_settings()


@pytest.fixture
def library(
    shared_folder: Path, sample_library: dict[str, SampleFile], monkeypatch: pytest.MonkeyPatch
) -> Library:
    """A small library that was ingested once for all tests, as the home of this process; read it only."""
    found = processed_library(shared_folder, sample_library)
    found.enter(monkeypatch)
    return found


@pytest.fixture(scope="session")
def weaviate_server() -> Iterator[dict[str, str | int]]:
    """Settings of a Weaviate server of our own; tests that ask are skipped where none is built."""
    with running_weaviate() as settings:
        yield settings


@pytest.fixture(scope="session")
def redis_server() -> Iterator[str]:
    """The address of a Redis of our own; tests that ask are skipped where none is installed."""
    with running_server("redis") as (_folder, url):
        yield url


@pytest.fixture(scope="session")
def nats_server() -> Iterator[str]:
    """The address of a NATS of our own, with JetStream; tests that ask are skipped without one."""
    with running_server("nats") as (_folder, url):
        yield url


@pytest.fixture(scope="session")
def sshd() -> Iterator[DeliveryServer]:
    """An SSH server of our own; tests that ask for it are skipped where none can be had."""
    with running_sshd() as server:
        yield server


@pytest.fixture(scope="session")
def vsftpd() -> Iterator[DeliveryServer]:
    """An FTP server of our own that demands TLS; tests that ask for it are skipped without one."""
    with running_vsftpd() as server:
        yield server


@pytest.fixture(scope="session")
def plain_vsftpd() -> Iterator[DeliveryServer]:
    """An FTP server of our own without TLS; tests that ask for it are skipped without one."""
    with running_vsftpd(is_plain=True) as server:
        yield server


@pytest.fixture
def sftp_server(
    sshd: DeliveryServer, dam_home: Path, monkeypatch: pytest.MonkeyPatch
) -> DeliveryServer:
    """The SSH server, with its host key trusted in `dam_home` and the login in the environment."""
    trust(sshd, dam_home)
    return _log_in(sshd, monkeypatch)


@pytest.fixture
def ftps_server(vsftpd: DeliveryServer, monkeypatch: pytest.MonkeyPatch) -> DeliveryServer:
    """The FTP server that demands TLS, with its login and certificate in the environment."""
    return _log_in(vsftpd, monkeypatch)


@pytest.fixture
def ftp_server(plain_vsftpd: DeliveryServer, monkeypatch: pytest.MonkeyPatch) -> DeliveryServer:
    """The FTP server without TLS, with its login in the environment."""
    return _log_in(plain_vsftpd, monkeypatch)


def _log_in(server: DeliveryServer, monkeypatch: pytest.MonkeyPatch) -> DeliveryServer:
    for name, value in server.variables.items():
        monkeypatch.setenv(name, value)
    return server


@pytest.fixture(scope="session")
def s3_server() -> Iterator[Server]:
    """An S3 server of our own; tests that ask for it are skipped where none can be had."""
    with running_s3() as server:
        yield server


@pytest.fixture
def bucket(s3_server: Server, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """An empty bucket of this test's own, on the S3 of this process."""
    return open_bucket(s3_server, monkeypatch)


@pytest.fixture
def as_guest(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask the S3 server as one who may only do what the bucket's policy allows."""
    guest = {
        "AWS_ACCESS_KEY_ID": bucket.server.guest_key,
        "AWS_SECRET_ACCESS_KEY": bucket.server.guest_secret,
    }
    ask_as(monkeypatch, guest)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A Postgres server of our own; tests that ask for it are skipped where none is installed."""
    with running_postgres() as server:
        yield server


@pytest.fixture
def own_postgres(postgres_server: PostgresServer) -> Iterator[str]:
    """Address of an empty Postgres database of this test's own."""
    with postgres_server.own_database() as url:
        yield url


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest) -> str:
    """What DAM_POSTGRES_URL holds: nothing, then an empty database. The same test runs on both."""
    return str(request.getfixturevalue("own_postgres")) if request.param == "postgres" else ""
