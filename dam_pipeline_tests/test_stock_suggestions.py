"""Suggestions for stock records: what is suggested from what, how sure it is, and what never is."""

import pkgutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from dam_pipeline import schemas
from dam_pipeline.errors import ConfigurationError
from dam_pipeline.models import spaces
from dam_pipeline.records import Json, Media, MediaKind, State, StoredOutcome
from dam_pipeline.settings import Settings
from dam_pipeline.stages.work import Toolbox
from dam_pipeline.stock import suggestions
from dam_pipeline.stock.accepting import accept, acceptable
from dam_pipeline.stock.gazetteer import country_of, nearest_place
from dam_pipeline.stock.items import load_items
from dam_pipeline.stock.people import edit_record
from dam_pipeline.stock.record import Item, Place, Suggestion
from dam_pipeline.stock.suggestions.whereabouts import CITY_KM
from dam_pipeline.tagging.people import add_tags
from dam_pipeline.tagging.vocabulary import open_vocabulary
from dam_pipeline_tests.handmade import PROVENANCE, Clip, Handmade, axis
from dam_pipeline_tests.stock_items import CLIP

LISBON = {"lat": 38.7139, "lon": -9.1394}
OFF_LISBON = {"lat": 38.70, "lon": -9.95}  # 40 km west of the coast's towns
ATLANTIC = {"lat": 30.0, "lon": -40.0}


@pytest.fixture
def tools(tmp_path: Path) -> Iterator[Toolbox]:
    with Toolbox.open(Settings(home=tmp_path / "home")) as opened:
        yield opened


@pytest.fixture
def library(tools: Toolbox) -> Handmade:
    return Handmade(tools.settings.home, tools.catalogue)


def add(library: Handmade, name: str = "C0001.mov", **fields: Any) -> Media:
    """A probed clip with keyframes and no faces; `fields` are the clip's, `probe` what else it says."""
    probe = CLIP.to_json() | {"created_at": None, "camera": None} | fields.pop("probe", {})
    clip = Clip(name, probe=probe, keyframes=[(0.0, 20.0, axis(0))], **fields)
    [media_id] = library.add(clip)
    return library.catalogue.media([media_id])[media_id]


def tag(
    library: Handmade,
    media: Media,
    terms: Mapping[str, float],
    colours: Mapping[str, float] | None = None,
    space: str = "",
) -> None:
    """Write what the stage `tags` found: terms with scores, colours with shares."""
    rows = [_row("term", name, score) for name, score in terms.items()]
    rows += [_row("colour", name, share) for name, share in (colours or {}).items()]
    table = pa.Table.from_pylist(rows, schema=schemas.TAGS)
    result = {"space": space, "terms": dict(terms), "colours": dict(colours or {}), "warning": ""}
    done = StoredOutcome(
        media.media_id, "tags", State.DONE, "", False, 0, result, len(rows), "1", PROVENANCE
    )
    library.derived.write_outcome(done, table)


def _row(kind: str, name: str, score: float) -> dict[str, Json]:
    seen = {"keyframe": None, "start_s": 2.0, "end_s": 9.5, "score": score, "cosine": None}
    return {"kind": kind, "tag": name, **seen}


def item(tools: Toolbox, media: Media) -> Item:
    return load_items(tools, [media])[0]


def offered(tools: Toolbox, media: Media, field: str) -> list[Suggestion]:
    return [one for one in item(tools, media).suggestions if one.field == field]


@pytest.mark.parametrize(
    ("latitude", "longitude", "city", "code"),
    [
        (48.8584, 2.2945, "Paris", "FR"),  # the Eiffel Tower: a suburb's centre is nearer
        (48.8049, 2.1204, "Versailles", "FR"),
        (40.7580, -73.9855, "New York City", "US"),  # Times Square has an entry of its own
        (35.6586, 139.7454, "Tokyo", "JP"),
        (38.7139, -9.1394, "Lisbon", "PT"),
        (41.9022, 12.4539, "Vatican City", "VA"),  # within Rome's reach, but another country
        (-33.8568, 151.2153, "Sydney", "AU"),
        (78.2233, 15.6469, "Longyearbyen", "SJ"),
        (69.6489, 18.9551, "Tromsø", "NO"),
    ],
)
def test_a_point_of_the_earth_is_in_its_city(
    latitude: float, longitude: float, city: str, code: str
) -> None:
    found = nearest_place(latitude, longitude)
    assert found is not None
    assert (found.place.city, found.place.country_code) == (city, code)
    assert found.distance_km < CITY_KM


