"""Stock records: whose word stands, what may be typed, the shortlist, and that all of it is kept."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import hypothesis
import hypothesis.strategies as st
import pytest

from dam_pipeline.catalogue.discovery import discover
from dam_pipeline.catalogue.rebuilding import rebuild_catalogue
from dam_pipeline.errors import ConfigurationError, SchemaMismatch
from dam_pipeline.records import Media, MediaKind, State, StoredOutcome
from dam_pipeline.settings import Settings
from dam_pipeline.stages import STAGES
from dam_pipeline.stages.engine import run_stages
from dam_pipeline.stages.face_embeddings import SWITCHED_OFF
from dam_pipeline.stages.recording import stage_row
from dam_pipeline.stages.work import Toolbox
from dam_pipeline.stock import items, shortlist
from dam_pipeline.stock.fields import each_once
from dam_pipeline.stock.items import load_items
from dam_pipeline.stock.people import (
    Edit,
    Word,
    edit_record,
    edit_records,
    laid_over,
    records_of_people,
)
from dam_pipeline.stock.record import Item, Place, StockRecord
from dam_pipeline.stores.journal import Journal
from dam_pipeline_tests.clips import exiftool, ffmpeg, tone
from dam_pipeline_tests.handmade import PROVENANCE, Clip, Handmade, axis
from dam_pipeline_tests.s3_server import Bucket
from dam_pipeline_tests.stock_items import CLIP, PHOTO

FILE = {
    "title": "Boats",
    "keywords": ["boat", "harbour"],
    "raw": {
        "exiftool": {
            "XMP:Description": {"x-default": "Boats in the harbour", "de": "Boote"},
            "XMP:Creator": ["Ada", "Grace"],
            "IPTC:CopyrightNotice": "© Ada",
            "XMP:City": "Porto",
            "XMP:Country": "Portugal",
        }
    },
}


@pytest.fixture
def tools(tmp_path: Path) -> Iterator[Toolbox]:
    with Toolbox.open(Settings(home=tmp_path / "home")) as opened:
        yield opened


@pytest.fixture
def library(tools: Toolbox) -> Handmade:
    return Handmade(tools.settings.home, tools.catalogue)


def add(library: Handmade, name: str = "boats.mov", **probe: Any) -> Media:
    """A probed clip; `probe` is what its probe says besides."""
    [media_id] = library.add(Clip(name, probe=CLIP.to_json() | probe))
    return library.catalogue.media([media_id])[media_id]


def item(tools: Toolbox, media: Media) -> Item:
    return load_items(tools, [media])[0]


def test_what_another_program_wrote_is_the_record_until_a_person_says_more(
    tools: Toolbox, library: Handmade
) -> None:
    media = add(library, **FILE)
    found = item(tools, media)
    assert found.record.title == "Boats"
    assert found.record.description == "Boats in the harbour"
    assert found.record.creator == "Ada, Grace"
    assert found.record.copyright == "© Ada"
    assert found.record.place == Place("Porto", "", "Portugal", "PT")
    assert {found.said_by[one] for one in ("title", "description", "place")} == {"file"}
    edit_record(tools.settings, [media.asset_id], {"title": "Fishing boats"})
    found = item(tools, media)
    assert (found.record.title, found.said_by["title"]) == ("Fishing boats", "person")
    assert (found.record.description, found.said_by["description"]) == (
        "Boats in the harbour",
        "file",
    )


def test_what_other_programs_embed_is_read_from_real_files(tools: Toolbox, tmp_path: Path) -> None:
    folder = tmp_path / "originals"
    folder.mkdir()
    photo, clip = folder / "photo.jpg", folder / "clip.mov"
    ffmpeg("-f", "lavfi", "-i", "testsrc2=s=320x180:d=1", "-frames:v", "1", photo)
    ffmpeg("-f", "lavfi", "-i", "testsrc2=s=320x180:d=1:r=10", "-pix_fmt", "yuv420p", clip)
    made_by_a_model = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
    exiftool(
        *("-codedcharacterset=utf8", "-IPTC:Caption-Abstract=Café at dawn", "-IPTC:City=Porto"),
        *(
            "-IPTC:Country-PrimaryLocationName=Portugal",
            "-XMP-dc:Creator=Ada",
            "-XMP-dc:Rights=© Ada",
        ),
        *("-XMP-dc:Title=Café", "-XMP-dc:Subject=café", "-XMP-dc:Subject=dawn"),
        *(f"-XMP-iptcExt:DigitalSourceType={made_by_a_model}", photo),
    )
    exiftool(
        *("-Keys:Title=Reel", "-Keys:Description=A reel", "-Keys:Keywords=sea, boat"),
        *("-Keys:Copyright=© Ada", "-Keys:Artist=Ada", clip),
    )
    discover([folder], tools.catalogue, tools.derived, tools.settings)
    media = {one.first_name: one for one in tools.catalogue.all_media()}
    ids = [one.media_id for one in media.values()]
    run_stages(tools, ids, ("probe", "checksum"), "run-1")
    found = item(tools, media["photo.jpg"])
    assert (found.record.title, found.record.description) == ("Café", "Café at dawn")
    assert found.record.keywords == ("café", "dawn")
    assert (found.record.creator, found.record.copyright) == ("Ada", "© Ada")
    assert found.record.place == Place("Porto", "", "Portugal", "PT")
    assert found.record.is_generated is True
    assert found.sha256 == hashlib.sha256(photo.read_bytes()).hexdigest()
    assert found.uri == photo.as_uri()
    found = item(tools, media["clip.mov"])
    assert (found.record.title, found.record.description) == ("Reel", "A reel")
    assert found.record.keywords == ("sea", "boat")
    assert (found.record.creator, found.record.copyright) == ("Ada", "© Ada")


def test_the_paragraphs_of_an_embedded_description_stay(tools: Toolbox, tmp_path: Path) -> None:
    photo = tmp_path / "originals" / "photo.jpg"
    photo.parent.mkdir()
    ffmpeg("-f", "lavfi", "-i", "testsrc2=s=320x180:d=1", "-frames:v", "1", photo)
    exiftool("-E", "-XMP-dc:Description=One  line.&#10;&#10;Another. &#10;", photo)
    discover([photo.parent], tools.catalogue, tools.derived, tools.settings)
    (media,) = tools.catalogue.all_media()
    run_stages(tools, [media.media_id], ("probe",), "run-1")
    assert item(tools, media).record.description == "One line.\n\nAnother."


def test_a_sidecar_wins_over_the_file_and_captions_of_cameras_count_for_nothing(
    tools: Toolbox, library: Handmade
) -> None:
    beside = {"sidecars": [{"name": "a.xmp", "tags": {"XMP:Rights": "© sidecar"}}]}
    tags = {"IPTC:CopyrightNotice": "© file", "EXIF:ImageDescription": "OLYMPUS DIGITAL CAMERA"}
    found = item(tools, add(library, raw={"exiftool": tags, **beside}))
    assert found.record.copyright == "© sidecar"
    assert found.record.description == ""
    assert "description" not in found.said_by


def test_a_persons_word_stands_after_the_file_is_processed_anew(
    tools: Toolbox, library: Handmade
) -> None:
    media = add(library, **FILE)
    edit_record(tools.settings, [media.asset_id], {"title": "Mine", "people": 3})
    library.write(
        Clip(
            "boats.mov",
            keyframes=[(0.0, 5.0, axis(0))],
            faces=[(0, axis(1, 4))],
            probe=CLIP.to_json() | FILE | {"title": "Theirs"},
        )
    )
    found = item(tools, media)
    assert (found.record.title, found.record.people, found.faces) == ("Mine", 3, 1)


def test_taking_a_word_back_lets_the_file_speak_again_and_an_empty_word_does_not(
    tools: Toolbox, library: Handmade
) -> None:
    media = add(library, **FILE)
    edit_record(tools.settings, [media.asset_id], {"title": "Mine", "description": ""})
    found = item(tools, media)
    assert (found.record.description, found.said_by["description"]) == ("", "person")
    edit_record(tools.settings, [media.asset_id], {"title": None, "description": None})
    found = item(tools, media)
    assert (found.record.title, found.said_by["title"]) == ("Boats", "file")
    assert found.record.description == "Boats in the harbour"


def test_keywords_are_added_to_those_of_the_file_and_taken_from_them(
    tools: Toolbox, library: Handmade
) -> None:
    media = add(library, **FILE)

    def keywords(change: Any) -> tuple[str, ...]:
        edit_record(tools.settings, [media.asset_id], {"keywords": change})
        return item(tools, media).record.keywords

    assert keywords({"add": ["sea", "BOAT"]}) == ("boat", "harbour", "sea")
    assert keywords({"remove": ["Harbour"]}) == ("boat", "sea")
    assert keywords({"add": ["harbour"]}) == ("boat", "harbour", "sea")
    assert keywords(["one", "Two", "two", " one "]) == ("one", "Two")
    assert keywords({"add": ["three"], "remove": ["ONE"]}) == ("Two", "three")
    assert keywords([]) == ()
    assert keywords(None) == ("boat", "harbour")


LETTERS = st.lists(st.sampled_from(["a", "A", "b", "c", "é", "É", "👩‍🚀", "שלום"]), max_size=4)
KEYWORD_EDITS = st.one_of(
    LETTERS,
    st.none(),
    st.fixed_dictionaries({}, optional={"add": LETTERS, "remove": LETTERS}),
)


@hypothesis.given(in_file=LETTERS, edits=st.lists(KEYWORD_EDITS, max_size=6))
def test_after_any_edits_each_keyword_is_there_once_and_the_last_word_counts(
    in_file: list[str], edits: list[Any]
) -> None:
    planned = [Edit(["a"], {"keywords": one}) for one in edits]
    word = records_of_people(Settings(home=Path("/dev/null/none")), planned).get("a", Word())
    record = StockRecord(keywords=tuple(each_once(in_file)))
    found = [one.casefold() for one in laid_over(record, word).keywords]
    assert len(found) == len(set(found))
    last = edits[-1] if edits else None
    if isinstance(last, list):
        assert found == [one.casefold() for one in each_once(last)]
    elif last is None:
        assert found == [one.casefold() for one in each_once(in_file)]
    else:
        added, removed = ({w.casefold() for w in last.get(do, [])} for do in ("add", "remove"))
        assert added <= set(found)
        assert not (removed - added) & set(found)


def test_ten_thousand_keywords_are_kept_in_their_order(tools: Toolbox, library: Handmade) -> None:
    media = add(library)
    words = [f"word {n}" for n in range(10_000)]
    edit_record(tools.settings, [media.asset_id], {"keywords": words})
    edit_record(tools.settings, [media.asset_id], {"keywords": {"add": [*words, "last"]}})
    assert item(tools, media).record.keywords == (*words, "last")


def test_places_and_categories_change_part_by_part(tools: Toolbox, library: Handmade) -> None:
    media = add(library)

    def record(**changes: Any) -> StockRecord:
        edit_record(tools.settings, [media.asset_id], changes)
        return item(tools, media).record

    assert record(place={"city": "Lisbon"}).place == Place("Lisbon")
    assert record(place={"country": "portugal"}).place == Place("Lisbon", "", "Portugal", "PT")
    assert record(place={"city": ""}).place == Place("", "", "Portugal", "PT")
    assert record(place={"country": ""}).place == Place()
    assert record(place=None).place is None
    record(categories={"adobe-stock": "Travel", "shutterstock": "Nature"})
    assert record(categories={"shutterstock": None}).categories == {"adobe-stock": "Travel"}


def test_a_release_is_kept_with_its_hash_and_its_file_is_left_alone(
    tools: Toolbox, library: Handmade, tmp_path: Path
) -> None:
    media = add(library)
    path = tmp_path / "anna.pdf"
    path.write_bytes(b"signed")
    stat = path.stat()
    release = {"kind": "model", "path": str(path), "name": "Anna"}
    edit_record(tools.settings, [media.asset_id], {"releases": {"add": [release, release]}})
    [kept] = item(tools, media).record.releases
    assert (kept.kind, kept.path, kept.name) == ("model", str(path), "Anna")
    assert kept.sha256 == hashlib.sha256(b"signed").hexdigest()
    assert (path.read_bytes(), path.stat().st_mtime_ns) == (b"signed", stat.st_mtime_ns)
    path.unlink()
    edit_record(tools.settings, [media.asset_id], {"releases": {"remove": [str(path)]}})
    assert item(tools, media).record.releases == ()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"place": {"country": "Portugl"}}, r"'Portugl' is no country. Did you mean Portugal"),
        ({"place": {"country": "France", "country_code": "DE"}}, "different countries"),
        ({"place": {"planet": "Mars"}}, "is no place"),
        ({"date": "01.03.2026"}, "'01.03.2026' is no date. Write it as 2026-03-01"),
        ({"date": "2026-02-30"}, "is no date"),
        ({"usage": "private"}, "commercial or editorial"),
        ({"price_usd": -1}, "-1 is no price"),
        ({"price_usd": float("nan")}, "nan is no price"),
        ({"people": -1}, "no number of people"),
        ({"people": True}, "no number of people"),
        ({"is_generated": "yes"}, "neither true nor false"),
        ({"releases": [{"kind": "model", "path": "/nowhere/r.pdf"}]}, "/nowhere/r.pdf cannot be"),
        ({"releases": [{"kind": "pet", "path": "/dev/null"}]}, "no kind of release"),
        ({"releases": [{"kind": "model", "path": "/dev/null"}]}, "no file with anything in it"),
        ({"releases": [{"kind": "model", "path": "/dev"}]}, "no file with anything in it"),
        ({"title": 5}, "5 is no text"),
        ({"title": "x" * 1001}, "has 1001 characters"),
        ({"keywords": 3}, "no list of keywords"),
        ({"stars": 3}, "stars is no field of a stock record: title"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_changed(
    tools: Toolbox, changes: dict[str, Any], message: str
) -> None:
    edits = [Edit(["a"], {"title": "well"}), Edit(["b"], changes)]
    with pytest.raises(ConfigurationError, match=message):
        edit_records(tools.settings, edits)
    assert records_of_people(tools.settings) == {}


def test_many_edits_are_one_entry_with_who_and_when(tools: Toolbox) -> None:
    edits = [Edit([f"asset-{n}"], {"title": f"No {n}"}) for n in range(500)]
    assert edit_records(tools.settings, edits) == 500
    [entry] = Journal(tools.settings, "stock").entries()
    assert set(entry) == {"edits", "when", "by"}
    words = records_of_people(tools.settings)
    assert words["asset-499"].values == {"title": "No 499"}
    assert words["asset-499"].when.endswith("+00:00")


def test_planned_edits_are_shown_and_not_written(tools: Toolbox, library: Handmade) -> None:
    media = add(library, **FILE)
    words = records_of_people(tools.settings, [Edit([media.asset_id], {"title": "Planned"})])
    assert load_items(tools, [media], words)[0].record.title == "Planned"
    assert item(tools, media).record.title == "Boats"


def test_an_entry_cut_short_by_a_crash_loses_nothing_else(tools: Toolbox) -> None:
    edit_record(tools.settings, ["a"], {"title": "first"})
    with open(tools.settings.home / "journal" / "stock.jsonl", "ab") as file:
        file.write(b'{"edits": [{"asset_ids": ["a"], "chan')
    edit_record(tools.settings, ["b"], {"title": "second"})
    found = records_of_people(tools.settings)
    assert {one: word.values["title"] for one, word in found.items()} == {
        "a": "first",
        "b": "second",
    }


@pytest.mark.parametrize(
    "entry",
    [
        {"edits": [{"asset_ids": ["a"], "changes": {"mood": "calm"}}], "when": "", "by": ""},
        {"edits": [{"asset_ids": ["a"]}], "when": "", "by": ""},
        {"changes": []},
    ],
)
def test_an_entry_of_a_newer_version_is_refused_with_advice(
    tools: Toolbox, entry: dict[str, Any]
) -> None:
    for journal, read in (("stock", records_of_people), ("shortlist", shortlist.picks)):
        Journal(tools.settings, journal).append(entry)
        with pytest.raises(SchemaMismatch, match=f"The journal {journal} holds .* Update"):
            read(tools.settings)


def test_a_file_that_supersedes_another_keeps_record_and_place_on_the_list(
    tools: Toolbox, library: Handmade
) -> None:
    old = add(library, "old.mov")
    edit_record(tools.settings, [old.asset_id], {"title": "Kept"})
    shortlist.add(tools.settings, [old.asset_id], rating=5)
    new = add(library, "new.mov")
    tools.catalogue.supersede(old.media_id, new.media_id)
    [media] = shortlist.shortlisted(tools.settings, tools.catalogue)
    assert media.media_id == new.media_id
    assert item(tools, media).record.title == "Kept"


def test_records_and_shortlist_outlive_a_lost_catalogue(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    with Toolbox.open(settings) as tools:
        media = add(Handmade(settings.home, tools.catalogue), **FILE)
        tools.derived.write_media(
            media, tools.catalogue.locations_of([media.media_id])[media.media_id]
        )
        edit_record(settings, [media.asset_id], {"title": "Kept"})
        shortlist.add(settings, [media.asset_id], note="for spring")
    (settings.home / "catalogue.db").unlink()
    with Toolbox.open(settings) as tools:
        assert tools.catalogue.all_media() == []
        rebuild_catalogue(tools.catalogue, tools.derived, STAGES, stage_row)
        [found] = shortlist.chosen(tools, [])
        assert found.media_id == media.media_id
        assert item(tools, found).record.title == "Kept"
        assert item(tools, found).record.keywords == ("boat", "harbour")


@pytest.mark.s3
def test_what_one_worker_types_another_reads_from_the_shared_storage(
    bucket: Bucket, tmp_path: Path
) -> None:
    one, two = (Settings(home=tmp_path / name, storage_url=bucket.uri) for name in ("one", "two"))
    edit_record(one, ["a"], {"title": "from one"})
    edit_record(two, ["a"], {"keywords": {"add": ["two"]}})
    word = records_of_people(one)["a"]
    assert (word.values, word.added) == ({"title": "from one"}, {"keywords": ["two"]})


def test_the_shortlist_is_in_the_order_of_adding_and_says_the_last_of_each(tools: Toolbox) -> None:
    shortlist.add(tools.settings, ["a", "b"], rating=3, tags=["spring"], note="soon")
    shortlist.add(tools.settings, ["c"])
    shortlist.add(tools.settings, ["a"], rating=5, tags=["sea", "spring"])
    shortlist.remove(tools.settings, ["b"])
    shortlist.add(tools.settings, ["b"])
    found = shortlist.picks(tools.settings)
    assert list(found) == ["a", "c", "b"]
    assert (found["a"].rating, found["a"].tags, found["a"].note) == (5, ("spring", "sea"), "soon")
    assert (found["b"].rating, found["b"].tags, found["b"].note) == (None, (), "")


def test_those_named_are_chosen_else_the_shortlist_and_nothing_is_an_error(
    tools: Toolbox, library: Handmade
) -> None:
    one, two = add(library, "one.mov"), add(library, "two.mov")
    with pytest.raises(ConfigurationError, match="the shortlist is empty"):
        shortlist.chosen(tools, [])
    shortlist.add(tools.settings, [two.asset_id, one.asset_id, "forgotten"])
    assert shortlist.chosen(tools, []) == [two, one]
    assert shortlist.chosen(tools, ["one", one.media_id, "/library/one.mov"]) == [one]
    with pytest.raises(ConfigurationError, match="No media is known as three"):
        shortlist.chosen(tools, ["one", "three"])
    with pytest.raises(ConfigurationError, match="6 is no rating"):
        shortlist.add(tools.settings, ["a"], rating=6)


def test_items_say_where_the_master_is_now_and_what_is_proven_of_it(
    tools: Toolbox, library: Handmade, tmp_path: Path
) -> None:
    here = tmp_path / "here.mov"
    here.write_bytes(b"a clip")
    [there_id] = library.add(Clip("here.mov", folder=str(tmp_path), probe=CLIP.to_json()))
    gone = add(library, "gone.mov")
    there = tools.catalogue.media([there_id])[there_id]
    found = load_items(tools, [there, gone])
    assert [one.uri for one in found] == [here.as_uri(), ""]
    assert [one.sha256 for one in found] == ["", ""]
    assert all(one.probe.raw == {} for one in found)
    assert found[0].probe.codecs == ("h264", "aac")


def test_a_copy_that_was_written_to_gives_way_to_one_as_it_was(
    tools: Toolbox, tmp_path: Path
) -> None:
    copies = [tmp_path / name for name in ("one.wav", "two.wav")]
    for copy in copies:
        tone(copy, 0.5)
    discover([tmp_path], tools.catalogue, tools.derived, tools.settings)
    [media] = tools.catalogue.all_media()
    for at, copy in enumerate(copies):
        found = item(tools, media)
        assert (found.uri in {one.as_uri() for one in copies[at:]}, found.is_changed) == (
            True,
            False,
        )
        with open(copy, "ab") as file:
            file.write(b"more")
    assert item(tools, media).is_changed


def test_faces_are_counted_by_keyframe_and_unknown_while_nobody_looked(
    tools: Toolbox, library: Handmade
) -> None:
    keyframes = [(0.0, 5.0, axis(0)), (5.0, 9.0, axis(1))]
    faces = [(0, axis(0, 4)), (1, axis(1, 4)), (1, axis(2, 4))]
    probe = CLIP.to_json()
    ids = library.add(
        Clip("two.mov", keyframes=keyframes, faces=faces, probe=probe),
        Clip("none.mov", keyframes=keyframes, probe=probe),
        Clip("never.mov", keyframes=keyframes, probe=probe),
        Clip(
            "sound.flac",
            probe=replace(CLIP, kind=MediaKind.AUDIO, has_video=False).to_json(),
        ),
        Clip("photo.jpg", kind=MediaKind.IMAGE, faces=[], probe=PHOTO.to_json()),
    )
    tools.derived.forget(ids[2], ["face_embeddings.json"])
    media = tools.catalogue.media(ids)
    found = load_items(tools, [media[one] for one in ids])
    assert [one.faces for one in found] == [2, 0, None, None, 0]


def test_faces_that_were_switched_off_are_unknown_not_none(
    tools: Toolbox, library: Handmade
) -> None:
    media = add(library)
    empty = StoredOutcome(
        *(media.media_id, "face_embeddings", State.EMPTY, SWITCHED_OFF),
        *(False, 0, {}, 0, "1", PROVENANCE),
    )
    library.derived.write_outcome(empty, None)
    assert item(tools, media).faces is None


def test_many_are_read_in_their_order_and_told_one_by_one(
    tools: Toolbox, library: Handmade, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(items, "READ_AT_ONCE", 2)
    media = [add(library, f"{name}.mov", title=f"Clip {name}") for name in "ecadb"]
    told: list[tuple[int, str]] = []
    found = load_items(tools, media, progress=lambda done, key: told.append((done, key)))
    assert [one.record.title for one in found] == [f"Clip {name}" for name in "ecadb"]
    assert told == [(at, one.partition_key) for at, one in enumerate(media, 1)]


def test_a_media_that_cannot_be_read_says_why_and_does_not_stop_the_others(
    tools: Toolbox, library: Handmade
) -> None:
    failed, newer, well = (add(library, f"{name}.mov", **FILE) for name in ("a", "b", "c"))
    tools.derived.write_outcome(
        StoredOutcome(
            *(failed.media_id, "probe", State.FAILED, "it is cut short"),
            *(False, 1, {}, 0, "1", PROVENANCE),
        ),
        None,
    )
    path = tools.derived.path(newer.media_id, "probe.json")
    path.write_text(path.read_text().replace('"format": 1', '"format": 99'))
    found = load_items(tools, [failed, newer, well])
    assert [one.record.title for one in found] == ["", "", "Boats"]
    assert found[0].trouble == "it is cut short"
    assert "another version of dam_pipeline" in found[1].trouble
    assert found[2].trouble == ""


def test_a_media_that_was_never_probed_is_an_item_all_the_same(
    tools: Toolbox, library: Handmade
) -> None:
    media = add(library)
    tools.derived.forget(media.media_id, ["probe.json"])
    edit_record(tools.settings, [media.asset_id], {"title": "Early"})
    found = item(tools, media)
    assert (found.record.title, found.probe.container, found.probe.width) == ("Early", "", 0)
