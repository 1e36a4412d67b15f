"""Tags: the vocabulary, thresholds learnt from pictures, colours, and the stage on drawn pictures."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dam_pipeline.catalogue.discovery import discover
from dam_pipeline.errors import ConfigurationError
from dam_pipeline.models import spaces
from dam_pipeline.records import Media, State
from dam_pipeline.samples.drawing import Scene, draw_scene
from dam_pipeline.settings import Settings
from dam_pipeline.stages.engine import run_stages
from dam_pipeline.stages.freshness import stage_versions, verdicts
from dam_pipeline.stages.work import Toolbox
from dam_pipeline.tagging import colours
from dam_pipeline.tagging.background import (
    Background,
    keep_background,
    read_background,
    write_background,
)
from dam_pipeline.tagging.calibration import from_folder, from_library
from dam_pipeline.tagging.effective import EffectiveTag, effective_tags, media_with_tags
from dam_pipeline.tagging.people import add_tags, remove_tags
from dam_pipeline.tagging.scoring import Scorer, calibrated, open_scorer
from dam_pipeline.tagging.thresholds import from_pictures, from_vocabulary
from dam_pipeline.tagging.vocabulary import VOCABULARY_FILE, Vocabulary, open_vocabulary
from dam_pipeline.tagging.wordings import Wordings
from dam_pipeline_tests.clips import encode, exiftool, tone

STAGES = ("probe", "shots", "keyframes", "clip_embeddings", "tags")
SCENES = {
    "red-circle.jpg": Scene(1, "red", "circle", "white"),
    "blue-squares.jpg": Scene(2, "blue", "square", "yellow"),
    "green-stars.jpg": Scene(3, "green", "star", "black"),
}
ANIMALS = """
[terms]
animal = { en = ["animal"], de = ["Tier"] }
bird = { parent = "animal", en = ["bird"], de = ["Vogel"] }
falcon = { parent = "bird", en = ["falcon", "hawk"], de = ["Falke"], ja = ["ハヤブサ"] }
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "plain").mkdir()
    return tmp_path / "plain"


def vocabulary(home: Path, text: str = ANIMALS) -> Vocabulary:
    (home / VOCABULARY_FILE).write_text(text)
    return open_vocabulary(Settings(home=home))


class TestVocabulary:
    def test_the_shipped_one_names_every_term_in_four_languages(self, home: Path) -> None:
        terms = open_vocabulary(Settings(home=home)).terms.values()
        assert len(terms) > 150
        assert [term.id for term in terms if set(term.names) != {"de", "en", "es", "fr"}] == []

    @pytest.mark.parametrize("name", ["falcon", "Hawk", "FALKE", "  hawk ", "ハヤブサ"])
    def test_a_term_is_found_by_any_of_its_names(self, home: Path, name: str) -> None:
        found = vocabulary(home).find(name)
        assert found is not None
        assert found.id == "falcon"

    def test_a_term_knows_what_is_wider_and_what_it_is_called(self, home: Path) -> None:
        known = vocabulary(home)
        assert known.parents("falcon") == ("bird", "animal")
        assert (known.label("falcon"), known.label("falcon", "de")) == ("falcon", "Falke")

    def test_another_translation_is_the_same_version_and_another_synonym_is_not(
        self, home: Path
    ) -> None:
        version = vocabulary(home).version
        assert vocabulary(home, ANIMALS.replace("Falke", "Wanderfalke")).version == version
        assert vocabulary(home, ANIMALS.replace("hawk", "kestrel")).version != version

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("[terms]\nowl = 3", "owl"),
            ("[terms]\nOwl = { en = ['owl'] }", "Owl"),
            ("[terms]\nowl = { parent = 'bird', en = ['owl'] }", "bird"),
            (
                "[terms]\na = { parent = 'b', en = ['a'] }\nb = { parent = 'a', en = ['b'] }",
                "above",
            ),
            ("[terms]\nowl = { de = ['Eule'] }", "owl"),
            ("[terms]\nowl = { en = 'owl' }", "en of owl"),
            ("[terms\n", "no TOML"),
            ("templates = ['a photo']\n[terms]", "templates"),
        ],
    )
    def test_a_mistake_is_named(self, home: Path, text: str, said: str) -> None:
        with pytest.raises(ConfigurationError, match=said):
            vocabulary(home, text)


