"""Requests of the documentation, and `dam` with DAM_DAGSTER_URL, against a live webserver and daemon.

One `dam ui` serves a copy of the processed library to all tests here, in the order of this file: the
first starts a backfill, which takes a minute, and the last looks at it.
"""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from dam_pipeline.remote.server import Server
from dam_pipeline.samples.contents import SampleFile
from dam_pipeline_tests.faults.originals import photograph
from dam_pipeline_tests.processed import DAM, Library, dam, processed_library
from dam_pipeline_tests.test_cli_ui import DOWN_WITHIN_S, Ui

pytestmark = [pytest.mark.slow, pytest.mark.weights]

PAGE = Path(__file__).resolve().parent.parent / "docs/how-to/drive-it-over-graphql.md"
BLOCK = re.compile(r"^```(\w+) (run|later)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXAMPLE_KEY = re.compile(r"\b(reel|reel-for-web|memo)-[0-9a-f]{12}\b")
NAMES = {"reel": "reel.mp4", "memo": "memo.flac", "reel-for-web": "empty.mp4"}
BACKFILL_WITHIN_S = 150


@dataclass(frozen=True)
class Served:
    """A library behind a webserver, a folder of new files, and one for what scripts write."""

    library: Library
    url: str
    incoming: Path
    scripts: Path

    @property
    def keys(self) -> list[str]:
        """All partition keys, in the order of Dagster."""
        asked = '{ assetNodes(assetKeys: [{path: ["probe"]}]) { partitionKeys } }'
        found: list[str] = self.server.endpoint.ask(asked).data["assetNodes"][0]["partitionKeys"]
        return found

    def blocks(self, language: str, when: str) -> str:
        """The blocks of the page as one script, with the keys of this library in them.

        Instead of the second reel stands a broken file, so that the backfill fails in part.
        """
        text = "\n".join(
            body
            for its_language, its_time, body in BLOCK.findall(PAGE.read_text())
            if (its_language, its_time) == (language, when)
        )
        text = EXAMPLE_KEY.sub(lambda found: self.library.key(NAMES[found[1]]), text)
        for example, real in {
            "FIRST-KEY": self.keys[0],
            "LAST-KEY": self.keys[1],
            "FAILED-KEY": self.library.key("empty.mp4"),
            "/mnt/rushes/2026-05-17": str(self.incoming),
        }.items():
            text = text.replace(example, real)
        return text

    @property
    def server(self) -> Server:
        return Server.connect(self.url)

    def run(self, interpreter: list[str], script: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*interpreter, script],
            cwd=self.scripts,
            env={**os.environ, "DAM_DAGSTER_URL": self.url},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def wrote(self, name: str) -> Any:
        """The `data` of an answer that a script of the page has kept."""
        document = json.loads((self.scripts / name).read_text())
        assert "errors" not in document
        return document["data"]

    def wait_for(self, run_id: str) -> str:
        """How a run ends."""
        while not (run := self.server.runs(run_ids=[run_id])[0]).has_ended:
            time.sleep(0.5)
        return run.status


@pytest.fixture(scope="module")
def served(
    shared_folder: Path,
    sample_library: dict[str, SampleFile],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    library = processed_library(shared_folder, sample_library).copy(folder / "home")
    (folder / "incoming").mkdir()
    (folder / "scripts").mkdir()
    Image.effect_mandelbrot((96, 64), (-2, -1, 1, 1), 40).save(folder / "incoming/fractal.png")
    (folder / "incoming/torn.jpg").write_bytes(b"\xff\xd8\xff\xe0 torn")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in library.environment().items():
            patch.setenv(name, value)
        ui = Ui(folder)
    try:
        yield Served(library, ui.said()["url"], folder / "incoming", folder / "scripts")
    finally:
        ui.process.terminate()
        ui.process.wait(DOWN_WITHIN_S)
        if ui.process.stdout:
            ui.process.stdout.close()


@pytest.fixture
def remote(served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """The same, with `dam` of this process pointed at it, and a home that must not come to be."""
    monkeypatch.setenv("DAM_DAGSTER_URL", served.url)
    monkeypatch.setenv("DAM_HOME", str(tmp_path / "nowhere"))
    yield served
    assert not (tmp_path / "nowhere").exists()


def remote_json(*words: str, code: int = 0) -> Any:
    result = dam(*words, "--json")
    assert result.exit_code == code, result.stderr
    return json.loads(result.stdout)


def test_the_requests_of_the_page_work_with_curl(served: Served) -> None:
    done = served.run(["bash", "-euo", "pipefail", "-c"], served.blocks("bash", "run"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "PythonError" not in done.stdout
    assert done.stdout.count("LaunchRunSuccess") == 6
    assert served.wrote("backfill.json")["launchPartitionBackfill"]["backfillId"]
    assert served.wrote("run.json")["runOrError"]["jobName"] == "discover"
    requested = served.wrote("requested.json")["runsOrError"]["results"]
    assert [one["jobName"] for one in requested] == ["ingest"]
    output = [
        entry
        for event in served.wrote("events.json")["logsForRun"]["events"]
        for entry in event.get("metadataEntries", [])
        if entry["label"] == "answer"
    ]
    said = json.loads(output[0]["jsonString"])
    assert (said["discovered"], said["new"], len(said["keys"])) == (2, 2, 2)
    assert said["run_ids"] == [one["runId"] for one in requested]
    probe, tags = served.wrote("states.json")["assetNodes"]
    told = probe["assetPartitionStatuses"]
    # It is being tried again, by the request for what has failed.
    trouble = [*told["failedPartitions"], *told["materializingPartitions"]]
    assert served.library.key("empty.mp4") in trouble
    assert probe["partitionStats"]["numPartitions"] == len(served.library.ingest["media"]) + 2
    assert (
        served.library.key("reel.mp4") in tags["assetPartitionStatuses"]["materializedPartitions"]
    )
    event = served.wrote("file.json")["assetNodeOrError"]["latestMaterializationByPartition"][0]
    entries = {one["label"]: one for one in event["metadataEntries"]}
    assert entries["name"]["text"] == "reel.mp4"
    assert entries["duration_s"]["floatValue"] == pytest.approx(12.0, abs=0.1)
    assert served.wrote("failed.json")["assetNodeOrError"]["latestRunForPartition"]["runId"]
    assert served.wrote("terminated.json")["terminateRun"]["__typename"] == "TerminateRunFailure"


def test_a_dry_run_over_a_filter_names_the_files_and_requests_no_run(served: Served) -> None:
    run_id = served.wrote("asked.json")["launchRun"]["run"]["runId"]
    assert served.wait_for(run_id) == "SUCCESS"
    said = served.server.said(run_id).answer
    names = {one["uri"].rsplit("/", 1)[1] for one in said["media"]}
    assert names == {"reel.mp4", "reel-for-web.mp4", "interview.mp4"}
    assert all(list(one["stages"]) == ["probe"] for one in said["media"])
    assert said["run_ids"] == []


def test_the_requests_of_the_page_work_in_python(served: Served) -> None:
    done = served.run([sys.executable, "-c"], served.blocks("python", "run"))
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == "SUCCESS"
    assert int(lines[1].split()[0]) >= len(served.library.ingest["media"]) - 1
    assert lines[2] == "['SUCCESS']"
    # What an earlier request of the page has started may be at one of them again.
    states = lines[3].count("<State.DONE: 'done'>"), lines[3].count("<State.RUNNING: 'running'>")
    assert sum(states) == 2
    assert states[0] >= 1


def test_ingest_registers_there_and_tells_what_was_done_before(remote: Served) -> None:
    Image.effect_mandelbrot((64, 96), (-1, -1, 0, 1), 30).save(remote.incoming / "spiral.png")
    said = remote_json("ingest", str(remote.incoming), code=3)
    assert (said["discovered"], said["new"], said["unchanged"]) == (3, 1, 2)
    assert (said["done"], said["failed"], said["blocked"]) == (2, 1, 0)
    assert [one["state"] for one in said["media"]] == ["done"]
    runs = {one.run_id: one for one in remote.server.runs(run_ids=said["run_ids"])}
    assert [runs[one].job for one in said["run_ids"]] == ["ingest", "graph"]
    assert all("@" in run.tags["dam/launched_by"] for run in runs.values())


def test_an_ingest_of_what_is_known_starts_no_run_and_names_the_failure(remote: Served) -> None:
    result = dam("ingest", str(remote.incoming))
    assert result.exit_code == 3
    words = " ".join(result.stderr.split())
    assert "3 files found, 0 new, 3 unchanged: 2 done, 1 failed, 0 blocked." in words
    assert "at probe failed: " in words
    assert "linking" not in words


def test_status_there_tells_the_states_that_the_catalogue_has(
    remote: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = remote_json("status", code=3)
    monkeypatch.delenv("DAM_DAGSTER_URL")
    with monkeypatch.context() as patch:
        remote.library.enter(patch)
        here = remote_json("status", code=3)

    def states(said: Any) -> dict[str, dict[str, str]]:
        return {
            one["partition_key"]: {
                stage: told["state"].replace("empty", "done")
                for stage, told in one["stages"].items()
            }
            for one in said["media"]
        }

    assert states(there) == states(here)
    reasons = [
        {
            (one["partition_key"], stage): told["reason"]
            for one in said["media"]
            for stage, told in one["stages"].items()
            if told["state"] == "failed"
        }
        for said in (there, here)
    ]
    assert reasons[0] == reasons[1]
    assert len(reasons[0]) == 2


def test_a_file_that_went_away_fails_and_is_mended_by_a_retry_of_failures(remote: Served) -> None:
    path, away = remote.incoming / "fractal.png", remote.scripts / "away.png"
    key = next(one for one in remote.keys if one.startswith("fractal-"))
    path.rename(away)
    gone = remote_json("retry", key, "memo", "--stage", "probe", "--all", code=3)
    assert (gone["done"], gone["failed"]) == (1, 1)
    jobs = [one.job for one in remote.server.runs(run_ids=gone["run_ids"])]
    assert sorted(jobs) == ["graph", "process_files"], "Scattered files are one run."
    away.rename(path)
    mended = remote_json("retry", key, "--failed")
    assert (mended["done"], mended["failed"], mended["blocked"]) == (1, 0, 0)
    assert "is gone" in mended["media"][0]["stages"]["probe"]["reason"]


def test_a_path_that_the_server_does_not_have_is_wrong_use(remote: Served) -> None:
    result = dam("ingest", "/no/such/folder")
    assert result.exit_code == 2
    assert "There is no /no/such/folder" in " ".join(result.stderr.split())


def test_ctrl_c_leaves_the_run_going_and_says_where_it_is(remote: Served, tmp_path: Path) -> None:
    for number in range(4):  # enough to be at work when the signal comes
        photograph(tmp_path / f"late-{number}.jpg", number)
    before = {run.run_id for run in remote.server.runs()}
    following = subprocess.Popen(
        [DAM, "ingest", str(tmp_path)],
        stderr=subprocess.PIPE,
        # A shell's background jobs are told to ignore it, and so is what they start.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    until = time.monotonic() + 60
    while not (new := _new_runs(remote, before)) and time.monotonic() < until:
        time.sleep(0.1)
    following.send_signal(signal.SIGINT)
    words = following.communicate(timeout=60)[1].decode()
    assert following.returncode == 130, words
    assert f"{remote.url}/runs/{new[0]}" in words
    assert remote.wait_for(new[0]) == "SUCCESS"


def test_a_backfill_is_followed_and_its_failures_are_run_again(served: Served) -> None:
    later = served.blocks("bash", "later")
    first = served.blocks("bash", "run").split("ask <<")[0]
    backfill = served.wrote("backfill.json")["launchPartitionBackfill"]["backfillId"]
    status = (
        "query($id: String!) { partitionBackfillOrError(backfillId: $id) "
        "{ ... on PartitionBackfill { status } } }"
    )
    until = time.monotonic() + BACKFILL_WITHIN_S
    while time.monotonic() < until:
        told = served.server.endpoint.ask(status, {"id": backfill}).data
        if told["partitionBackfillOrError"]["status"].startswith("COMPLETED_"):
            break
        time.sleep(1)
    done = served.run(["bash", "-euo", "pipefail", "-c"], first + later)
    assert done.returncode == 0, done.stderr
    told = served.wrote("backfilled.json")["partitionBackfillOrError"]
    assert (told["title"], told["status"]) == ("probe of all reels", "COMPLETED_FAILED")
    counts = told["assetBackfillData"]["assetBackfillStatuses"][0]
    assert counts["numPartitionsTargeted"] == 2
    assert (counts["numPartitionsMaterialized"], counts["numPartitionsFailed"]) == (1, 1)
    assert served.wrote("reexecuted.json")["reexecutePartitionBackfill"]["backfillId"]


def _new_runs(served: Served, before: set[str]) -> list[str]:
    return [
        one.run_id
        for one in served.server.runs()
        if one.run_id not in before and one.job == "discover"
    ]
