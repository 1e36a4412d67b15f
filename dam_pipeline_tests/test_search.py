"""Search over libraries made by hand: floors, fusion, merging in time, filters, spaces, places."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dam_pipeline.catalogue.catalogue import open_catalogue
from dam_pipeline.errors import ConfigurationError, UnreadableMedia, WeightsMissing
from dam_pipeline.records import Filters, MediaKind, ModelRef, Space, State, StoredOutcome
from dam_pipeline.search.asking import Models
from dam_pipeline.search.index_rows import index_media
from dam_pipeline.search.query import Library, SearchResult, search
from dam_pipeline.stores.vectors import WORDS, open_vector_store
from dam_pipeline_tests.handmade import (
    FACES,
    MEANINGS,
    PICTURES,
    PROVENANCE,
    Clip,
    Handmade,
    axis,
    between,
)

WORDS_KNOWN = {"red": 0, "blue": 1, "green": 2}


class ColourModel:
    """Image-text model of three colours: text by its first known word, pictures by their mean."""

    ref = ModelRef("made", "1", "0" * 64)

    def __init__(self, space: Space = PICTURES) -> None:
        self.space = space

    def encode_texts(self, texts: list[str]) -> np.ndarray:
        known = [[WORDS_KNOWN[w] for w in text.split() if w in WORDS_KNOWN] for text in texts]
        return np.stack([axis(numbers[0] if numbers else 7) for numbers in known])

    def encode_images(self, pictures: list[np.ndarray]) -> np.ndarray:
        return np.stack([axis([0, 2, 1][int(p.mean((0, 1)).argmax())]) for p in pictures])

    def unknown_words(self, text: str) -> list[str]:
        return [w for w in text.split() if w not in WORDS_KNOWN and w not in ("a", "on")]


class MeaningModel:
    """Sentence model of two meanings: what is said of the sea, and what of bread."""

    ref = ModelRef("made", "1", "0" * 64)
    space = MEANINGS

    def encode_texts(self, texts: list[str]) -> np.ndarray:
        topics = {"boats": 0, "sailing": 0, "loaf": 1, "bakery": 1}
        known = [[topics[w] for w in text.split() if w in topics] for text in texts]
        return np.stack([axis(numbers[0] if numbers else 7) for numbers in known])


class Home(Handmade):
    """A library by hand that can be indexed and searched."""

    sentences = MeaningModel()

    def index(self, *clips: Clip) -> None:
        index_media(self.store, self.derived, self.add(*clips))

    def search(self, *args, space: Space = PICTURES, **kwargs) -> SearchResult:
        def no_faces() -> ColourModel:
            return ColourModel(space)

        models = Models(no_faces, lambda: self.sentences)
        library = Library(self.settings, self.catalogue, self.derived, self.store, models)
        return search(library, *args, **kwargs)

    def tag(self, name: str, terms: dict[str, float], colours: dict[str, float]) -> None:
        """Write the tags of a file as their stage does."""
        found = {"terms": terms, "colours": colours}
        outcome = StoredOutcome(
            Clip(name).media_id, "tags", State.DONE, "", False, 0, found, 0, "v", PROVENANCE
        )
        self.derived.write_outcome(outcome, None)

    def names(self, *args, **kwargs) -> list[str]:
        """First names of the hits' files, best first."""
        hits = self.search(*args, **kwargs).hits
        media = self.catalogue.media([hit.media_id for hit in hits])
        return [media[hit.media_id].first_name for hit in hits]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with open_catalogue(tmp_path) as catalogue:
        made = Home(tmp_path, catalogue)
        made.store = open_vector_store(made.settings)
        yield made


