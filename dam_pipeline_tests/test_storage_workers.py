"""Workers without a shared disk on one library: the storage in S3, the catalogue in Postgres."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from dam_pipeline.catalogue.discovery import discover
from dam_pipeline.records import State
from dam_pipeline.settings import Settings, load_settings
from dam_pipeline.stages import STAGES
from dam_pipeline.stages.engine import BatchReport, run_stages
from dam_pipeline.stages.lane import Finished
from dam_pipeline.stages.work import Toolbox
from dam_pipeline_tests.clips import encode, place, shots, speech
from dam_pipeline_tests.processed import Library, dam, dam_json
from dam_pipeline_tests.s3_server import Bucket, ask_as

pytestmark = pytest.mark.s3

QUICK = ("probe", "checksum", "poster", "shots", "keyframes")
EXACT = (*QUICK, "fingerprints", "transcript")  # the same bytes, however files are batched
PREFIX = "library"

WORKER = """
import sys
from dam_pipeline.settings import load_settings
from dam_pipeline.stages.engine import run_stages
from dam_pipeline.stages.work import Toolbox
with Toolbox.open(load_settings()) as tools:
    ids = [one.media_id for one in tools.catalogue.all_media()]
    run_stages(tools, ids, sys.argv[1:], "run-of-the-killed")
"""


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two clips, one of them with words, and a photograph."""
    folder = tmp_path_factory.mktemp("originals")
    words = speech(folder / "words.wav", "The quick brown fox jumps over the lazy dog.")
    encode(folder / "one.mp4", shots([40, 41]), inputs=("-i", words))
    words.unlink()
    encode(folder / "two.mp4", shots([20, 14]))
    Image.fromarray(place(7)).save(folder / "photo.jpg")
    return folder


@dataclass(frozen=True)
class Team:
    """What the workers of one library share."""

    storage_url: str
    postgres_url: str
    settings: Settings
    folder: Path

    def worker(self, name: str) -> Settings:
        """The settings of a worker with a home of its own."""
        own = {"home": self.folder / name, "storage_url": self.storage_url}
        return self.settings.model_copy(update=own | {"postgres_url": self.postgres_url})


@pytest.fixture
def team(bucket: Bucket, own_postgres: str, settings: Settings, tmp_path: Path) -> Team:
    return Team(f"{bucket.uri}/{PREFIX}", own_postgres, settings, tmp_path / "workers")


@pytest.fixture
def tools(bucket: Bucket, settings: Settings) -> Iterator[Toolbox]:
    """One worker with a storage."""
    own = settings.model_copy(update={"storage_url": f"{bucket.uri}/{PREFIX}"})
    with Toolbox.open(own) as opened:
        yield opened


def ids_of(tools: Toolbox, folder: Path) -> list[str]:
    discover([folder], tools.catalogue, tools.derived, tools.settings)
    return [one.media_id for one in tools.catalogue.all_media()]


def states(tools: Toolbox) -> dict[tuple[str, str], State]:
    media = {one.media_id: one.first_name for one in tools.catalogue.all_media()}
    rows = tools.catalogue.states.of([*media])
    return {(media[one], stage): row.state for one in media for stage, row in rows[one].items()}


def versions(tools: Toolbox) -> dict[tuple[str, str], tuple[State, str]]:
    """State and version of the content of every derived file."""
    found = {}
    for media_id in tools.derived.media_ids():
        for stage in STAGES:
            outcome = tools.derived.outcome(media_id, stage)
            if outcome:
                found[media_id, stage] = (outcome.state, outcome.data_version)
    return found


def embeddings(tools: Toolbox) -> np.ndarray:
    """The vectors of all keyframes, file by file; in the last digits they depend on the batch."""
    tables = [tools.derived.table(one, "clip_embeddings") for one in tools.derived.media_ids()]
    return np.array([row for table in tables for row in table["vector"].to_pylist()])