class TestThresholds:
    def test_as_many_false_ones_get_through_as_were_asked_for(self) -> None:
        random = np.random.default_rng(1)
        cosines = random.normal(0.2, [[0.02, 0.05]], (4000, 2))
        shown = np.zeros((4000, 2), bool)
        shown[:10] = True
        cosines[:10] = 0.2  # what is labelled as shown does not count as background
        learnt = from_pictures(cosines, cosines, shown, ~shown, 0.01)
        fresh = random.normal(0.2, [[0.02, 0.05]], (20000, 2))
        got = (learnt.distances(fresh, fresh) >= 0).mean(axis=0)
        assert got == pytest.approx([0.01, 0.01], abs=0.005)

    def test_a_threshold_lies_in_the_gap_between_pictures_with_and_without(self) -> None:
        random = np.random.default_rng(2)
        cosines = np.concatenate([random.normal(0.1, 0.01, 200), random.normal(0.5, 0.01, 50)])
        shown = np.arange(250) >= 200
        column = cosines[:, None]
        learnt = from_pictures(column, column, shown[:, None], ~shown[:, None], 0.005)
        asked = np.array([[0.2], [0.4]])
        distance = learnt.distances(asked, asked)
        assert distance[0, 0] < 0 < distance[1, 0]

    def test_a_term_of_which_hardly_anything_is_known_is_never_there(self) -> None:
        shown = np.zeros((20, 1), bool)
        learnt = from_pictures(np.zeros((20, 1)), np.zeros((20, 1)), shown, ~shown, 0.01)
        assert learnt.distances(np.ones((1, 1)), np.ones((1, 1)))[0, 0] == -np.inf

    def test_without_pictures_a_term_must_stand_out_among_the_others(self) -> None:
        cosines = np.full((1, 40), 0.2) + np.linspace(-0.01, 0.01, 40)
        cosines[0, 7] = 0.35
        begun = from_vocabulary(40, 40, 0.005).distances(cosines, cosines) >= 0
        assert np.flatnonzero(begun).tolist() == [7]


def axes(tags: tuple[str, ...]) -> Wordings:
    """Wordings along the axes of a space: the cosine with a vector is its coordinate."""
    return Wordings(tags, tuple(range(1, len(tags) + 1)), np.eye(len(tags), dtype=np.float32), ())


def made_scorer(home: Path, background: Background) -> Scorer:
    words = axes(("bird", "falcon"))
    return calibrated(vocabulary(home), words, words, background, 0.005)


class TestScoring:
    @pytest.fixture
    def background(self) -> Background:
        vectors = np.random.default_rng(3).normal(0.2, 0.02, (400, 2)).astype(np.float32)
        return Background("made@1", vectors, ((),) * 400, "made by hand")

    def test_a_parent_has_the_score_of_its_best_child(
        self, home: Path, background: Background
    ) -> None:
        scorer = made_scorer(home, background)
        found = scorer.score([np.array([[0.2, 0.4]], np.float32)])[0]
        best = dict(zip(scorer.tags, found.best, strict=True))
        assert best["falcon"] > 0.99
        assert best["falcon"] == best["bird"] == best["animal"]
        assert np.isnan(found.cosines[0, scorer.tags.index("animal")])

    def test_a_long_file_needs_more_than_a_photograph(
        self, home: Path, background: Background
    ) -> None:
        scorer = made_scorer(home, background)
        just_above = np.array([[0.2, 0.265]], np.float32)
        clip = np.concatenate([just_above, np.full((999, 2), 0.2, np.float32)])
        photograph, long = scorer.score([just_above, clip])
        assert photograph.seen.any()
        assert not long.seen.any()


