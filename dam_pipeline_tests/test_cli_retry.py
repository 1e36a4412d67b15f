"""`dam retry`: what it chooses, what it runs, and what it leaves alone."""

import json
from pathlib import Path
from typing import Any

import pytest

from dam_pipeline.catalogue.catalogue import open_catalogue
from dam_pipeline.records import StageRow
from dam_pipeline.stages import STAGES
from dam_pipeline.stages.choosing import with_dependants
from dam_pipeline_tests.processed import Library, dam, dam_json


@pytest.fixture
def own(library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Library:
    copied = library.copy(tmp_path / "home")
    copied.enter(monkeypatch)
    return copied


def planned(*words: str) -> dict[str, list[str]]:
    """Stages that would run by the name of the file."""
    said = dam_json("retry", "--dry-run", *words)
    return {one["uri"].rsplit("/", 1)[1]: list(one["stages"]) for one in said["media"]}


def rows(library: Library, name: str) -> dict[str, StageRow]:
    with open_catalogue(library.home) as catalogue:
        media = catalogue.find(library.key(name))
        return catalogue.states.of([media.media_id])[media.media_id]


def test_dependants_of_a_stage_come_with_it_in_order() -> None:
    assert with_dependants({"scenes"}) == ["scenes"]
    after_words = ["transcript", "sentence_embeddings", "scenes", "search_index"]
    assert with_dependants({"transcript"}) == after_words
    assert with_dependants({"probe"}) == [name for name in STAGES if name != "checksum"]


@pytest.mark.slow
@pytest.mark.weights
def test_without_words_only_trouble_is_chosen(library: Library) -> None:
    assert planned() == {"empty.mp4": ["probe"]}
    assert planned("--failed") == {"empty.mp4": ["probe"]}
    assert planned("--stale") == {}
    assert planned("--kind", "image") == {}


@pytest.mark.slow
@pytest.mark.weights
def test_a_changed_setting_makes_its_stage_and_dependants_stale_and_chosen(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAM_SPEECH_LANGUAGE", "en")
    assert planned("--stale", "memo") == {
        "memo.flac": ["transcript", "sentence_embeddings", "scenes", "search_index"],
    }
    assert set(planned("--stale", "--path", "clips/*")) == {
        "reel.mp4",
        "reel-for-web.mp4",
        "interview.mp4",
    }
    assert planned("--stale", "--stage", "scenes", "memo") == {"memo.flac": ["scenes"]}


@pytest.mark.slow
@pytest.mark.weights
def test_all_chooses_what_is_done_by_file_folder_and_stage(library: Library) -> None:
    folder = str(library.originals / "faces")
    assert planned("--all", "--stage", "shots", folder) == {
        "astronaut.jpg": ["shots"],
        "astronaut-mirrored.png": ["shots"],
    }


@pytest.mark.slow
@pytest.mark.weights
@pytest.mark.parametrize(
    "words", [("--all", "--failed"), ("--stage", "smell"), ("/no/such/path",), ("no-such-key",)]
)
def test_wrong_use_is_told_apart(library: Library, words: tuple[str, ...]) -> None:
    assert dam("retry", "--dry-run", *words).exit_code == 2


@pytest.mark.slow
@pytest.mark.weights
def test_nothing_to_do_is_said_and_ends_well(library: Library) -> None:
    result = dam("retry", "--stale")
    assert result.exit_code == 0
    assert "Nothing to run again." in result.stderr


@pytest.mark.slow
@pytest.mark.weights
def test_a_computed_stage_runs_again_and_its_inputs_do_not(own: Library) -> None:
    before = rows(own, "memo.flac")
    done = own.run("retry", "memo", "--stage", "scenes", "--all", "--json")
    assert done.returncode == 0, done.stderr
    said: dict[str, Any] = json.loads(done.stdout)
    assert (said["done"], said["failed"], said["blocked"]) == (1, 0, 0)
    after = rows(own, "memo.flac")
    changed = {name for name in after if after[name].updated_at != before[name].updated_at}
    assert changed == {"scenes"}
    assert after["scenes"].run_id == said["run_ids"][0]


@pytest.mark.slow
@pytest.mark.weights
def test_a_failure_that_stays_is_counted_and_told(own: Library) -> None:
    done = own.run("retry", "--failed")
    assert done.returncode == 3
    assert f"{own.key('empty.mp4')} at probe failed" in " ".join(done.stderr.split())
    assert rows(own, "empty.mp4")["probe"].attempts == 2


@pytest.mark.slow
@pytest.mark.weights
def test_scattered_files_are_processed_in_one_run(own: Library) -> None:
    keys = [own.key("memo.flac"), own.key("astronaut.jpg"), own.key("empty.mp4")]
    done = own.run("retry", *keys, "--stage", "probe", "--all", "--json")
    assert done.returncode == 3, done.stderr
    said = json.loads(done.stdout)
    assert (said["done"], said["failed"], said["blocked"]) == (2, 1, 0)
    processed, _linked = said["run_ids"]
    names = ("memo.flac", "astronaut.jpg", "empty.mp4")
    assert {rows(own, name)["probe"].run_id for name in names} == {processed}
