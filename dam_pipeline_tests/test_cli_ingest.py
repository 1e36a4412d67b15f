"""`dam ingest` and `dam status` through the console script, on a small library."""

import json
from pathlib import Path

import pytest

from dam_pipeline.stages import STAGES
from dam_pipeline_tests.processed import SAMPLES, Library, dam, dam_json

pytestmark = [pytest.mark.slow, pytest.mark.weights]


def test_ingest_tells_what_it_found_and_which_file_failed(library: Library) -> None:
    said = library.ingest
    assert library.ingest_code == 3
    assert set(said) == {
        *("discovered", "new", "unchanged", "done", "failed", "blocked", "run_ids", "media")
    }
    count = len(SAMPLES) + 1
    assert (said["discovered"], said["new"], said["unchanged"]) == (count, count, 0)
    assert (said["done"], said["failed"], said["blocked"]) == (count - 1, 1, 0)
    assert [one["uri"].rsplit("/", 1)[1] for one in said["media"] if one["state"] == "failed"] == [
        "empty.mp4"
    ]


def test_a_name_that_is_no_utf8_is_percent_encoded_from_its_bytes(library: Library) -> None:
    uris = [one["uri"] for one in library.ingest["media"]]
    assert any(uri.endswith("/caf%E9%20%3Cb%3E%26%22x%22.jpg") for uri in uris)


def test_status_has_the_documented_shape(library: Library) -> None:
    result = dam("status", "--json")
    said = json.loads(result.stdout)
    assert result.exit_code == 3
    assert set(said) == {"media", "totals"}
    for one in said["media"]:
        assert set(one) == {"media_id", "partition_key", "kind", "locations", "stages"}
        assert list(one["stages"]) == list(STAGES)
        for stage in one["stages"].values():
            assert set(stage) == {
                *("state", "reason", "attempts", "seconds", "run_id", "code_version")
            }
    assert said["totals"]["probe"] == {"done": len(SAMPLES), "failed": 1}


def test_status_below_a_folder_tells_only_of_its_files(library: Library) -> None:
    said = dam_json("status", str(library.originals / "faces"))
    assert [one["kind"] for one in said["media"]] == ["image", "image"]


def test_status_for_people_names_the_reason_of_a_failure(library: Library) -> None:
    result = dam("status")
    key = library.key("empty.mp4")
    assert f"{key} at probe failed: " in result.stderr.replace("\n", " ")


def test_a_path_that_does_not_exist_is_wrong_use(library: Library) -> None:
    result = dam("status", "/no/such/folder")
    assert result.exit_code == 2
    assert "/no/such/folder" in result.stderr


def test_a_second_ingest_starts_no_run(library: Library, tmp_path: Path) -> None:
    own = library.copy(tmp_path / "home")
    done = own.run("ingest", str(own.originals), "--json")
    said = json.loads(done.stdout)
    assert (said["new"], said["run_ids"]) == (0, [])
    assert done.returncode == 3