class TestColours:
    @pytest.mark.parametrize(
        ("value", "name"),
        [
            *(((200, 20, 30), "red"), ((20, 60, 200), "blue"), ((30, 140, 40), "green")),
            *(((250, 250, 250), "white"), ((8, 8, 8), "black"), ((120, 120, 120), "grey")),
            *(((101, 67, 33), "brown"), ((245, 222, 179), "beige"), ((255, 183, 197), "pink")),
            *(((250, 220, 50), "yellow"), ((242, 133, 0), "orange"), ((102, 51, 153), "purple")),
            ((64, 210, 200), "turquoise"),
        ],
    )
    def test_a_colour_has_the_name_a_person_would_give(
        self, value: tuple[int, int, int], name: str
    ) -> None:
        picture = np.full((9, 16, 3), value, np.uint8)
        assert colours.dominant(colours.shares(picture)) == {name: 1.0}

    def test_the_shares_are_those_of_the_picture(self, tmp_path: Path) -> None:
        picture = np.zeros((720, 1280, 3), np.uint8)
        picture[:, :320], picture[:, 320:] = (214, 30, 36), (30, 66, 214)
        Image.fromarray(picture).save(tmp_path / "two.jpg")
        found = colours.dominant(colours.shares(colours.read_small(tmp_path / "two.jpg")))
        assert found == pytest.approx({"blue": 0.75, "red": 0.25}, abs=0.02)


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three drawn photographs, read only."""
    return draw(tmp_path_factory.mktemp("originals"))


@pytest.fixture(scope="module")
def processed(
    originals: Path, shared_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A home that knows them; read only."""
    home = tmp_path_factory.mktemp("processed") / "home"
    models = shared_folder / "models"
    known = Settings(home=home, profile="bundled", torch_threads=1, settle_s=0, models_dir=models)
    with Toolbox.open(known) as tools:
        ingest(tools, originals)
    return home


def draw(folder: Path) -> Path:
    for seed, (name, scene) in enumerate(SCENES.items()):
        Image.fromarray(draw_scene(scene, (640, 360), seed)).save(folder / name, quality=92)
    return folder


@pytest.fixture
def tools(settings: Settings, processed: Path) -> Iterator[Toolbox]:
    """The processed library in a home of the test's own."""
    shutil.copytree(processed, settings.home)
    with Toolbox.open(settings) as opened:
        yield opened


def ingest(tools: Toolbox, folder: Path, run_id: str = "run-1") -> dict[str, Media]:
    discover([folder], tools.catalogue, tools.derived, tools.settings)
    media = {one.first_name: one for one in tools.catalogue.all_media()}
    run_stages(tools, [one.media_id for one in media.values()], STAGES, run_id)
    return media


def terms(tools: Toolbox, media: Media) -> set[str]:
    stored = tools.derived.outcome(media.media_id, "tags")
    return set(stored.result["terms"]) if stored else set()


def stale(tools: Toolbox, media: Media) -> set[str]:
    rows = tools.catalogue.states.of([media.media_id])[media.media_id]
    seen = verdicts(media, rows, stage_versions(tools.settings), {})
    return {name for name, verdict in seen.items() if verdict.state is State.STALE}


def tags_of(tools: Toolbox, media: Media) -> dict[str, EffectiveTag]:
    settings = tools.settings
    return {
        one.tag: one for one in effective_tags(settings, tools.derived, [media])[media.media_id]
    }


