"""`dam doctor`: each kind of damage is found, told with its remedy, and mended by --repair."""

import json
import re
import shutil
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa

from dam_pipeline.catalogue.catalogue import open_catalogue
from dam_pipeline.catalogue.database import this_process
from dam_pipeline.catalogue.tables import LEASE
from dam_pipeline.dagster_home import open_instance
from dam_pipeline.partitions import PARTITIONS
from dam_pipeline.records import State
from dam_pipeline.run_tags import JOB_TAG, PROCESS_TAG
from dam_pipeline.settings import load_settings
from dam_pipeline.stores.vectors import open_vector_store
from dam_pipeline_tests.processed import Library, dam, dam_json
from dam_pipeline_tests.weaviate_server import own_prefix

pytestmark = [pytest.mark.slow, pytest.mark.weights]


@pytest.fixture
def own(library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Library:
    copied = library.copy(tmp_path / "home")
    copied.enter(monkeypatch)
    return copied


def wrong(*options: str) -> dict[str, dict[str, Any]]:
    """What doctor finds wrong, by check."""
    result = dam("doctor", "--json", *options)
    said = json.loads(result.stdout)
    found = {one["check"]: one for one in said["checks"] if not one["ok"]}
    assert said["ok"] == (not found) == (result.exit_code == 0)
    return found


def assert_mended(check: str) -> None:
    """`--repair` mends it, and the next look finds nothing."""
    found = wrong()
    assert set(found) == {check}
    assert found[check]["mend"]
    said = json.loads(dam("doctor", "--repair", "--json").stdout)
    assert next(one for one in said["checks"] if one["check"] == check)["repaired"]
    assert wrong() == {}


def folder_of(library: Library, name: str) -> Path:
    media_id = dam_json("show", library.key(name))["media_id"]
    return library.home / "derived" / media_id[:2] / media_id


def dead_process() -> int:
    """The number of a process that has ended."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return ended.pid


def test_a_healthy_home_is_well(library: Library) -> None:
    result = dam("doctor")
    assert result.exit_code == 0, result.stdout
    assert "ffmpeg" in result.stdout


def test_missing_weights_are_told_with_how_to_get_them(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAM_PROFILE", "standard")
    found = wrong()
    assert "dam models fetch clip-vit-b32" in found["weights image-text"]["text"]


def test_a_tool_that_is_not_there_is_told(
    library: Library, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("ffmpeg", "ffprobe"):
        found = shutil.which(name)
        assert found
        (tmp_path / name).symlink_to(found)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert set(wrong()) == {"exiftool"}


def test_a_home_that_cannot_be_made_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAM_HOME", "/proc/no-home")
    found = wrong()
    assert "DAM_HOME" in found["home"]["mend"]


def test_leftovers_of_dead_processes_are_deleted_and_those_of_living_ones_kept(
    own: Library,
) -> None:
    kept = own.home / "scratch" / "1-living"
    left = own.home / "scratch" / f"{dead_process()}-left"
    kept.mkdir(parents=True)
    left.mkdir()
    unfinished = folder_of(own, "memo.flac") / f".probe.json.{dead_process()}.tmp"
    unfinished.write_text("{")
    assert_mended("leftovers")
    assert (kept.exists(), left.exists(), unfinished.exists()) == (True, False, False)


def test_a_lease_of_a_killed_process_is_deleted(own: Library) -> None:
    host = this_process().split("/")[0]
    with open_catalogue(own.home) as catalogue, catalogue.engine.begin() as connection:
        values = {"media_id": "0" * 32, "stage": "probe", "run_id": "run", "expires_at": 9e12}
        connection.execute(sa.insert(LEASE), {**values, "owner": f"{host}/{dead_process()}/1"})
    assert_mended("leases")


def test_a_result_that_cannot_be_read_is_forgotten_and_made_again(own: Library) -> None:
    folder = folder_of(own, "memo.flac")
    (folder / "checksum.json").write_text("{")
    (folder_of(own, "reel.mp4") / "scenes.parquet").write_bytes(b"no table")
    assert "2 results cannot be read" in wrong()["derived files"]["text"]
    dam("doctor", "--repair")
    done = own.run("ingest", str(own.originals), "--json")
    assert json.loads(done.stdout)["run_ids"]
    assert json.loads((folder / "checksum.json").read_text())["state"] == "done"
    assert wrong() == {}


def test_a_result_that_was_written_and_not_recorded_is_recorded(own: Library) -> None:
    media_id = dam_json("show", "memo")["media_id"]
    with open_catalogue(own.home) as catalogue:
        row = catalogue.states.of([media_id])[media_id]["transcript"]
        catalogue.states.record(
            [replace(row, state=State.FAILED, updated_at="2000-01-01T00:00:00+00:00")]
        )
        catalogue.states.forget([media_id], ["scenes"])
    assert_mended("states")
    with open_catalogue(own.home) as catalogue:
        rows = catalogue.states.of([media_id])[media_id]
    assert rows["transcript"] == row
    assert rows["scenes"].state is State.DONE


def test_a_blocked_state_newer_than_its_file_is_no_fault(own: Library) -> None:
    media_id = dam_json("show", "memo")["media_id"]
    with open_catalogue(own.home) as catalogue:
        row = catalogue.states.of([media_id])[media_id]["transcript"]
        newer = "2999-01-01T00:00:00+00:00"
        catalogue.states.record([replace(row, state=State.BLOCKED, updated_at=newer)])
    assert wrong() == {}


def test_a_media_that_only_the_catalogue_knows_gets_its_file_again(own: Library) -> None:
    path = folder_of(own, "memo.flac") / "media.json"
    before = json.loads(path.read_text())["media"]
    path.unlink()
    assert_mended("media.json")
    assert json.loads(path.read_text())["media"] == before


def test_what_dagster_has_not_heard_of_is_reported_to_it(own: Library) -> None:
    shutil.rmtree(own.home / "dagster")
    found = wrong()
    assert set(found) == {"partitions", "results"}
    dam("doctor", "--repair")
    assert wrong() == {}
    with open_instance(load_settings()) as instance:
        assert own.key("memo.flac") in instance.get_dynamic_partitions(PARTITIONS)


def test_files_that_the_index_has_lost_are_put_in_again(own: Library) -> None:
    media_id = dam_json("show", own.key("memo.flac"))["media_id"]
    with closing(open_vector_store(load_settings())) as store:
        before = store.counts()
        store.remove([media_id])
    assert re.search(r"LanceDB in .* lacks 1 of \d+ files", wrong()["search index"]["text"])
    assert_mended("search index")
    with closing(open_vector_store(load_settings())) as store:
        assert store.counts() == before


@pytest.mark.weaviate
def test_the_doctor_speaks_of_the_store_that_is_set(
    own: Library, weaviate_server: dict[str, str | int], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {**weaviate_server, "weaviate_prefix": own_prefix()}.items():
        monkeypatch.setenv(f"DAM_{name.upper()}", str(value))
    lack = wrong()["search index"]["text"]
    assert re.match(r"Weaviate 1\.\d+\.\d+ at http://127\.0\.0\.1:\d+ lacks", lack)
    assert_mended("search index")
    with closing(open_vector_store(load_settings())) as store:
        store.drop()
    monkeypatch.setenv("DAM_WEAVIATE_API_KEY", "wrong")
    assert "refuses the API key" in wrong()["search index"]["text"]


def test_an_empty_index_and_a_missing_graph_are_made_again(own: Library) -> None:
    shutil.rmtree(own.home / "lancedb")
    shutil.rmtree(own.home / "graph")
    assert set(wrong()) == {"search index", "graph"}
    dam("doctor", "--repair")
    assert wrong() == {}
    assert dam_json("search", "fishermen")["hits"]
    assert dam_json("related", own.key("memo.flac"))


def test_a_run_whose_process_was_killed_is_marked_as_failed(own: Library) -> None:
    from dam_pipeline.definitions import build_definitions

    host = this_process().split("/")[0]
    tags = {PROCESS_TAG: f"{host}/{dead_process()}/1", JOB_TAG: "graph"}
    with open_instance(load_settings()) as instance:
        job = build_definitions(load_settings()).resolve_job_def("graph")
        run = instance.create_run_for_job(job, tags=tags)
        event = dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, "graph")
        instance.report_dagster_event(event, run.run_id)
    assert_mended("runs")