def test_a_text_finds_the_pictures_it_describes_the_nearest_first(home: Home) -> None:
    home.index(
        Clip("near.mp4", [(0, 5, axis(0))]),
        Clip("far.mp4", [(0, 5, between(0, 4, 0.5))]),
        Clip("blue.mp4", [(0, 5, axis(1))]),
    )
    assert home.names("red") == ["near.mp4", "far.mp4"]
    best = home.search("red").hits[0]
    assert (best.start_s, best.end_s, best.space, best.score) == (0, 5, PICTURES.name, 0.5)
    assert [(e.kind, e.rank, round(e.score, 3)) for e in best.evidence] == [("picture", 1, 1.0)]


def test_what_is_absent_finds_nothing(home: Home) -> None:
    home.index(
        Clip("red.mp4", [(0, 5, axis(0))], segments=[(0, 2, "some words")]),
        Clip("below.mp4", [(0, 5, between(2, 4, 0.29))]),
    )
    assert home.search("green").hits == ()
    assert home.search("elephant").hits == ()


def test_words_are_found_where_they_are_spoken(home: Home) -> None:
    home.index(Clip("talk.wav", segments=[(0, 4, "good morning"), (9, 12, "the red fox ran")]))
    (hit,) = home.search("foxes").hits
    assert (hit.start_s, hit.end_s, hit.space, hit.keyframe) == (9, 12, WORDS, None)
    assert (hit.evidence[0].kind, hit.evidence[0].text) == ("words", "the red fox ran")


def test_seen_and_said_together_beat_either_alone(home: Home) -> None:
    home.index(
        Clip("seen.mp4", [(0, 5, axis(0))]),
        Clip("said.mp4", segments=[(0, 2, "red red red")]),
        Clip("both.mp4", [(0, 5, between(0, 4, 0.6))], segments=[(1, 3, "a red one")]),
    )
    result = home.search("red")
    assert home.names("red")[0] == "both.mp4"
    assert {e.kind for e in result.hits[0].evidence} == {"picture", "words"}
    assert set(home.names("red")[1:]) == {"seen.mp4", "said.mp4"}


def test_neighbouring_matches_are_one_hit_and_distant_ones_two(home: Home) -> None:
    keyframes = [(0, 5, axis(0)), (5, 10, axis(0)), (10, 15, axis(1)), (15, 20, axis(0))]
    home.index(Clip("clip.mp4", keyframes))
    spans = [(hit.start_s, hit.end_s) for hit in home.search("red").hits]
    assert sorted(spans) == [(0, 10), (15, 20)]


def test_a_strong_moment_is_not_lost_in_a_take_that_matches_weakly_throughout(home: Home) -> None:
    weak = between(0, 4, 0.4)
    keyframes = [(5.0 * at, 5.0 * at + 5, weak) for at in range(12)]
    keyframes[6] = (30.0, 35.0, between(0, 4, 0.9))
    home.index(Clip("take.mp4", keyframes))
    hits = home.search("red").hits
    assert (hits[0].start_s, hits[0].end_s) == (30, 35)
    assert sorted((hit.start_s, hit.end_s) for hit in hits[1:]) == [(0, 30), (35, 60)]


def test_words_inside_a_picture_s_span_are_the_same_hit(home: Home) -> None:
    home.index(Clip("clip.mp4", [(0, 5, axis(0))], segments=[(4, 7, "red light")]))
    (hit,) = home.search("red").hits
    assert (hit.start_s, hit.end_s) == (0, 7)
    assert hit.score == pytest.approx(1.0)


def test_a_photograph_is_one_hit_at_zero(home: Home) -> None:
    home.index(Clip("still.jpg", [(0, 0, axis(0))], kind=MediaKind.IMAGE, duration_s=0))
    (hit,) = home.search("red").hits
    assert (hit.start_s, hit.end_s, hit.kind) == (0, 0, MediaKind.IMAGE)


def test_one_long_take_does_not_push_others_down_the_ranks(home: Home) -> None:
    home.index(
        Clip("long.mp4", [(5.0 * at, 5.0 * at + 5, axis(0)) for at in range(100)], duration_s=500),
        Clip("short.mp4", [(0, 5, between(0, 4, 0.9))]),
    )
    assert [hit.evidence[0].rank for hit in home.search("red").hits] == [1, 2]