@pytest.mark.parametrize("point", [(30.0, -40.0), (0.0, 0.0), (89.9, 10.0), (-90.0, 0.0)])
def test_there_is_no_city_in_the_open_sea(point: tuple[float, float]) -> None:
    assert nearest_place(*point) is None


def test_distances_cross_the_date_line() -> None:
    east, west = nearest_place(63.06, 179.99), nearest_place(63.06, -179.99)
    assert east is not None
    assert west is not None
    assert east.place.city == west.place.city == "Beringovskiy"
    assert 0 < west.distance_km - east.distance_km < 2


def test_countries_are_known_by_name_and_code() -> None:
    assert country_of(" portugal ") == ("PT", "Portugal")
    assert country_of("de") == ("DE", "Germany")
    assert country_of("Korea, Republic of") == country_of("KR") == ("KR", "South Korea")
    assert country_of("UK") == ("GB", "United Kingdom")
    with pytest.raises(ConfigurationError, match=r"Did you mean Germany \(DE\)"):
        country_of("Germny")


def test_a_gps_fix_fills_the_place_with_how_far_it_is(tools: Toolbox, library: Handmade) -> None:
    found = item(tools, add(library, probe={"gps": LISBON}))
    assert found.record.place == Place("Lisbon", "Lisbon", "Portugal", "PT")
    assert found.said_by["place"] == "gazetteer"
    [place] = [one for one in found.suggestions if one.field == "place"]
    assert place.confidence > 0.85
    assert "GPS 38.7139, -9.1394 is 0." in place.evidence


def test_a_persons_place_wins_over_the_gps_fix(tools: Toolbox, library: Handmade) -> None:
    media = add(library, probe={"gps": LISBON})
    edit_record(tools.settings, [media.asset_id], {"place": {"city": "Almada", "country": "PT"}})
    found = item(tools, media)
    assert found.record.place == Place("Almada", "", "Portugal", "PT")
    assert found.said_by["place"] == "person"


def test_a_place_that_a_person_empties_stays_empty_whatever_the_camera_says(
    tools: Toolbox, library: Handmade
) -> None:
    media = add(library, probe={"gps": LISBON})
    edit_record(tools.settings, [media.asset_id], {"place": {"city": "", "country": ""}})
    found = item(tools, media)
    assert (found.record.place, found.said_by["place"]) == (Place(), "person")
    assert "Lisbon" not in {one.value for one in found.suggestions if one.field == "keywords"}
    edit_record(tools.settings, [media.asset_id], {"place": None})
    assert item(tools, media).said_by["place"] == "gazetteer"


def test_a_keyword_that_a_person_took_away_is_not_offered_again(
    tools: Toolbox, library: Handmade
) -> None:
    media = add(library, probe={"gps": LISBON})
    assert {one.value for one in offered(tools, media, "keywords")} >= {"Lisbon", "Portugal"}
    edit_record(tools.settings, [media.asset_id], {"keywords": {"remove": ["lisbon"]}})
    words = {one.value for one in offered(tools, media, "keywords")}
    assert ("Lisbon" in words, "Portugal" in words) == (False, True)


def test_far_from_a_city_only_the_country_is_said_and_at_sea_nothing(
    tools: Toolbox, library: Handmade
) -> None:
    near = item(tools, add(library, "near.mov", probe={"gps": OFF_LISBON}))
    assert near.record.place is not None
    assert (near.record.place.city, near.record.place.country) == ("", "Portugal")
    assert "Portugal" in {one.value for one in near.suggestions if one.field == "keywords"}
    assert len([one for one in near.suggestions if one.field == "keywords"]) == 1
    assert item(tools, add(library, "sea.mov", probe={"gps": ATLANTIC})).record.place is None


def test_the_camera_gives_date_and_owner(tools: Toolbox, library: Handmade) -> None:
    raw = {"exiftool": {"EXIF:OwnerName": "Ada"}}
    probe = {"created_at": "2026-03-01T12:00:00", "camera": "Sony FX6", "raw": raw}
    found = item(tools, add(library, probe=probe))
    assert (found.record.date, found.said_by["date"]) == ("2026-03-01T12:00:00", "probe")
    assert (found.record.creator, found.said_by["creator"]) == ("Ada", "probe")
    [date] = [one for one in found.suggestions if one.field == "date"]
    assert date.evidence == "the clock of Sony FX6 says 2026-03-01T12:00:00"


def test_a_prompt_in_a_picture_says_that_a_model_made_it(tools: Toolbox, library: Handmade) -> None:
    media = add(library, probe={"raw": {"exiftool": {"PNG:Parameters": "a cat, Steps: 20"}}})
    found = item(tools, media)
    assert (found.record.is_generated, found.said_by["is_generated"]) == (True, "probe")
    edit_record(tools.settings, [media.asset_id], {"is_generated": False})
    assert item(tools, media).record.is_generated is False


