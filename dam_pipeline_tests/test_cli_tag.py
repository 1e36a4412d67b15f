"""`dam tag`: what people say stands, the vocabulary is checked, thresholds are learnt."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dam_pipeline.catalogue.discovery import discover
from dam_pipeline.samples.drawing import COLOURS, SHAPES, Scene, draw_scene
from dam_pipeline.settings import Settings, load_settings
from dam_pipeline.stages.engine import run_stages
from dam_pipeline.stages.work import Toolbox
from dam_pipeline_tests.processed import dam, dam_json

STAGES = ("probe", "shots", "keyframes", "clip_embeddings", "tags", "scenes")


@pytest.fixture(scope="module")
def known_home(shared_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home that knows 36 drawn photographs; read only."""
    folder, home = tmp_path_factory.mktemp("drawn"), tmp_path_factory.mktemp("known") / "home"
    colours = [name for name in COLOURS if name != "white"]
    for seed, colour in enumerate(colours):
        for shape in SHAPES:
            drawn = draw_scene(Scene(1, colour, shape, "white"), (320, 180), seed)
            Image.fromarray(drawn).save(folder / f"{colour}-{shape}.jpg", quality=92)
    models = shared_folder / "models"
    settings = Settings(home=home, profile="bundled", torch_threads=1, models_dir=models)
    with Toolbox.open(settings) as tools:
        discover([folder], tools.catalogue, tools.derived, settings.model_copy())
        ids = [one.media_id for one in tools.catalogue.all_media()]
        run_stages(tools, ids, STAGES, "run-1")
    return home


@pytest.fixture
def home(known_home: Path, dam_home: Path) -> Path:
    """The same in a home of the test's own."""
    return Path(shutil.copytree(known_home, dam_home))


def tags(document: dict) -> dict[str, dict]:
    return {one["tag"]: one for one in document["tags"]}


def test_tags_of_a_person_are_told_with_their_source(home: Path) -> None:
    added = tags(dam_json("tag", "add", "red-circle", "Falke", "golden hour"))
    assert added["golden hour"]["source"] == "person"
    assert added["golden hour"]["score"] is None
    assert added["falcon"]["parents"] == ["bird", "animal"]
    assert added["red-circle"]["source"] == "model"
    assert added["red-circle"]["score"] >= 0.5
    assert added["red-circle"]["start_s"] == added["red-circle"]["end_s"] == 0.0


def test_show_and_list_tell_the_same_tags(home: Path) -> None:
    dam("tag", "remove", "red-circle", "shape")
    listed = dam_json("tag", "list", "red-circle")["tags"]
    shown = dam_json("show", "red-circle")
    assert shown["tags"] == listed
    assert "shape" not in tags(shown)
    keys = {"tag", "label", "source", "score", "start_s", "end_s", "parents", "spans"}
    assert all(set(one) == keys for one in listed)
    assert "red-circle" in shown["scenes"][0]["tags"]


def test_what_people_said_outlives_a_rebuild(home: Path) -> None:
    dam("tag", "add", "red-circle", "keeper")
    dam("tag", "remove", "red-circle", "circle")
    (home / "catalogue.db").unlink()
    assert dam("rebuild", "--json").exit_code == 0
    found = tags(dam_json("tag", "list", "red-circle"))
    assert found["keeper"]["source"] == "person"
    assert "circle" not in found
    assert "red-circle" in found


def test_the_library_lists_each_tag_with_how_many_files_and_whose_word_it_is(home: Path) -> None:
    dam("tag", "add", "red-circle", "keeper")
    dam("tag", "add", "blue-square", "keeper")
    found = {one["tag"]: one for one in dam_json("tag", "list")}
    assert found["keeper"]["media"] == 2
    assert found["keeper"]["sources"] == {"person": 2}
    assert found["white"]["media"] == 36
    assert found["drawing"]["sources"]["model"] >= 30


