"""`dam ui`: both servers come up, answer on this home, and end with it."""

import json
import os
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dam_pipeline_tests.processed import DAM, dam
from dam_pipeline_tests.servers import free_port, is_open

DOWN_WITHIN_S = 60


def get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=60) as answer:
        content: bytes = answer.read()
        return content


class Ui:
    """A running `dam ui` and what it said when it was up."""

    def __init__(self, folder: Path) -> None:
        self.port, self.preview_port = free_port(), free_port()
        words = ["--port", str(self.port), "--preview-port", str(self.preview_port)]
        with open(folder / "ui.log", "wb") as log:
            self.process = subprocess.Popen(
                [DAM, "ui", *words, "--no-browser", "--json"],
                stdout=subprocess.PIPE,
                stderr=log,
            )
        self.log = folder / "ui.log"

    def said(self) -> dict[str, Any]:
        """The JSON that it prints when it is up."""
        stdout = self.process.stdout
        assert stdout
        lines = []
        for line in stdout:
            lines.append(line)
            if line.rstrip() == b"}":
                break
        assert lines, self.log.read_text()
        document: dict[str, Any] = json.loads(b"".join(lines))
        return document

    def wait_until_closed(self) -> list[int]:
        """Ports that still answer after the time that an end may take."""
        until = time.monotonic() + DOWN_WITHIN_S
        ports = [self.port, self.preview_port]
        while time.monotonic() < until and any(is_open(port) for port in ports):
            time.sleep(0.2)
        return [port for port in ports if is_open(port)]


@pytest.fixture
def ui(dam_home: Path, tmp_path: Path) -> Iterator[Ui]:
    started = Ui(tmp_path)
    try:
        yield started
    finally:
        if started.process.poll() is None:
            started.process.terminate()
            started.process.wait(DOWN_WITHIN_S)
        if started.process.stdout:
            started.process.stdout.close()


@pytest.mark.slow
def test_both_servers_answer_and_end_on_a_signal(ui: Ui, dam_home: Path) -> None:
    said = ui.said()
    assert said == {
        "url": f"http://127.0.0.1:{ui.port}",
        "preview_url": f"http://127.0.0.1:{ui.preview_port}",
    }
    assert json.loads(get(f"{said['preview_url']}/healthz")) == {"ok": True}
    assert b"dagster" in get(said["url"]).lower()
    query = b'{"query": "{ assetNodes { assetKey { path } } }"}'
    request = urllib.request.Request(
        f"{said['url']}/graphql", query, {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        nodes = json.load(answer)["data"]["assetNodes"]
    assert ["probe"] in [node["assetKey"]["path"] for node in nodes]
    assert (dam_home / "dagster" / "dagster.yaml").exists()
    busy = dam("ui", "--port", str(ui.port))
    assert busy.exit_code == 2
    assert f"Port {ui.port}" in busy.stderr
    ui.process.send_signal(signal.SIGTERM)
    assert ui.process.wait(DOWN_WITHIN_S) == 0
    assert ui.wait_until_closed() == []


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells children")
def test_a_killed_command_takes_its_servers_with_it(ui: Ui) -> None:
    ui.said()
    os.kill(ui.process.pid, signal.SIGKILL)
    ui.process.wait()
    assert ui.wait_until_closed() == []


@pytest.mark.parametrize(
    "words",
    [("--port", "0"), ("--port", "70000"), ("--preview-port", "-1")],
)
def test_a_port_that_is_none_is_wrong_use(dam_home: Path, words: tuple[str, str]) -> None:
    result = dam("ui", *words)
    assert result.exit_code == 2
    assert words[0] in result.stderr


def test_one_port_cannot_serve_both(dam_home: Path) -> None:
    port = str(free_port())
    result = dam("ui", "--port", port, "--preview-port", port)
    assert result.exit_code == 2
    assert port in result.stderr