def test_the_source_type_of_iptc_is_the_files_own_word(tools: Toolbox, library: Handmade) -> None:
    term = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
    media = add(library, probe={"raw": {"exiftool": {"XMP:DigitalSourceType": term}}})
    found = item(tools, media)
    assert (found.record.is_generated, found.said_by["is_generated"]) == (True, "file")


def test_people_are_counted_by_faces_and_none_seen_is_not_nobody(
    tools: Toolbox, library: Handmade
) -> None:
    two = add(library, "two.mov", faces=[(0, axis(0, 4)), (0, axis(1, 4))])
    [seen] = offered(tools, two, "people")
    assert (seen.value, seen.source, seen.confidence) == (2, "faces", 0.7)
    [none] = offered(tools, add(library, "none.mov"), "people")
    assert (none.value, none.confidence) == (0, 0.5)
    assert "turned away" in none.evidence
    marked = add(library, "marked.mov", probe={"face_regions": [{"name": "Ada", "box": []}] * 3})
    [said] = offered(tools, marked, "people")
    assert (said.value, said.source, said.confidence) == (3, "file", 0.9)


@pytest.mark.parametrize("word", ["woman", "Menschenmenge", "baby"])
def test_no_face_and_a_word_for_people_leaves_their_number_open(
    tools: Toolbox, library: Handmade, word: str
) -> None:
    found = item(tools, add(library, probe={"keywords": ["beach", word]}))
    assert found.record.people is None
    assert "people" not in found.said_by


def test_keywords_come_from_tags_ranked_by_who_says_so(tools: Toolbox, library: Handmade) -> None:
    media = add(library, probe={"keywords": ["sea"], "gps": LISBON})
    tag(library, media, {"falcon": 0.88, "bird": 0.88, "lake": 0.6}, {"blue": 0.4}, "clip@1")
    add_tags(tools.settings, media.asset_id, ["golden hour"], open_vocabulary(tools.settings))
    found = offered(tools, media, "keywords")
    ranked = [(one.value, one.source) for one in found]
    assert ranked == [
        ("golden hour", "tags"),
        ("falcon", "tags"),
        ("bird", "tags"),
        ("Lisbon", "gazetteer"),
        ("Portugal", "gazetteer"),
        ("lake", "tags"),
        ("blue", "tags"),
    ]
    assert [one.confidence for one in found] == sorted((f.confidence for f in found), reverse=True)
    assert found[1].evidence == "score 0.88 by clip, 2.0–9.5 s"
    assert item(tools, media).record.keywords == ("sea",)


def test_a_title_lists_what_is_seen_and_where_and_is_only_offered(
    tools: Toolbox, library: Handmade
) -> None:
    media = add(library, probe={"gps": LISBON, "created_at": "2026-03-01T12:00:00"})
    terms = {"falcon": 0.9, "bird": 0.9, "animal": 0.9, "sea": 0.8, "rock": 0.7, "sky": 0.6}
    tag(library, media, terms, {"blue": 0.9}, "clip@1")
    [title] = offered(tools, media, "title")
    assert title.value == "Falcon, sea and rock in Lisbon, Portugal"
    assert title.confidence == 0.49  # of the least sure of them, and then some
    [description] = offered(tools, media, "description")
    assert description.value == "Falcon, sea and rock in Lisbon, Portugal, March 2026."
    found = item(tools, media)
    assert (found.record.title, found.record.description) == ("", "")


def test_a_model_that_does_not_understand_says_so_and_is_hardly_believed(
    tmp_path: Path, shared_folder: Path
) -> None:
    settings = Settings(
        home=tmp_path / "home", profile="bundled", models_dir=shared_folder / "models"
    )
    space = spaces(settings)["image_text"]
    assert space is not None
    assert space.warning
    with Toolbox.open(settings) as tools:
        library = Handmade(settings.home, tools.catalogue)
        media = add(library)
        tag(library, media, {"falcon": 0.99, "bird": 0.99}, {"blue": 0.5}, space.name)
        add_tags(settings, media.asset_id, ["kite"], open_vocabulary(settings))
        found = {one.value: one for one in offered(tools, media, "keywords")}
        assert found["falcon"].confidence == 0.2
        assert space.warning in found["falcon"].warning
        assert (found["kite"].confidence, found["kite"].warning) == (0.95, "")
        assert found["blue"].warning == ""
        accepted = accept(item(tools, media), ["keywords"])
        assert accepted.changes == {"keywords": {"add": ["kite"]}}