def test_the_vocabulary_says_what_the_model_has_no_words_for(home: Path) -> None:
    document = dam_json("tag", "vocabulary")
    known = {one["tag"]: one["known"] for one in document["terms"]}
    assert known["red-circle"]
    assert not known["falcon"]
    assert "falcon" in document["unknown"]
    assert document["languages"] == ["de", "en", "es", "fr"]
    assert document["calibrated_on"].endswith("drawn pictures")
    assert any("words for" in line for line in document["warnings"])
    assert not document["is_own"]


def test_a_vocabulary_to_edit_is_put_into_the_home_once(home: Path) -> None:
    assert dam_json("tag", "vocabulary", "--edit")["path"] == str(home / "vocabulary.toml")
    (home / "vocabulary.toml").write_text('[terms]\nround = { en = ["red circle"] }\n')
    again = dam_json("tag", "vocabulary", "--edit")
    assert [one["tag"] for one in again["terms"]] == ["round"]


def test_a_mistake_in_the_vocabulary_is_wrong_use(home: Path) -> None:
    (home / "vocabulary.toml").write_text("[terms]\nowl = { parent = 'bird', en = ['owl'] }\n")
    result = dam("tag", "vocabulary", "--json")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "owl is below bird" in result.stderr.replace("\n", " ")
    assert "red-circle" in tags(dam_json("show", "red-circle"))


def test_thresholds_are_learnt_from_the_library_and_forgotten_again(home: Path) -> None:
    learnt = dam_json("tag", "calibrate")
    assert learnt["calibrated_on"] == "36 keyframes of the library"
    assert Path(learnt["path"]).exists()
    assert dam_json("status")["totals"]["tags"] == {"stale": 36}
    forgotten = dam_json("tag", "calibrate", "--reset")
    assert forgotten["calibrated_on"].endswith("drawn pictures")
    assert dam_json("status")["totals"]["tags"] == {"done": 36}


def test_thresholds_are_learnt_from_a_labelled_folder(home: Path, tmp_path: Path) -> None:
    folder = tmp_path / "labelled"
    random = np.random.default_rng(4)
    for shape in ("circle", "star"):
        (folder / shape).mkdir(parents=True)
        for number in range(20):
            drawn = draw_scene(Scene(1, "red", shape, "white"), (160, 160), random)
            Image.fromarray(drawn).save(folder / shape / f"{number}.png")
    learnt = dam_json("tag", "calibrate", str(folder))
    assert learnt["calibrated_on"] == "40 pictures of labelled"
    with Toolbox.open(load_settings()) as tools:
        media = [m for m in tools.catalogue.all_media() if m.first_name == "red-star.jpg"]
        run_stages(tools, [media[0].media_id], ("tags",), "run-2")
    found = tags(dam_json("tag", "list", "red-star"))
    assert "star" in found
    assert "circle" not in found


@pytest.mark.parametrize("text", ["", "a\tb\x07", "x" * 300])
def test_what_cannot_be_a_tag_is_wrong_use(home: Path, text: str) -> None:
    result = dam("tag", "add", "red-circle", text)
    assert result.exit_code == 2
    assert "cannot be a tag" in result.stderr.replace("\n", " ")
    assert not (home / "journal" / "tags.jsonl").exists()


def test_an_unknown_file_is_wrong_use(home: Path) -> None:
    assert dam("tag", "add", "nothing-like-it", "owl").exit_code == 2


def test_a_line_cut_short_by_a_crash_loses_nothing_else(home: Path) -> None:
    dam("tag", "add", "red-circle", "keeper")
    journal = home / "journal" / "tags.jsonl"
    entry = json.loads(journal.read_text())
    assert set(entry) == {"do", "asset_id", "tags", "when"}
    journal.write_text(journal.read_text() + '{"do": "add", "asset')
    assert "keeper" in tags(dam_json("tag", "add", "red-circle", "second"))
    assert {"keeper", "second"} <= set(tags(dam_json("tag", "list", "red-circle")))