class TestStage:
    def test_drawn_pictures_have_their_shapes_backgrounds_and_colours(
        self, tools: Toolbox, originals: Path
    ) -> None:
        media = ingest(tools, originals)
        assert terms(tools, media["red-circle.jpg"]) >= {"red-circle", "circle", "white-background"}
        assert terms(tools, media["blue-squares.jpg"]) >= {"blue-square", "yellow-background"}
        assert terms(tools, media["green-stars.jpg"]) >= {"green-star", "star", "shape", "drawing"}
        stored = tools.derived.outcome(media["green-stars.jpg"].media_id, "tags")
        assert stored is not None
        assert next(iter(stored.result["colours"])) == "black"
        assert "words for" in stored.result["warning"]

    def test_rows_are_of_keyframes_and_of_the_whole_file(
        self, tools: Toolbox, originals: Path
    ) -> None:
        media = ingest(tools, originals)["red-circle.jpg"]
        rows = tools.derived.table(media.media_id, "tags").to_pylist()
        circle = [row for row in rows if row["tag"] == "red-circle"]
        assert [row["keyframe"] for row in circle] == [None, 0]
        assert all(0.5 <= row["score"] <= 1 and 0 < row["cosine"] < 1 for row in circle)
        assert {(row["start_s"], row["end_s"]) for row in rows} == {(0.0, 0.0)}

    def test_a_tag_of_a_clip_says_when_it_is_seen(self, tools: Toolbox, tmp_path: Path) -> None:
        folder = tmp_path / "clips"
        folder.mkdir()
        pictures = [draw_scene(scene, (320, 180), 5) for scene in list(SCENES.values())[:2]]
        encode(folder / "two.mp4", [picture for picture in pictures for _ in range(50)])
        found = tags_of(tools, ingest(tools, folder)["two.mp4"])
        assert found["red-circle"].spans == ((0.0, pytest.approx(2.0, abs=0.1)),)
        assert found["blue-square"].start_s == pytest.approx(2.0, abs=0.1)
        assert found["blue-square"].end_s == pytest.approx(4.0, abs=0.1)
        assert found["yellow"].start_s == pytest.approx(2.0, abs=0.1)

    def test_another_vocabulary_tags_anew_without_encoding_a_picture(
        self, tools: Toolbox, originals: Path
    ) -> None:
        media = ingest(tools, originals)["red-circle.jpg"]
        text = '[terms]\nround = { en = ["red circle"] }\nowl = { en = ["owl"] }\n'
        (tools.settings.home / VOCABULARY_FILE).write_text(text)
        assert stale(tools, media) == {"tags"}
        ingest(tools, originals, "run-2")
        assert terms(tools, media) == {"round"}
        rows = tools.catalogue.states.of([media.media_id])[media.media_id]
        assert rows["tags"].run_id == "run-2"
        assert rows["clip_embeddings"].run_id == "run-1"

    def test_a_translation_makes_nothing_stale(self, tools: Toolbox, originals: Path) -> None:
        own = tools.settings.home / VOCABULARY_FILE
        own.write_text('[terms]\nround = { en = ["red circle"] }\n')
        media = ingest(tools, originals, "run-2")["red-circle.jpg"]
        own.write_text('[terms]\nround = { en = ["red circle"], de = ["rund"] }\n')
        assert stale(tools, media) == set()

    def test_words_once_encoded_are_not_encoded_again(
        self, tools: Toolbox, originals: Path
    ) -> None:
        ingest(tools, originals)
        space = spaces(tools.settings)["image_text"]
        assert space is not None

        def no_model() -> None:
            raise AssertionError("the model was asked for")

        other = tools.settings.model_copy(update={"tag_false_rate": 0.01})
        assert "red-circle" in open_scorer(other, space, no_model).tags  # type: ignore[arg-type]

    def test_terms_that_the_model_has_no_words_for_are_named_and_never_there(
        self, tools: Toolbox, originals: Path
    ) -> None:
        ingest(tools, originals)
        space = spaces(tools.settings)["image_text"]
        assert space is not None
        scorer = open_scorer(tools.settings, space, lambda: tools.image_text)
        assert "falcon" in scorer.wordings.unknown
        assert "falcon" not in scorer.tags

    def test_without_weights_there_are_colours(self, settings: Settings, originals: Path) -> None:
        without = settings.model_copy(update={"clip_model": str(originals / "nowhere")})
        with Toolbox.open(without) as tools:
            media = ingest(tools, originals)["red-circle.jpg"]
            stored = tools.derived.outcome(media.media_id, "tags")
            assert stored is not None
            assert stored.reason.startswith("colours only")
            assert next(iter(tags_of(tools, media))) == "white"
        with Toolbox.open(settings) as tools:
            ingest(tools, originals, "run-2")
            assert terms(tools, media) >= {"red-circle"}

    def test_a_broken_vocabulary_blocks_until_it_is_mended(
        self, tools: Toolbox, originals: Path
    ) -> None:
        own = tools.settings.home / VOCABULARY_FILE
        own.write_text("[terms]\nowl = 3\n")
        media = ingest(tools, originals, "run-2")["red-circle.jpg"]
        row = tools.catalogue.states.of([media.media_id])[media.media_id]["tags"]
        assert (row.state, row.attempts) == (State.BLOCKED, 0)
        assert "owl" in row.reason
        own.unlink()
        ingest(tools, originals, "run-3")
        assert "red-circle" in terms(tools, media)

    def test_a_sound_file_has_none(self, tools: Toolbox, tmp_path: Path) -> None:
        folder = tmp_path / "sound"
        folder.mkdir()
        tone(folder / "a.wav", 1.0)
        media = ingest(tools, folder)["a.wav"]
        row = tools.catalogue.states.of([media.media_id])[media.media_id]["tags"]
        assert row.state is State.EMPTY


