"""What `dam` says when the webserver of DAM_DAGSTER_URL is not what it should be.

One webserver without a daemon serves all tests; its code location is a file, which the last ones write
anew.
"""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from dam_pipeline import __version__
from dam_pipeline.errors import ConfigurationError, RemoteError, RemoteUnavailable
from dam_pipeline.remote.endpoint import Endpoint
from dam_pipeline.remote.following import Patience, follow
from dam_pipeline.remote.server import Server, check_paths
from dam_pipeline_tests.processed import dam
from dam_pipeline_tests.servers import free_port, is_open

OURS = "from dam_pipeline.definitions import defs"
UP_WITHIN_S = 120
JOB = """
import dagster as dg
@dg.op(out=dg.Out(dg.Nothing))
def nothing(): ...
@dg.graph
def steps(): nothing()
defs = dg.Definitions(jobs=[{jobs}])
"""
RELOAD = """mutation($name: String!) { reloadRepositoryLocation(repositoryLocationName: $name) {
  ... on WorkspaceLocationEntry { loadStatus } } }"""


class Lonely:
    """A webserver without a daemon; its code location is the file `location`."""

    def __init__(self, folder: Path) -> None:
        self.location = folder / "location.py"
        self.location.write_text(OURS)
        workspace = folder / "workspace.yaml"
        workspace.write_text(
            "load_from:\n  - python_file:\n"
            f"      relative_path: {self.location.name}\n      location_name: studio\n"
        )
        home = folder / "home"
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        (home / "dagster").mkdir(parents=True)
        (home / "dagster/dagster.yaml").write_text("telemetry: {enabled: false}\n")
        environment = {
            **os.environ,
            "DAM_HOME": str(home),
            "DAGSTER_HOME": str(home / "dagster"),
            "DAM_PROFILE": "bundled",
        }
        words = ["-w", str(workspace), "-h", "127.0.0.1", "-p", str(self.port)]
        self.log = folder / "webserver.log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "dagster_webserver", *words],
                env=environment,
                stdout=log,
                stderr=log,
            )

    def show(self, source: str) -> None:
        """Make this the code location."""
        self.location.write_text(source)
        Endpoint(self.url).ask(RELOAD, {"name": "studio"})


@pytest.fixture(scope="module")
def lonely(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lonely]:
    started = Lonely(tmp_path_factory.mktemp("lonely"))
    until = time.monotonic() + UP_WITHIN_S
    try:
        while not is_open(started.port):
            assert started.process.poll() is None, started.log.read_text()
            assert time.monotonic() < until, started.log.read_text()
            time.sleep(0.2)
        yield started
    finally:
        started.process.terminate()
        started.process.wait(60)