class Stored:
    """What lies in the storage, looked at without our own code."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket

    def names(self) -> list[str]:
        pages = self._bucket.client.get_paginator("list_objects_v2")
        found = pages.paginate(Bucket=self._bucket.name, Prefix=f"{PREFIX}/derived/")
        return [entry["Key"] for page in found for entry in page.get("Contents", ())]

    def content(self, name: str) -> Any:
        return self._bucket.client.get_object(Bucket=self._bucket.name, Key=name)["Body"]

    def assert_whole(self, tmp_path: Path) -> set[tuple[str, str]]:
        """Read everything; gives the (media id, stage) that have an outcome."""
        names, outcomes = set(self.names()), set()
        for name in names:
            copy = tmp_path / "looked-at"
            copy.write_bytes(self.content(name).read())
            if name.endswith(".json"):
                document = json.loads(copy.read_text())
                if "stage" in document:
                    outcomes.add((document["media_id"], document["stage"]))
                    table = name.replace(".json", ".parquet")
                    assert not document["rows"] or table in names, name
            elif name.endswith(".parquet"):
                pq.read_table(copy)
            else:
                with Image.open(copy) as picture:
                    picture.load()
        return outcomes


@pytest.mark.slow
@pytest.mark.weights
@pytest.mark.postgres
def test_one_worker_goes_on_where_another_stopped_and_gets_what_one_alone_would(
    team: Team, settings: Settings, originals: Path
) -> None:
    with Toolbox.open(team.worker("one")) as one:
        ids = ids_of(one, originals)
        run_stages(one, ids, QUICK, "run-1")
    with Toolbox.open(team.worker("two")) as two:
        run_stages(two, ids, STAGES, "run-2")
        together, known, vectors = versions(two), states(two), embeddings(two)
    with Toolbox.open(settings) as alone:
        run_stages(alone, ids_of(alone, originals), STAGES, "run-1")
        for pair, found in versions(alone).items():
            if pair[1] in EXACT:
                assert together[pair] == found, pair
        assert known == states(alone)
        assert np.allclose(vectors, embeddings(alone), atol=1e-5)
    assert {state for _, state in known.items()} == {State.DONE, State.EMPTY}


@pytest.mark.slow
@pytest.mark.weights
def test_a_library_comes_back_from_the_storage_alone(
    library: Library, bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for path in (library.home / "derived").rglob("*"):
        if path.is_file():
            bucket.put(f"{PREFIX}/{path.relative_to(library.home)}", path)
    monkeypatch.setenv("DAM_STORAGE_URL", f"{bucket.uri}/{PREFIX}")

    def live_in(name: str) -> None:
        monkeypatch.setenv("DAM_HOME", str(tmp_path / name))
        monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / name / "dagster"))
        rebuilt = dam("rebuild")
        assert rebuilt.exit_code == 0, rebuilt.output

    def answers() -> list[Any]:
        shown = dam_json("show", "interview")
        assert all((load_settings().home / one["path"]).exists() for one in shown["keyframes"])
        related = dam_json("related", library.key("memo.flac"))
        return [shown, related, dam_json("search", "fishermen"), dam_json("tag", "list")]

    live_in("one")
    dam_json("tag", "add", library.key("interview.mp4"), "a word that a person typed")
    before = answers()
    live_in("two")
    assert answers() == before
    assert "a word that a person typed" in [one["tag"] for one in before[0]["tags"]]
    assert len(before[2]["hits"]) > 0


@pytest.mark.slow
@pytest.mark.parametrize("objects", [1, 40])
def test_a_worker_killed_while_it_stores_leaves_whole_files_and_a_library_that_goes_on(
    tools: Toolbox, bucket: Bucket, tmp_path: Path, objects: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "photographs"
    folder.mkdir()
    for number in range(12):
        Image.fromarray(place(number)).save(folder / f"{number}.jpg")
    ids = ids_of(tools, folder)
    stored = Stored(bucket)
    at_first = len(stored.names())
    monkeypatch.setenv("DAM_STORAGE_URL", tools.settings.storage_url)
    command = [sys.executable, "-c", WORKER, *QUICK]
    killed = subprocess.Popen(command, process_group=0)
    while len(stored.names()) < at_first + objects:
        assert killed.poll() is None
        time.sleep(0.01)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    whole = stored.assert_whole(tmp_path)
    rows = tools.catalogue.states.of(ids)
    recorded = {(one, stage) for one in ids for stage in rows[one]}
    assert recorded <= whole
    with Toolbox.open(tools.settings) as successor:
        run_stages(successor, ids, QUICK, "run-2")
        assert set(states(successor).values()) == {State.DONE}
    assert stored.assert_whole(tmp_path) == {(one, stage) for one in ids for stage in QUICK}
    left = (tools.settings.home / "scratch").rglob("*")
    assert not [path for path in left if path.is_file()]


def test_while_the_storage_is_away_stages_are_blocked_and_then_go_on_by_themselves(
    tools: Toolbox, bucket: Bucket, originals: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = ids_of(tools, originals)
    seen: list[Finished] = []

    def shut_after_the_first(finished: Sequence[Finished]) -> None:
        if not seen:
            ask_as(monkeypatch, {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_MAX_ATTEMPTS": "1"})
        seen.extend(finished)

    monkeypatch.setattr("dam_pipeline.stages.lane.COMMIT_AFTER_S", 0.0)
    monkeypatch.setattr("dam_pipeline.stages.engine.SMALL_BATCH", 1)
    report = run_stages(tools, ids, QUICK, "run-1", shut_after_the_first)
    blocked = report.of(State.BLOCKED)
    assert blocked
    assert not report.of(State.FAILED)
    (reason,) = {one.row.reason for one in blocked if one.row}  # one message a run
    assert "cannot be reached" in reason
    assert all(one.row.attempts == 0 for one in blocked if one.row)
    ask_as(monkeypatch, bucket.server.environment())
    stored = {
        (media_id, stage) for media_id in ids for stage in QUICK if there(tools, media_id, stage)
    }
    rows = tools.catalogue.states.of(ids)
    done = {
        (one, stage) for one in ids for stage, row in rows[one].items() if row.state is State.DONE
    }
    assert done <= stored
    monkeypatch.setattr("dam_pipeline.stores.shared_files.ASK_AGAIN_S", 0.0)
    assert not problems(run_stages(tools, ids, QUICK, "run-2"))
    assert set(states(tools).values()) == {State.DONE}


def there(tools: Toolbox, media_id: str, stage: str) -> bool:
    tools.derived.bring([media_id])
    return tools.derived.outcome(media_id, stage) is not None


def problems(report: BatchReport) -> list[Finished]:
    return [one for one in report.finished if one.state not in (State.DONE, State.EMPTY)]


def test_doctor_says_whether_the_storage_can_be_used(
    bucket: Bucket, dam_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def storage() -> dict[str, Any]:
        checks = json.loads(dam("doctor", "--json").stdout)["checks"]
        return next(one for one in checks if one["check"] == "storage")

    monkeypatch.setenv("DAM_STORAGE_URL", f"{bucket.uri}/{PREFIX}")
    assert storage()["ok"]
    ask_as(monkeypatch, {"AWS_SECRET_ACCESS_KEY": "wrong"})
    found = storage()
    assert not found["ok"]
    assert "credentials were refused" in found["text"]
    assert "s3:DeleteObject" in found["mend"]
    assert dam_home.exists()