class TestCalibration:
    def test_a_background_comes_back_as_it_was_written(self, tmp_path: Path) -> None:
        vectors = np.eye(4, dtype=np.float32)
        made = Background("made@1", vectors, (("a",), None, (), ("b", "c")), "by hand")
        write_background(made, tmp_path / "a.npz")
        write_background(made, tmp_path / "b.npz")
        read = read_background(tmp_path / "a.npz")
        assert (read.labels, read.source, read.space) == (made.labels, "by hand", "made@1")
        assert read.vectors == pytest.approx(vectors)
        assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()

    def test_a_labelled_folder_teaches_where_a_term_begins(
        self, tools: Toolbox, tmp_path: Path
    ) -> None:
        folder = tmp_path / "labelled"
        shown = {"Kreis": "circle", "square": "square", "nothing known": "star"}
        for label, shape in shown.items():
            (folder / label).mkdir(parents=True)
            for seed in range(14):
                drawn = draw_scene(Scene(1, "red", shape, "white"), (256, 256), seed)
                Image.fromarray(drawn).save(folder / label / f"{seed}.png")
        (folder / "Kreis" / "broken.png").write_text("no picture")
        known = open_vocabulary(tools.settings)
        made = from_folder(folder, known, tools.image_text, tools.settings)
        labels = list(made.background.labels)
        assert labels.count(("circle",)) == labels.count(("square",)) == labels.count(None) == 14
        assert any("broken.png" in line for line in made.warnings)
        assert any("nothing known" in line for line in made.warnings)

    def test_too_few_pictures_teach_nothing(self, tools: Toolbox, originals: Path) -> None:
        known = open_vocabulary(tools.settings)
        with pytest.raises(ConfigurationError, match="3 pictures"):
            from_folder(originals, known, tools.image_text, tools.settings)
        media = list(ingest(tools, originals).values())
        with pytest.raises(ConfigurationError, match="3 pictures"):
            from_library(tools.derived, media, tools.image_text.space)

    def test_calibrating_a_space_makes_exactly_the_tags_stale(
        self, tools: Toolbox, originals: Path
    ) -> None:
        media = ingest(tools, originals)["red-circle.jpg"]
        space = tools.image_text.space
        vectors = np.random.default_rng(1).normal(size=(50, space.dimension)).astype(np.float32)
        made = Background(space.name, vectors, (None,) * 50, "noise")
        keep_background(tools.settings, made)
        assert stale(tools, media) == {"tags"}
        ingest(tools, originals, "run-2")
        stored = tools.derived.outcome(media.media_id, "tags")
        assert stored is not None
        assert stored.result["calibrated_on"] == "noise"