def test_speech_gives_the_first_sentence_as_title_and_terms_that_are_named(
    tools: Toolbox, library: Handmade
) -> None:
    text = "Well. Yesterday a falcon came to the harbour. It was hungry."
    media = add(library, segments=[(1.0, 6.0, text)])
    [title] = offered(tools, media, "title")
    assert title.value == "Yesterday a falcon came to the harbour"
    assert (title.source, title.confidence) == ("transcript", 0.45)
    assert title.evidence == "spoken in en, 1.0–6.0 s"
    [description] = offered(tools, media, "description")
    assert description.value == text
    assert [one.value for one in offered(tools, media, "keywords")] == ["falcon"]


def test_next_to_no_speech_gives_nothing(tools: Toolbox, library: Handmade) -> None:
    media = add(library, segments=[(0.0, 1.0, "Okay then")])
    assert offered(tools, media, "title") == []


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("fishing-boats_at_dawn-03.mov", "Fishing boats at dawn"),
        ("Lisbon harbour (final).mp4", "Lisbon harbour"),
        ("DSC_0042.jpg", None),
        ("GX010012.MP4", None),
        ("harbour.mov", None),
    ],
)
def test_a_file_that_a_person_named_gives_a_title(
    tools: Toolbox, library: Handmade, name: str, title: str | None
) -> None:
    found = offered(tools, add(library, name), "title")
    assert [one.value for one in found] == ([title] if title else [])


def test_the_category_is_one_of_the_agencies_lists(tools: Toolbox, library: Handmade) -> None:
    media = add(library)
    tag(library, media, {"falcon": 0.9, "bird": 0.9, "animal": 0.9, "sky": 0.55})
    found = offered(tools, media, "category")
    assert found[0].value == "Animals"
    assert 0.5 < found[0].confidence < 0.8
    assert item(tools, media).record.category == ""


def test_what_is_accepted_never_replaces_a_persons_or_the_files_word(
    tools: Toolbox, library: Handmade
) -> None:
    media = add(library, "two words.mov", probe={"title": "From the file", "gps": LISBON})
    edit_record(tools.settings, [media.asset_id], {"description": "Mine"})
    accepted = accept(item(tools, media), acceptable(["all", "place"]))
    assert accepted.changes == {
        "keywords": {"add": ["Lisbon", "Portugal"]},
        "place": {
            "city": "Lisbon",
            "region": "Lisbon",
            "country": "Portugal",
            "country_code": "PT",
        },
    }
    assert accepted.left_out == {
        "title": "the file says it already",
        "description": "the person says it already",
        "category": "nothing is suggested",
    }


def test_nothing_less_sure_than_asked_for_is_accepted(tools: Toolbox, library: Handmade) -> None:
    found = item(tools, add(library, "two words.mov"))
    assert accept(found, ["title"]).changes == {"title": "Two words"}
    accepted = accept(found, ["title"], at_least=0.4)
    assert accepted.changes == {}
    assert accepted.left_out["title"].endswith("'Two words', has confidence 0.35")
    with pytest.raises(ConfigurationError, match="Nothing is suggested for price_usd: title"):
        acceptable(["price_usd"])


def test_every_suggestion_has_a_source_a_confidence_and_evidence(
    tools: Toolbox, library: Handmade
) -> None:
    media = add(
        library,
        "two words.mov",
        probe={"gps": LISBON, "created_at": "2026-03-01T12:00:00"},
        segments=[(0.0, 5.0, "A falcon came to the harbour.")],
    )
    tag(library, media, {"falcon": 0.9, "bird": 0.9}, {"blue": 0.4})
    found = item(tools, media).suggestions
    assert {one.field for one in found} == {
        *("title", "description", "keywords", "category", "date", "place", "people")
    }
    assert all(one.source and one.evidence and 0 < one.confidence < 1 for one in found)


def test_every_source_is_registered() -> None:
    modules = {one.name for one in pkgutil.iter_modules(suggestions.__path__)} - {"known"}
    assert {one.__module__.rpartition(".")[2] for one in suggestions.SOURCES} == modules


def test_photographs_have_no_span_in_their_evidence(tools: Toolbox, library: Handmade) -> None:
    media = add(library, "DSC_1.jpg", kind=MediaKind.IMAGE)
    rows = [_row("term", "falcon", 0.9) | {"start_s": 0.0, "end_s": 0.0}]
    table = pa.Table.from_pylist(rows, schema=schemas.TAGS)
    done = StoredOutcome(
        media.media_id, "tags", State.DONE, "", False, 0, {"space": "c@1"}, 1, "1", PROVENANCE
    )
    library.derived.write_outcome(done, table)
    [keyword] = offered(tools, media, "keywords")
    assert keyword.evidence == "score 0.90 by c"