@pytest.fixture
def proxy(lonely: Lonely) -> Iterator[str]:
    """A proxy before it, at /dagster, that takes the token `sesame` only."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            token = self.headers.get("Authorization")
            if token is None:
                self.send_response(302)
                self.send_header("Location", f"{lonely.url}/graphql")
                self.end_headers()
            elif token != "Bearer sesame":
                self._answer(403, b"<h1>Forbidden</h1>")
            elif self.path != "/dagster/graphql":
                self._answer(404, b"<h1>Not here</h1>")
            else:
                self._answer(200, _forward(lonely, body))

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _forward(lonely: Lonely, body: bytes) -> bytes:
    import urllib.request

    request = urllib.request.Request(
        f"{lonely.url}/graphql", body, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        content: bytes = answer.read()
        return content


def status(monkeypatch: pytest.MonkeyPatch, home: Path, **settings: str) -> tuple[int, str]:
    """Exit code and words of `dam status` with these settings."""
    monkeypatch.setenv("DAM_HOME", str(home))
    for name, value in settings.items():
        monkeypatch.setenv(f"DAM_DAGSTER_{name.upper()}", value)
    result = dam("status")
    return result.exit_code, " ".join(result.stderr.split())


@pytest.mark.parametrize(
    "url",
    [
        *("dam.lan:3000", "ftp://dam.lan", "http://", "http://[::1"),
        *("http://me:secret@dam.lan:3000", "me:secret@dam.lan:3000", "ftp://me:secret@dam.lan"),
    ],
)
def test_an_address_that_is_none_is_wrong_use(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, words = status(monkeypatch, tmp_path, url=url)
    assert code == 2
    assert "DAM_DAGSTER_URL" in words
    assert "secret" not in words


def test_nothing_that_listens_is_told_with_the_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    code, words = status(monkeypatch, tmp_path, url=url)
    assert code == 1
    assert f"No webserver answers at {url} (" in words


def test_a_token_is_in_no_representation() -> None:
    assert "sesame" not in repr(Endpoint("http://dam.lan", "sesame"))


@pytest.mark.parametrize("path", ["clips/a.mov", "./a.mov", "~/a.mov"])
def test_a_relative_path_is_refused_before_anything_is_asked(path: str) -> None:
    with pytest.raises(ConfigurationError, match="relative"):
        check_paths([path])
    check_paths(["/mnt/rushes", "s3://rushes/2026"])


def test_a_server_of_something_else_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]

        def answer() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(
                    b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\n<p>hi</p>"
                )

        thread = threading.Thread(target=answer)
        thread.start()
        code, words = status(monkeypatch, tmp_path, url=f"http://127.0.0.1:{port}")
        thread.join()
    assert code == 1
    assert "is no Dagster webserver: it answered '<p>hi</p>'" in words


@pytest.mark.slow
def test_a_queue_that_no_daemon_empties_is_told(lonely: Lonely) -> None:
    server = Server.connect(lonely.url)
    run_id = server.launch("reprocess", {"ops": {"choose_media": {"config": {"dry_run": True}}}})
    with pytest.raises(RemoteUnavailable, match=r"no daemon has been heard of since it was set up"):
        follow(server, run_id, patience=Patience(look_every_s=0.1, queued_for_s=0.5))
    assert server.runs(run_ids=[run_id])[0].status == "QUEUED"


@pytest.mark.slow
def test_configuration_that_the_server_does_not_know_is_a_matter_of_versions(
    lonely: Lonely,
) -> None:
    server = Server.connect(lonely.url)
    with pytest.raises(
        RemoteError, match=r"reprocess \(RunConfigValidationInvalid\).*same version"
    ):
        server.launch("reprocess", {"ops": {"choose_media": {"config": {"smell": "lemon"}}}})


@pytest.mark.slow
def test_a_question_that_the_server_does_not_know_is_a_matter_of_versions(lonely: Lonely) -> None:
    with pytest.raises(RemoteError, match=r"does not understand .*'smell'.* same version"):
        Endpoint(lonely.url).ask("{ smell }")


@pytest.mark.slow
def test_a_token_opens_the_proxy_at_a_prefix(lonely: Lonely, proxy: str) -> None:
    server = Server.connect(f"{proxy}/dagster/", "sesame")
    assert (server.location, server.version) == ("studio", __version__)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("token", "told"),
    [
        ("", "sends us elsewhere (HTTP 302)"),
        ("wrong", "does not take DAM_DAGSTER_TOKEN (HTTP 403)"),
    ],
)
def test_a_refused_login_is_told_without_the_token(
    proxy: str, token: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, words = status(monkeypatch, tmp_path, url=f"{proxy}/dagster", token=token)
    assert code == 1
    assert told in words
    assert "wrong" not in words


def test_a_command_that_works_at_home_says_so(
    dam_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAM_DAGSTER_URL", "http://dam.lan:3000")
    words = " ".join(dam("source", "list").stderr.split())
    assert f"note: this command works on {dam_home}, not through DAM_DAGSTER_URL." in words


@pytest.mark.slow
@pytest.mark.parametrize(
    ("source", "told"),
    [
        (
            "raise RuntimeError('no weights today')",
            "could not load studio: RuntimeError: no weights today.",
        ),
        (
            JOB.format(jobs="steps.to_job('ingest')"),
            "(studio) has the jobs ingest, graph, discover",
        ),
    ],
)
def test_a_code_location_that_is_not_what_we_need_is_told(
    lonely: Lonely, source: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lonely.show(source)
    code, words = status(monkeypatch, tmp_path, url=lonely.url)
    assert code == 1
    assert told in words