class TestPeople:
    def test_what_a_person_says_stands_when_the_model_tags_anew(
        self, tools: Toolbox, originals: Path
    ) -> None:
        media, settings = ingest(tools, originals)["red-circle.jpg"], tools.settings
        known = open_vocabulary(settings)
        assert add_tags(settings, media.asset_id, ["Falke", "golden  hour"], known) == [
            "falcon",
            "golden hour",
        ]
        remove_tags(settings, media.asset_id, ["red circle"], known)
        other = tools.settings.model_copy(update={"tag_false_rate": 0.02})
        with Toolbox.open(other) as again:
            ingest(again, originals, "run-2")
            assert "red-circle" in terms(again, media)
            found = tags_of(again, media)
        assert "red-circle" not in found
        assert found["golden hour"].source == found["falcon"].source == "person"
        assert found["bird"].source == "person"
        assert found["white-background"].source == "model"
        assert found["white"].source == "colour"

    def test_the_last_word_counts(self, tools: Toolbox, originals: Path) -> None:
        media, settings = ingest(tools, originals)["red-circle.jpg"], tools.settings
        known = open_vocabulary(settings)
        remove_tags(settings, media.asset_id, ["circle"], known)
        assert "circle" not in tags_of(tools, media)
        add_tags(settings, media.asset_id, ["circle"], known)
        assert tags_of(tools, media)["circle"].source == "person"
        assert (tags_of(tools, media)["circle"].score or 0) >= 0.5

    def test_the_file_that_takes_a_files_place_has_its_tags(
        self, tools: Toolbox, tmp_path: Path
    ) -> None:
        picture, settings = tmp_path / "changing.jpg", tools.settings
        Image.fromarray(draw_scene(Scene(1, "red", "square", "grey"), (640, 360), 7)).save(picture)
        old = ingest(tools, picture)["changing.jpg"]
        add_tags(settings, old.asset_id, ["keeper"], open_vocabulary(settings))
        Image.fromarray(draw_scene(SCENES["green-stars.jpg"], (640, 360), 77)).save(picture)
        new = ingest(tools, picture, "run-2")["changing.jpg"]
        assert new.media_id != old.media_id
        assert "keeper" in tags_of(tools, new)
        assert "green-star" in tags_of(tools, new)

    def test_keywords_in_the_file_are_tags_with_what_is_wider(
        self, tools: Toolbox, originals: Path, tmp_path: Path
    ) -> None:
        shutil.copy(originals / "red-circle.jpg", tmp_path / "named.jpg")
        exiftool("-IPTC:Keywords=Falke", "-IPTC:Keywords=Tour 7", tmp_path / "named.jpg")
        media = ingest(tools, tmp_path / "named.jpg")["named.jpg"]
        found = tags_of(tools, media)
        assert found["falcon"].source == found["Tour 7"].source == "file"
        assert found["falcon"].parents == ("bird", "animal")
        assert found["animal"].source == "file"

    def test_files_are_found_by_all_tags_wanted_under_any_name(
        self, tools: Toolbox, originals: Path
    ) -> None:
        media, settings = ingest(tools, originals), tools.settings
        known = open_vocabulary(settings)
        add_tags(settings, media["blue-squares.jpg"].asset_id, ["Adler"], known)
        remove_tags(settings, media["green-stars.jpg"].asset_id, ["shape"], known)

        def having(*wanted: str) -> set[str]:
            ids = media_with_tags(settings, tools.derived, list(media.values()), wanted)
            return {name for name, one in media.items() if one.media_id in ids}

        assert having("forme") == {"red-circle.jpg", "blue-squares.jpg"}
        assert having("animal", "Blaues Quadrat") == {"blue-squares.jpg"}
        assert having("WHITE") == {"red-circle.jpg"}
        assert having("owl") == set()