@pytest.fixture
def red_picture(tmp_path: Path) -> Path:
    path = tmp_path / "query.png"
    Image.new("RGB", (32, 32), (200, 10, 10)).save(path)
    return path


def test_a_picture_finds_what_looks_like_it(home: Home, red_picture: Path) -> None:
    home.index(
        Clip("alike.mp4", [(0, 5, between(0, 4, 0.95))]),
        Clip("less.mp4", [(0, 5, between(0, 4, 0.5))]),
    )
    (hit,) = home.search(image=red_picture).hits
    assert hit.evidence[0].query == "image"
    assert home.names(image=red_picture) == ["alike.mp4"]


def test_text_and_picture_together_rank_what_fits_both_first(home: Home, red_picture: Path) -> None:
    home.index(
        Clip("red.mp4", [(0, 5, axis(0))]),
        Clip("blue.mp4", [(0, 5, axis(1))]),
        Clip("purple.mp4", [(0, 5, between(0, 1, 0.7))]),
    )
    assert home.names("blue", red_picture)[0] == "purple.mp4"
    assert set(home.names("blue", red_picture)) == {"red.mp4", "blue.mp4", "purple.mp4"}


def test_a_damaged_query_picture_is_named(home: Home, tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8 no")
    with pytest.raises(UnreadableMedia, match=r"broken\.jpg"):
        home.search(image=tmp_path / "broken.jpg")


@pytest.mark.parametrize("text", [None, "", "   "])
def test_an_empty_query_is_refused_with_what_to_give(home: Home, text: str | None) -> None:
    with pytest.raises(ConfigurationError, match="--image"):
        home.search(text)


def test_the_keyframe_is_the_best_matching_one_under_the_home(home: Home) -> None:
    clip = Clip("clip.mp4", [(0, 5, between(0, 4, 0.8)), (5, 10, axis(0))])
    home.index(clip)
    (hit,) = home.search("red").hits
    assert hit.keyframe == f"derived/{clip.media_id[:2]}/{clip.media_id}/keyframes/1.jpg"


def test_the_keyframe_of_a_spoken_hit_is_the_one_shown_then(home: Home) -> None:
    home.index(Clip("c.mp4", [(0, 5, axis(5)), (5, 10, axis(6))], segments=[(8, 9, "hello")]))
    assert home.search("hello").hits[0].keyframe.endswith("/keyframes/1.jpg")


FILTERED = [
    (Filters(kinds=(MediaKind.IMAGE,)), {"photo.jpg"}),
    (Filters(path="/archive/*"), {"old.mp4"}),
    (Filters(path="old"), {"old.mp4"}),
    (Filters(after="2026-01"), {"new.mp4", "photo.jpg"}),
    (Filters(before="2026-01"), {"old.mp4"}),
    (Filters(camera="camera b"), {"new.mp4"}),
    (Filters(has_audio=False), {"photo.jpg"}),
    (Filters(min_duration_s=31), {"new.mp4"}),
    (Filters(max_duration_s=30), {"old.mp4", "photo.jpg"}),
    (Filters(has_audio=True, max_duration_s=30), {"old.mp4"}),
    (Filters(camera="nobody's"), set()),
]


@pytest.mark.parametrize(("filters", "names"), FILTERED)
def test_filters_leave_only_what_they_say(home: Home, filters: Filters, names: set[str]) -> None:
    red = [(0, 5, axis(0))]
    old = {"duration_s": 30, "created_at": "2020-05-01T10:00:00", "folder": "/archive/2020"}
    home.index(
        Clip("old.mp4", red, segments=[(0, 1, "red")], **old),
        Clip("new.mp4", red, segments=[(0, 1, "red")], camera="Camera B"),
        Clip("photo.jpg", red, kind=MediaKind.IMAGE, has_audio=False, duration_s=0),
    )
    assert set(home.names("red", filters=filters)) == names


def test_a_filter_reaches_past_nearer_media_that_it_excludes(home: Home) -> None:
    crowd = [Clip(f"{n}.mp4", [(0, 5, axis(0))]) for n in range(30)]
    home.index(*crowd, Clip("b.mp4", [(0, 5, between(0, 4, 0.4))], camera="B"))
    assert home.names("red", filters=Filters(camera="B"), limit=1) == ["b.mp4"]


def test_a_tag_leaves_the_files_that_carry_it(home: Home) -> None:
    red = [(0, 5, axis(0))]
    home.index(Clip("tagged.mp4", red), bare := Clip("bare.mp4", red))
    home.tag("tagged.mp4", {"falcon": 0.9}, {"blue": 0.4})
    home.tag(bare.name, {}, {"blue": 0.3})
    assert home.names("red", filters=Filters(tags=("falcon",))) == ["tagged.mp4"]
    assert set(home.names("red", filters=Filters(tags=("blue",)))) == {"tagged.mp4", "bare.mp4"}
    assert home.names("red", filters=Filters(tags=("blue", "falcon"))) == ["tagged.mp4"]
    assert home.names("red", filters=Filters(tags=("elephant",))) == []


def test_superseded_media_never_appear(home: Home) -> None:
    old, new = Clip("v1.mp4", [(0, 5, axis(0))]), Clip("v2.mp4", [(0, 5, between(0, 4, 0.9))])
    home.index(old, new)
    home.catalogue.supersede(old.media_id, new.media_id)
    assert home.names("red", include_missing=True) == ["v2.mp4"]


def test_media_at_no_present_place_appear_only_when_asked_for(home: Home) -> None:
    home.index(Clip("here.mp4", [(0, 5, axis(0))]), Clip("gone.mp4", [(0, 5, axis(0))]))
    home.catalogue.mark_missing(["file:///library/gone.mp4"])
    assert home.names("red") == ["here.mp4"]
    hits = home.search("red", include_missing=True).hits
    assert {hit.uri: hit.present for hit in hits} == {
        "file:///library/here.mp4": True,
        "file:///library/gone.mp4": False,
    }


def test_many_hidden_media_do_not_hide_the_rest(home: Home) -> None:
    hidden = [Clip(f"gone{n}.mp4", [(0, 5, axis(0))]) for n in range(250)]
    home.index(*hidden, Clip("here.mp4", [(0, 5, between(0, 4, 0.5))]))
    home.catalogue.mark_missing([f"file:///library/gone{n}.mp4" for n in range(250)])
    assert home.names("red") == ["here.mp4"]


def test_only_the_active_space_is_read_and_the_rest_is_counted(home: Home) -> None:
    home.index(
        Clip("new.mp4", [(0, 5, axis(0))]),
        Clip("older.mp4", [(0, 5, axis(0))], space="older@1"),
        Clip("oldest.mp4", [(0, 5, axis(0))], space="older@1"),
    )
    assert home.names("red") == ["new.mp4"]
    (warning,) = home.search("red").warnings
    assert warning.startswith("2 files are indexed in another space (older@1)")
    assert "dam retry --stale" in warning


def test_faces_are_no_pictures_of_another_space(home: Home) -> None:
    home.index(Clip("face.mp4", [(0, 5, axis(0))], faces=[(0, axis(0, 4))]))
    assert FACES.name in {space.name for space in home.store.spaces()}
    assert home.search("red").warnings == ()


def test_embedding_again_with_another_model_leaves_no_row_of_the_old_one(home: Home) -> None:
    clip = Clip("clip.mp4", [(0, 5, axis(0))], space="older@1")
    home.index(clip)
    clip.space = PICTURES.name
    home.write(clip)
    index_media(home.store, home.derived, [clip.media_id])
    assert home.store.counts()["older@1"] == 0
    assert home.search("red").warnings == ()


def test_words_the_model_does_not_know_are_named(home: Home) -> None:
    home.index(Clip("red.mp4", [(0, 5, axis(0))]))
    result = home.search("red zebra")
    assert len(result.hits) == 1
    assert result.warnings == ("The image-text model does not know: zebra.",)


def test_a_text_of_unknown_and_plain_words_searches_no_pictures(home: Home) -> None:
    home.index(Clip("odd.mp4", [(0, 5, axis(7))], segments=[(20, 21, "a zebra")]))
    (hit,) = home.search("a zebra").hits
    assert (hit.start_s, hit.score) == (20, 1.0)


def test_the_space_s_warning_goes_with_texts_not_with_pictures(
    home: Home, red_picture: Path
) -> None:
    space = Space(**{**_fields(PICTURES), "warning": "Knows three colours."})
    assert home.search("red", space=space).warnings == ("Knows three colours.",)
    assert home.search(image=red_picture, space=space).warnings == ()


def _fields(space: Space) -> dict[str, object]:
    return {name: getattr(space, name) for name in Space.__slots__}


@pytest.fixture
def without_weights(home: Home) -> Callable[..., SearchResult]:
    def missing() -> ColourModel:
        raise WeightsMissing("No weights of clip here. Run `dam models fetch clip`.")

    models = Models(missing, missing)
    library = Library(home.settings, home.catalogue, home.derived, home.store, models)
    return lambda *args, **kwargs: search(library, *args, **kwargs)


def test_without_weights_the_words_still_answer(home: Home, without_weights) -> None:
    home.index(Clip("talk.mp4", [(0, 5, axis(0))], segments=[(0, 2, "red fox")]))
    result = without_weights("fox")
    assert [hit.score for hit in result.hits] == [1.0]
    assert result.warnings == (
        "Only spoken words were searched, no pictures: No weights of clip here. "
        "Run `dam models fetch clip`.",
    )


def test_without_weights_a_picture_cannot_be_searched_for(
    without_weights, red_picture: Path
) -> None:
    with pytest.raises(WeightsMissing):
        without_weights(image=red_picture)


def test_the_json_has_the_documented_keys(home: Home) -> None:
    clip = Clip("näme 1.mp4", [(0, 5, axis(0))], segments=[(1, 2, "red")])
    home.index(clip)
    document = home.search("red").to_json()
    assert document["warnings"] == []
    (hit,) = document["hits"]
    documented = "media_id partition_key uri kind start_s end_s score space keyframe evidence"
    assert not set(documented.split(" ")) - set(hit)
    assert hit["media_id"] == clip.media_id
    assert hit["kind"] == "video"
    assert [one["kind"] for one in hit["evidence"]] == ["words", "picture"]
    assert hit["evidence"][0]["text"] == "red"
    assert "text" not in hit["evidence"][1]


def test_the_limit_is_kept_and_the_best_stay(home: Home) -> None:
    home.index(*[Clip(f"{n}.mp4", [(0, 5, between(0, 4, 0.9 - n / 50))]) for n in range(9)])
    assert home.names("red", limit=3) == ["0.mp4", "1.mp4", "2.mp4"]


def test_a_broken_vector_is_left_out_of_the_index(home: Home) -> None:
    nan = np.full(8, np.nan, np.float32)
    clip = Clip("broken.mp4", [(0, 5, nan), (5, 10, axis(0)), (10, 15, np.zeros(8, np.float32))])
    home.index(clip)
    assert home.store.counts() == {PICTURES.name: 1}
    assert [(hit.start_s, hit.end_s) for hit in home.search("red").hits] == [(5, 10)]


def test_indexing_counts_rows_by_stage_for_each_media(home: Home) -> None:
    clip = Clip("c.mp4", [(0, 5, axis(0))], faces=[(0, axis(0, 4))] * 2, segments=[(0, 1, "x y")])
    ids = home.add(clip, Clip("nothing.mp4"))
    counts = index_media(home.store, home.derived, ids)
    assert list(counts[ids[0]].values()) == [1, 2, 0, 1]
    assert list(counts[ids[1]].values()) == [0, 0, 0, 0]


def test_speech_is_found_by_what_it_means(home: Home) -> None:
    storm = (7.0, 9.5, "The fishermen come home before the storm.", between(0, 4, 0.8))
    bread = (11.0, 13.0, "My grandmother bakes bread.", between(1, 4, 0.7))
    home.index(Clip("talk.wav", sentences=[storm, bread]), Clip("other.wav"))
    (hit,) = home.search("boats").hits
    assert (hit.start_s, hit.end_s, hit.space) == (7.0, 9.5, MEANINGS.name)
    (evidence,) = hit.evidence
    assert (evidence.kind, evidence.text) == ("meaning", storm[2])
    assert evidence.score == pytest.approx(0.8, abs=1e-5)
    assert hit.to_json()["evidence"][0]["text"] == storm[2]


def test_a_sentence_below_the_floor_does_not_mean_it(home: Home) -> None:
    home.index(Clip("talk.wav", sentences=[(0, 2, "Something else.", between(0, 4, 0.29))]))
    assert home.search("boats").hits == ()


def test_said_and_meant_in_one_place_is_one_hit_with_both_reasons(home: Home) -> None:
    text = "Two boats lie in the harbour."
    both = Clip("both.wav", segments=[(3, 6, text)], sentences=[(3, 6, text, axis(0))])
    meant = Clip("meant.wav", sentences=[(1, 2, "Ships at sea.", between(0, 4, 0.7))])
    home.index(both, meant)
    assert home.names("boats") == ["both.wav", "meant.wav"]
    assert {one.kind for one in home.search("boats").hits[0].evidence} == {"words", "meaning"}


def test_a_phrase_in_quotes_is_found_in_just_these_words(home: Home) -> None:
    home.index(
        Clip("exact.wav", segments=[(0, 2, "The red boats come home.")]),
        Clip("other-order.wav", segments=[(0, 2, "Home come the boats, and red they are.")]),
        Clip("other-form.wav", segments=[(0, 2, "The red boat comes home.")]),
        Clip("meant.wav", sentences=[(0, 2, "Ships at sea.", axis(0))]),
        Clip("shown.mp4", [(0, 5, axis(0))]),
    )
    assert home.names('"red boats come home"') == ["exact.wav"]
    assert home.names("“Red Boats”") == ["exact.wav"]
    assert set(home.names("red boats come home")) >= {"exact.wav", "other-order.wav"}
    assert home.search('"boats red"').hits == ()


def test_words_beside_a_phrase_are_wanted_too_in_any_form(home: Home) -> None:
    home.index(
        Clip("both.wav", segments=[(0, 2, "before the storm they were running")]),
        Clip("phrase.wav", segments=[(0, 2, "before the storm they slept")]),
    )
    assert home.names('run "before the storm"') == ["both.wav"]


def test_without_sentence_weights_the_words_answer_and_it_is_said(home: Home) -> None:
    def missing() -> MeaningModel:
        raise WeightsMissing("No weights of minilm here. Run `dam models fetch minilm`.")

    home.index(Clip("talk.wav", segments=[(0, 2, "red boats")], sentences=[(0, 2, "x", axis(0))]))
    models = Models(ColourModel, missing)
    library = Library(home.settings, home.catalogue, home.derived, home.store, models)
    result = search(library, "red boats")
    assert [one.kind for one in result.hits[0].evidence] == ["words"]
    assert "Speech was searched by its words, not by its meaning: No weights" in " ".join(
        result.warnings
    )
