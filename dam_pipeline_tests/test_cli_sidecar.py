"""`dam sidecar`: people's words go to sidecars and come back, originals stay, nothing goes in circles."""

import hashlib
import json
import os
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from clips import exiftool
from PIL import Image

from dam_pipeline.catalogue.discovery import Discovery, discover
from dam_pipeline.catalogue.rebuilding import rebuild_catalogue
from dam_pipeline.identity import uri_to_path
from dam_pipeline.media.exif_writer import ExifWriter
from dam_pipeline.records import Provenance, State, StoredOutcome
from dam_pipeline.settings import load_settings
from dam_pipeline.sidecars import syncing
from dam_pipeline.sidecars.packet import changed_packet, read_packet
from dam_pipeline.sidecars.syncing import TRIES, Options, synchronise
from dam_pipeline.stages.engine import run_stages
from dam_pipeline.stages.recording import stage_row
from dam_pipeline.stages.work import Toolbox
from dam_pipeline.stock import shortlist
from dam_pipeline.stock.items import load_items
from dam_pipeline.stock.people import edit_record
from dam_pipeline.stock.record import Item
from dam_pipeline.tagging.people import add_tags, remove_tags
from dam_pipeline.tagging.vocabulary import open_vocabulary, plain
from dam_pipeline_tests.places import as_ordinary_user
from dam_pipeline_tests.processed import dam, dam_json
from dam_pipeline_tests.sidecar_styles import DARKTABLE, LIGHTROOM

KEYS = {"media_id", "partition_key", "sidecar", "exists", "fields", "written", "taken", "conflicts"}


@dataclass
class Photos:
    """A folder of photographs that the library of the environment knows."""

    folder: Path

    def add(self, name: str) -> Path:
        """A photograph of its own colour."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        red = len(list(self.folder.rglob("*"))) * 7 % 256
        Image.new("RGB", (64, 48), (red, 90, 200)).save(path)
        return path

    def ingest(self) -> Discovery:
        """Look at the folder and probe what is new or has other sidecars."""
        with Toolbox.open(load_settings()) as tools:
            found = discover([self.folder], tools.catalogue, tools.derived, tools.settings)
            ids = [one.media_id for one in tools.catalogue.all_media()]
            run_stages(tools, ids, ("probe",), "run-1")
        return found

    def item(self, path: Path) -> Item:
        """The photograph as stock sees it."""
        with Toolbox.open(load_settings()) as tools:
            return load_items(tools, [tools.catalogue.find(str(path))])[0]

    def edit(self, path: Path, **changes: object) -> None:
        """A person types into the photograph's record."""
        edit_record(load_settings(), [self.item(path).media.asset_id], changes)

    def probed_at(self, path: Path) -> str:
        """When the photograph was last probed."""
        with Toolbox.open(load_settings()) as tools:
            media = tools.catalogue.find(str(path))
            return tools.catalogue.states.of([media.media_id])[media.media_id]["probe"].updated_at


@pytest.fixture
def photos(tmp_path: Path, dam_home: Path) -> Photos:
    return Photos(tmp_path / "photos")


@pytest.fixture(scope="module")
def with_words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A photograph with a title and keywords embedded by exiftool."""
    path = tmp_path_factory.mktemp("made") / "made.jpg"
    Image.new("RGB", (64, 48), (250, 90, 200)).save(path)
    exiftool("-XMP-dc:Title=Embedded", "-IPTC:Keywords=lake", "-IPTC:Keywords=boats", path)
    return path


@pytest.fixture
def photo(photos: Photos, with_words: Path) -> Path:
    """One photograph with words of its own embedded, known to the library."""
    photos.folder.mkdir()
    path = Path(shutil.copy2(with_words, photos.folder / "IMG_1.jpg"))
    photos.ingest()
    return path


def tree(*folders: Path) -> dict[str, str]:
    """Every file below folders with a hash of its bytes and its time of change."""
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    return {
        str(one): f"{hashlib.sha256(one.read_bytes()).hexdigest()} {one.stat().st_mtime_ns}"
        for one in files
        if "scratch" not in one.parts and ".db" not in one.name
    }


def other_program(sidecar: Path, **changes: object) -> None:
    """Another program changes fields of a sidecar."""
    content = sidecar.read_bytes()
    sidecar.write_bytes(changed_packet(content, changes, list(changes), {}))  # type: ignore[arg-type]


def verdicts(document: list[dict]) -> dict[str, str]:
    return {one["field"]: one["verdict"] for one in document[0]["fields"]}


def words(photos: Photos, path: Path) -> tuple[str, ...]:
    return photos.item(path).record.keywords


def tags_of(path: Path) -> dict[str, str]:
    return {one["label"]: one["source"] for one in dam_json("tag", "list", str(path))["tags"]}


# Writing


def test_what_a_person_said_is_written_beside_and_the_original_stays(
    photos: Photos, photo: Path
) -> None:
    before = tree(photos.folder)
    photos.edit(photo, title="Harbour", place={"city": "Porto", "country": "PT"}, creator="Ada")
    dam("tag", "add", str(photo), "falcon", "golden hour")
    (found,) = dam_json("sidecar", "write", str(photo), "--beside")
    assert set(found) == {*KEYS, "error"}
    sidecar = photo.with_name("IMG_1.jpg.xmp")
    assert uri_to_path(found["sidecar"]) == sidecar
    assert {"title", "keywords", "city", "country", "country_code", "creator"} == set(
        found["written"]
    )
    with ExifWriter() as reader:
        tags = reader.read(sidecar, ["XMP:all"])
    assert tags["XMP-dc:Title"] == "Harbour"
    assert tags["XMP-dc:Subject"] == ["lake", "boats", "falcon", "golden hour"]
    assert tags["XMP-lr:HierarchicalSubject"] == [
        "water|lake",
        "boats",
        "animal|bird|falcon",
        "golden hour",
    ]
    assert tags["XMP-photoshop:Country"] == "Portugal"
    assert tree(photos.folder) | before == tree(photos.folder)
    assert len(tree(photos.folder)) == 2


def test_without_a_place_sidecars_go_below_the_home_and_mirror_the_paths(
    photos: Photos, photo: Path, dam_home: Path, tmp_path: Path
) -> None:
    before = tree(photos.folder)
    photos.edit(photo, title="Harbour")
    (found,) = dam_json("sidecar", "write", str(photo))
    inside = str(photo).lstrip("/") + ".xmp"
    assert uri_to_path(found["sidecar"]) == dam_home / "sidecars" / inside
    (found,) = dam_json("sidecar", "write", str(photo), "--out", str(tmp_path / "out"))
    assert read_packet((tmp_path / "out" / inside).read_bytes())["title"] == "Harbour"
    assert tree(photos.folder) == before


@pytest.mark.parametrize("content", ["", LIGHTROOM])
def test_nothing_is_written_where_nobody_said_anything(
    photos: Photos, photo: Path, content: str
) -> None:
    if content:
        photo.with_suffix(".xmp").write_text(content)
    before = tree(photos.folder)
    (found,) = dam_json("sidecar", "write", "--all", "--beside")
    assert (found["written"], found["conflicts"], found["exists"]) == ([], [], bool(content))
    assert tree(photos.folder) == before


def test_a_models_words_are_never_written(photos: Photos, photo: Path) -> None:
    with Toolbox.open(load_settings()) as tools:
        media = tools.catalogue.find(str(photo))
        provenance = Provenance("1", "", {}, "run", "2026-01-01", 0.0, {})
        result = {"terms": {"owl": 0.99}, "colours": {"blue": 0.9}}
        seen = StoredOutcome(
            media.media_id, "tags", State.DONE, "", False, 1, result, 0, "v", provenance
        )
        tools.derived.write_outcome(seen, None)
    dam("tag", "add", str(photo), "falcon")
    dam_json("sidecar", "write", str(photo), "--beside")
    found = read_packet(photo.with_name("IMG_1.jpg.xmp").read_bytes())
    assert found["keywords"] == ("lake", "boats", "falcon")


def test_a_dry_run_and_a_diff_change_nothing_at_all(
    photos: Photos, photo: Path, dam_home: Path
) -> None:
    photo.with_suffix(".xmp").write_text(LIGHTROOM)
    photos.edit(photo, title="Quay", description="Boats.")
    before = tree(photos.folder, dam_home)
    for command in ("diff", "merge --dry-run", "write --dry-run"):
        found = json.loads(
            dam("sidecar", *command.split(), str(photo), "--beside", "--json").stdout
        )
        assert verdicts(found)["description"] == "write"
        assert verdicts(found)["city"] == "take"
        assert verdicts(found)["title"] == "conflict"
        assert (found[0]["written"], found[0]["taken"]) == ([], [])
    assert tree(photos.folder, dam_home) == before


def test_a_folder_that_cannot_be_written_is_named_with_the_way_out(
    photos: Photos, photo: Path
) -> None:
    photos.edit(photo, title="Harbour")
    photos.folder.chmod(0o555)
    with as_ordinary_user():
        result = dam("sidecar", "write", str(photo), "--beside")
    photos.folder.chmod(0o755)
    assert result.exit_code == 3
    assert "IMG_1.jpg.xmp cannot be written" in result.stderr
    assert "--out DIR" in result.stderr
    assert os.listdir(photos.folder) == ["IMG_1.jpg"]


@pytest.mark.parametrize(
    "options",
    ["", "IMG_1 --all", "IMG_1 --beside --out x", "IMG_1 --ours --theirs", "no-such-media"],
)
def test_what_cannot_be_meant_is_wrong_use(photos: Photos, photo: Path, options: str) -> None:
    assert dam("sidecar", "merge", *options.split()).exit_code == 2


def test_a_media_that_was_never_probed_and_a_broken_sidecar_do_not_stop_the_others(
    photos: Photos, photo: Path
) -> None:
    broken = photos.add("broken.jpg")
    photos.ingest()
    broken.with_suffix(".xmp").write_text(LIGHTROOM[:900])
    never = photos.add("never.jpg")
    with Toolbox.open(load_settings()) as tools:
        discover([photos.folder], tools.catalogue, tools.derived, tools.settings)
    for one in (photo, broken):
        photos.edit(one, title="Harbour")
    result = dam("sidecar", "write", "--all", "--beside", "--json")
    assert result.exit_code == 3
    errors = {one["partition_key"].split("-")[0]: one["error"] for one in json.loads(result.stdout)}
    assert errors["img_1"] == ""
    assert "never probed" in errors["never"]
    assert "no whole XML" in errors["broken"]
    assert broken.with_suffix(".xmp").read_text() == LIGHTROOM[:900]
    assert never.exists()


def test_a_file_that_can_never_be_probed_is_told_with_its_reason_where_somebody_spoke_of_it(
    photos: Photos,
) -> None:
    for name in ("silent.jpg", "spoken.jpg"):
        (photos.folder / name).parent.mkdir(exist_ok=True)
        (photos.folder / name).write_bytes(b"no picture " + name.encode())
    photos.ingest()
    assert dam("sidecar", "write", "--all", "--beside").exit_code == 0
    photos.edit(photos.folder / "spoken.jpg", title="Harbour")
    result = dam("sidecar", "write", "--all", "--beside")
    assert result.exit_code == 3
    told = result.stderr.splitlines()
    assert told[-1] == "2 looked at, 0 differ. 1 failed"
    assert "spoken-" in told[0]
    assert "not a picture as its name says" in told[0]
    assert "retry" not in result.stderr
    assert "silent" not in result.stderr


@pytest.mark.parametrize("name", [b"line\nbreak.jpg", b"latin-\xe9.jpg", "é🎬 \"'[b].jpg".encode()])
def test_odd_names_get_their_sidecar(photos: Photos, name: bytes) -> None:
    path = Path(os.fsdecode(os.path.join(os.fsencode(photos.folder), name)))
    photos.add("plain.jpg").rename(path)
    photos.ingest()
    with Toolbox.open(load_settings()) as tools:
        (media,) = tools.catalogue.all_media()
    edit_record(load_settings(), [media.asset_id], {"title": "Harbour"})
    assert dam("sidecar", "write", media.media_id, "--beside").exit_code == 0
    assert os.listdir(os.fsencode(photos.folder)).count(name + b".xmp") == 1
    assert dam("sidecar", "diff", media.media_id, "--beside").exit_code == 0


def test_a_name_without_room_for_an_ending_has_its_sidecar_in_a_folder(
    photos: Photos, tmp_path: Path
) -> None:
    path = photos.add("x" * 250 + ".jpg")
    photos.ingest()
    photos.edit(path, title="Harbour")
    result = dam("sidecar", "write", "--all", "--beside")
    assert result.exit_code == 3
    assert "File name too long" in result.stderr
    assert "--out DIR" in result.stderr
    (found,) = dam_json("sidecar", "write", "--all", "--out", str(tmp_path / "out"))
    assert uri_to_path(found["sidecar"]).name == f"{found['partition_key']}.xmp"


def test_of_a_raw_photograph_and_its_jpeg_each_has_its_own(photos: Photos) -> None:
    photo = photos.add("IMG_2.jpg")
    (photos.folder / "IMG_2.nef").write_bytes(b"not looked into here")
    lightrooms = photos.folder / "IMG_2.xmp"
    lightrooms.write_text(LIGHTROOM)
    photos.ingest()
    photos.edit(photo, title="The JPEG's")
    dam_json("sidecar", "write", str(photo), "--beside")
    assert lightrooms.read_text() == LIGHTROOM
    assert read_packet((photos.folder / "IMG_2.jpg.xmp").read_bytes())["title"] == "The JPEG's"


# Back again


def test_a_sidecar_that_was_written_is_probed_once_and_then_all_is_still(
    photos: Photos, photo: Path
) -> None:
    photos.edit(photo, title="Harbour")
    dam("tag", "add", str(photo), "falcon")
    dam_json("sidecar", "merge", str(photo), "--beside")
    first = photos.probed_at(photo)
    assert len(photos.ingest().sidecars) == 1
    assert photos.probed_at(photo) > first
    seen, probed = tree(photos.folder), photos.probed_at(photo)
    for command in ("merge", "write", "diff"):
        (found,) = dam_json("sidecar", command, str(photo), "--beside")
        assert (found["fields"], found["written"], found["taken"]) == ([], [], [])
        assert photos.ingest().sidecars == ()
    assert (tree(photos.folder), photos.probed_at(photo)) == (seen, probed)


def test_our_own_words_read_back_are_still_a_persons_and_there_once(
    photos: Photos, photo: Path
) -> None:
    photos.edit(photo, title="Harbour")
    dam("tag", "add", str(photo), "falcon")
    dam_json("sidecar", "merge", str(photo), "--beside")
    journals = tree(load_settings().home / "journal")
    photos.ingest()
    dam_json("sidecar", "merge", str(photo), "--beside")
    item = photos.item(photo)
    assert (item.record.title, item.said_by["title"]) == ("Harbour", "person")
    assert words(photos, photo) == ("lake", "boats", "falcon")
    assert tags_of(photo)["falcon"] == "person"
    assert tree(load_settings().home / "journal") == journals


def test_a_tag_that_was_taken_away_goes_from_the_sidecar_and_stays_away(
    photos: Photos, photo: Path
) -> None:
    dam("tag", "add", str(photo), "falcon", "owl")
    dam_json("sidecar", "merge", str(photo), "--beside")
    photos.ingest()
    dam("tag", "remove", str(photo), "owl", "lake")
    dam_json("sidecar", "merge", str(photo), "--beside")
    photos.ingest()
    assert dam_json("sidecar", "merge", str(photo), "--beside")[0]["fields"] == []
    sidecar = photo.with_name("IMG_1.jpg.xmp")
    assert read_packet(sidecar.read_bytes())["keywords"] == ("boats", "falcon")
    assert b"owl" not in sidecar.read_bytes()


# What other programs say

PLACES: dict[str, Callable[[Path], list[str]]] = {
    "beside": lambda _folder: ["--beside"],
    "folder": lambda folder: ["--out", str(folder / "out")],
}


@pytest.mark.parametrize("where", PLACES)
def test_what_another_program_changed_becomes_the_librarys(
    photos: Photos, photo: Path, tmp_path: Path, where: str
) -> None:
    options = PLACES[where](tmp_path)
    photos.edit(photo, title="Harbour", description="Boats.", date="2026-03-01")
    dam("tag", "add", str(photo), "falcon")
    sidecar = uri_to_path(dam_json("sidecar", "merge", str(photo), *options)[0]["sidecar"])
    other_program(
        sidecar,
        title="Quay",
        keywords=("boats", "falcon", "Eule", "new word"),
        city="Porto",
        date="2026-03-02T10:00:00.55",
        copyright="© Ada",
    )
    (found,) = dam_json("sidecar", "merge", str(photo), *options)
    assert set(found["taken"]) == {"title", "keywords", "city", "date", "copyright"}
    assert found["written"] == []
    photos.ingest()
    record = photos.item(photo).record
    assert (record.title, record.description, record.copyright) == ("Quay", "Boats.", "© Ada")
    assert record.place
    assert (record.place.city, record.date[:19]) == ("Porto", "2026-03-02T10:00:00")
    assert set(record.keywords) >= {"boats", "Eule", "new word"}
    assert "lake" not in record.keywords
    found = tags_of(photo)
    assert {"owl", "new word", "falcon"} <= set(found)
    assert "lake" not in found
    seen = sidecar.read_bytes()
    assert dam_json("sidecar", "merge", str(photo), *options)[0]["fields"] == []
    assert sidecar.read_bytes() == seen


@pytest.mark.parametrize("where", PLACES)
def test_a_keyword_that_another_program_took_away_goes_from_here(
    photos: Photos, photo: Path, tmp_path: Path, where: str
) -> None:
    options = PLACES[where](tmp_path)
    dam("tag", "add", str(photo), "falcon")
    photos.edit(photo, keywords={"add": ["quay"]})
    sidecar = uri_to_path(dam_json("sidecar", "merge", str(photo), *options)[0]["sidecar"])
    other_program(sidecar, keywords=("lake",))
    dam_json("sidecar", "merge", str(photo), *options)
    photos.ingest()
    assert words(photos, photo) == ("lake",)
    assert set(tags_of(photo)) == {"lake", "water"}
    assert dam_json("sidecar", "merge", str(photo), *options)[0]["fields"] == []


def test_both_sides_keywords_come_together(photos: Photos, photo: Path) -> None:
    photos.edit(photo, keywords=["sea", "boats", "quay"])
    (found,) = dam_json("sidecar", "merge", str(photo), "--beside")
    sidecar = uri_to_path(found["sidecar"])
    other_program(sidecar, keywords=("boats", "clouds", "sea"))
    photos.edit(photo, keywords=["sea", "boats", "quay", "rope"])
    (found,) = dam_json("sidecar", "merge", str(photo), "--beside")
    assert verdicts([found]) == {"keywords": "both"}
    assert words(photos, photo) == ("sea", "boats", "rope", "clouds")
    assert read_packet(sidecar.read_bytes())["keywords"] == ("sea", "boats", "rope", "clouds")


def test_writing_alone_keeps_what_the_other_program_changed_for_the_merge(
    photos: Photos, photo: Path
) -> None:
    photos.edit(photo, title="Harbour", keywords=["sea"])
    sidecar = uri_to_path(dam_json("sidecar", "write", str(photo), "--beside")[0]["sidecar"])
    other_program(sidecar, city="Porto", keywords=("sea", "clouds"))
    photos.edit(photo, title="Quay", keywords=["sea", "rope"])
    (found,) = dam_json("sidecar", "write", str(photo), "--beside")
    assert (set(found["written"]), found["taken"]) == ({"title", "keywords"}, [])
    there = read_packet(sidecar.read_bytes())
    assert (there["title"], there["city"]) == ("Quay", "Porto")
    assert there["keywords"] == ("sea", "rope", "clouds")
    assert words(photos, photo) == ("sea", "rope")
    (found,) = dam_json("sidecar", "merge", str(photo), "--beside")
    assert verdicts([found]) == {"keywords": "take", "city": "take"}
    assert words(photos, photo) == ("sea", "rope", "clouds")


def test_a_conflict_is_told_and_left_alone_until_a_side_is_chosen(
    photos: Photos, photo: Path
) -> None:
    photos.edit(photo, title="Harbour")
    sidecar = uri_to_path(dam_json("sidecar", "write", str(photo), "--beside")[0]["sidecar"])
    other_program(sidecar, title="Quay")
    photos.edit(photo, title="Pier")
    seen = sidecar.read_bytes()
    for command in ("diff", "write", "merge", "merge"):
        result = dam("sidecar", command, str(photo), "--beside")
        assert result.exit_code == 3
        assert "title: conflict" in result.stdout
        assert "library “Pier”, sidecar “Quay”, last “Harbour”" in result.stdout
    assert sidecar.read_bytes() == seen
    assert photos.item(photo).record.title == "Pier"
    dam_json("sidecar", "merge", str(photo), "--beside", "--ours")
    assert read_packet(sidecar.read_bytes())["title"] == "Pier"
    other_program(sidecar, title="Quay")
    photos.edit(photo, title="Jetty")
    dam_json("sidecar", "merge", str(photo), "--beside", "--theirs")
    assert photos.item(photo).record.title == "Quay"
    assert dam_json("sidecar", "diff", str(photo), "--beside")[0]["fields"] == []


LOOKS: dict[str, Callable[[Photos], object]] = {
    "before it is probed": lambda _photos: None,
    "after it was probed": lambda photos: photos.ingest(),
}


@pytest.mark.parametrize("look", LOOKS)
def test_at_first_contact_no_word_of_the_original_or_the_sidecar_is_lost(
    photos: Photos, photo: Path, look: str
) -> None:
    """The original has a title and keywords embedded, and so has what Lightroom put beside it."""
    sidecar = photo.with_suffix(".xmp")
    sidecar.write_text(LIGHTROOM)
    LOOKS[look](photos)
    for command in ("diff", "merge", "merge"):
        result = dam("sidecar", command, str(photo), "--beside", "--json")
        assert result.exit_code == 3
        (found,) = json.loads(result.stdout)
        assert found["conflicts"] == ["title"]
        (title,) = (one for one in found["fields"] if one["field"] == "title")
        assert (title["ours"], title["theirs"]) == ("Embedded", "Harbour")
    there = read_packet(sidecar.read_bytes())
    assert (there["title"], there["keywords"]) == ("Harbour", ("lake", "boats", "sea"))
    for ingest in (lambda: None, photos.ingest):
        ingest()
        assert set(words(photos, photo)) == {"lake", "boats", "sea"}
        assert {"lake", "boats", "sea"} <= set(tags_of(photo))
        record = photos.item(photo).record
        assert record.place
        assert (record.place.city, record.place.country) == ("Porto", "Portugal")
    dam_json("sidecar", "merge", str(photo), "--beside", "--ours")
    assert read_packet(sidecar.read_bytes())["title"] == "Embedded"
    photos.ingest()
    assert photos.item(photo).record.title == "Embedded"
    assert dam_json("sidecar", "diff", str(photo), "--beside")[0]["fields"] == []


def test_a_first_keyword_in_a_sidecar_does_not_hide_those_of_the_original(
    photos: Photos, photo: Path
) -> None:
    """The sidecar had none when it was first brought together, and nobody had said anything."""
    photo.with_suffix(".xmp").write_text(DARKTABLE)
    dam_json("sidecar", "merge", str(photo), "--beside")
    dam("tag", "add", str(photo), "falcon")
    dam_json("sidecar", "merge", str(photo), "--beside")
    photos.ingest()
    assert set(words(photos, photo)) == {"lake", "boats", "falcon"}


def test_of_two_places_no_parts_are_mixed(photos: Photos, photo: Path) -> None:
    photos.edit(photo, place={"city": "Madrid", "country": "ES"})
    sidecar = photo.with_suffix(".xmp")
    sidecar.write_text(LIGHTROOM)
    result = dam("sidecar", "merge", str(photo), "--beside", "--json")
    assert {"city", "country"} <= set(json.loads(result.stdout)[0]["conflicts"])
    other_program(sidecar, region="Norte")
    dam("sidecar", "merge", str(photo), "--beside")
    place = photos.item(photo).record.place
    assert place
    assert (place.city, place.region, place.country) == ("Madrid", "", "Spain")
    dam_json("sidecar", "merge", str(photo), "--beside", "--theirs")
    place = photos.item(photo).record.place
    assert place
    assert (place.city, place.region, place.country) == ("Porto", "Norte", "Portugal")


@pytest.mark.parametrize("where", PLACES)
def test_what_is_taken_over_is_the_librarys_at_once(
    photos: Photos, photo: Path, tmp_path: Path, where: str
) -> None:
    options = PLACES[where](tmp_path)
    photos.edit(photo, description="Boats.")
    sidecar = uri_to_path(dam_json("sidecar", "merge", str(photo), *options)[0]["sidecar"])
    other_program(
        sidecar, title="Quay", city="Porto", source_type="trainedAlgorithmicMedia",
        copyright="© Ada", keywords=("boats", "zebra"),
    )  # fmt: skip
    dam_json("sidecar", "merge", str(photo), *options)
    item = photos.item(photo)
    assert (item.record.title, item.said_by["title"]) == ("Quay", "person")
    assert (item.record.copyright, item.record.is_generated) == ("© Ada", True)
    assert item.record.place
    assert item.record.place.city == "Porto"
    assert item.record.keywords == ("boats", "zebra")
    assert tags_of(photo)["zebra"] == "person"
    assert "lake" not in tags_of(photo)
    other_program(sidecar, title=None)
    dam_json("sidecar", "merge", str(photo), *options)
    assert photos.item(photo).record.title == ""


def test_lightrooms_sidecar_is_joined_and_its_develop_settings_stay(photos: Photos) -> None:
    photo = photos.add("IMG_1.jpg")
    sidecar = photo.with_suffix(".xmp")
    sidecar.write_text(LIGHTROOM)
    photos.ingest()
    photos.edit(photo, description="Boats at rest.")
    (found,) = dam_json("sidecar", "merge", str(photo), "--beside")
    assert uri_to_path(found["sidecar"]) == sidecar
    assert found["written"] == ["description"]
    assert found["taken"] == []
    after = sidecar.read_text()
    kept = [one for one in LIGHTROOM.splitlines() if "MetadataDate" not in one]
    assert [one for one in kept if one not in after.splitlines()] == []
    journal = (load_settings().home / "journal" / "stock.jsonl").read_text()
    assert "Harbour" not in journal  # it is the file's word, and stays that


def test_a_sidecar_that_another_program_wrote_anew_takes_nothing_away(
    photos: Photos, photo: Path
) -> None:
    photos.edit(photo, title="Harbour", keywords=["sea"])
    sidecar = uri_to_path(dam_json("sidecar", "merge", str(photo), "--beside")[0]["sidecar"])
    sidecar.write_text(DARKTABLE)  # says nothing but a rating
    result = dam("sidecar", "merge", str(photo), "--beside")
    assert result.exit_code == 3
    assert "has lost all" in result.stdout
    record = photos.item(photo).record
    assert (record.title, record.keywords) == ("Harbour", ("sea",))
    dam_json("sidecar", "merge", str(photo), "--beside", "--ours")
    written = read_packet(sidecar.read_bytes())
    assert written == {"title": "Harbour", "keywords": ("sea",), "rating": "1"}
    assert "darktable:history" in sidecar.read_text()


def test_paragraphs_that_the_file_and_its_sidecar_share_are_no_conflict(photos: Photos) -> None:
    path = photos.add("two.jpg")
    text = "-XMP-dc:Description=First paragraph.&#10;&#10;Second paragraph."
    exiftool("-E", text, path)
    exiftool("-E", text, "-o", path.with_suffix(".xmp"))
    photos.ingest()
    assert dam("sidecar", "merge", str(path), "--beside").exit_code == 0
    said = read_packet(path.with_suffix(".xmp").read_bytes())
    assert said["description"] == "First paragraph.\n\nSecond paragraph."


def test_a_sidecar_that_was_deleted_is_written_again(photos: Photos, photo: Path) -> None:
    photos.edit(photo, title="Harbour", keywords=["sea"])
    sidecar = uri_to_path(dam_json("sidecar", "merge", str(photo), "--beside")[0]["sidecar"])
    sidecar.unlink()
    (found,) = dam_json("sidecar", "merge", str(photo), "--beside")
    assert set(found["written"]) == {"title", "keywords"}
    assert read_packet(sidecar.read_bytes())["keywords"] == ("sea",)


def test_stars_go_to_the_shortlist_where_it_has_some(photos: Photos, photo: Path) -> None:
    asset_id = photos.item(photo).media.asset_id
    shortlist.add(load_settings(), [asset_id], rating=3)
    sidecar = uri_to_path(dam_json("sidecar", "merge", str(photo), "--beside")[0]["sidecar"])
    assert read_packet(sidecar.read_bytes())["rating"] == "3"
    other_program(sidecar, rating="5")
    dam_json("sidecar", "merge", str(photo), "--beside")
    assert shortlist.picks(load_settings())[asset_id].rating == 5
    other_program(sidecar, rating="-1")
    result = dam("sidecar", "merge", str(photo), "--beside")
    assert result.exit_code == 3
    assert "ratings from 1 to 5" in result.stdout


def test_a_generated_picture_is_disclosed_and_a_camera_is_believed(
    photos: Photos, photo: Path
) -> None:
    photos.edit(photo, is_generated=True)
    sidecar = uri_to_path(dam_json("sidecar", "merge", str(photo), "--beside")[0]["sidecar"])
    assert read_packet(sidecar.read_bytes())["source_type"] == "trainedAlgorithmicMedia"
    other_program(sidecar, source_type="digitalCapture")
    dam_json("sidecar", "merge", str(photo), "--beside")
    assert photos.item(photo).record.is_generated is False
    assert dam_json("sidecar", "diff", str(photo), "--beside")[0]["fields"] == []


def test_what_the_library_cannot_hold_is_a_conflict(photos: Photos, photo: Path) -> None:
    photos.edit(photo, title="Harbour", place={"country": "PT"})
    sidecar = uri_to_path(dam_json("sidecar", "merge", str(photo), "--beside")[0]["sidecar"])
    other_program(sidecar, title="x" * 1500, country="Atlantis")
    result = dam("sidecar", "merge", str(photo), "--beside")
    assert result.exit_code == 3
    assert "Shorten it" in result.stdout
    assert "no country" in result.stdout
    assert photos.item(photo).record.title == "Harbour"


def test_the_library_remembers_what_both_said_after_a_rebuild(
    photos: Photos, photo: Path, dam_home: Path
) -> None:
    photos.edit(photo, keywords=["sea", "boats"])
    sidecar = uri_to_path(dam_json("sidecar", "merge", str(photo), "--beside")[0]["sidecar"])
    (dam_home / "catalogue.db").unlink()
    with Toolbox.open(load_settings()) as tools:
        rebuild_catalogue(tools.catalogue, tools.derived, ("probe",), stage_row)
    other_program(sidecar, keywords=("sea",))
    dam_json("sidecar", "merge", str(photo), "--beside")
    assert words(photos, photo) == ("sea",)


def test_without_the_memory_of_it_words_are_joined_and_texts_that_differ_are_conflicts(
    photos: Photos, photo: Path, dam_home: Path
) -> None:
    """As after a crash before the journal was written, or without it."""
    photos.edit(photo, title="Harbour", keywords=["sea", "boats"])
    sidecar = uri_to_path(dam_json("sidecar", "merge", str(photo), "--beside")[0]["sidecar"])
    (dam_home / "journal" / "sidecars.jsonl").unlink()
    assert dam_json("sidecar", "merge", str(photo), "--beside")[0]["fields"] == []
    (dam_home / "journal" / "sidecars.jsonl").unlink()
    other_program(sidecar, title="Quay", keywords=("sea", "clouds"))
    assert dam("sidecar", "merge", str(photo), "--beside").exit_code == 3
    assert photos.item(photo).record.title == "Harbour"
    assert words(photos, photo) == ("sea", "boats", "clouds")
    there = read_packet(sidecar.read_bytes())
    assert (there["title"], there["keywords"]) == ("Quay", ("sea", "boats", "clouds"))


@pytest.mark.parametrize(("times", "is_done"), [(2, True), (TRIES, False)])
def test_what_another_program_writes_while_it_is_merged_is_not_lost(
    photos: Photos, photo: Path, monkeypatch: pytest.MonkeyPatch, times: int, is_done: bool
) -> None:
    """It writes between reading and putting in place; the sidecar is read and merged again."""
    sidecar = photo.with_suffix(".xmp")
    sidecar.write_text(LIGHTROOM.replace("<dc:title>", "<!--0--><dc:title>"))
    photos.edit(photo, title="Harbour", description="Boats.")
    wrote: list[int] = []

    def meanwhile(*merged: Any) -> bytes:
        content = changed_packet(*merged)
        if len(wrote) < times:
            text, count = sidecar.read_text(), len(wrote)
            assert f"<!--{count}-->" in text
            sidecar.write_text(text.replace(f"<!--{count}-->", f"<!--{count + 1}-->"))
            wrote.append(count)
        return content

    monkeypatch.setattr(syncing, "changed_packet", meanwhile)
    result = dam("sidecar", "merge", str(photo), "--beside")
    assert (result.exit_code == 0) is is_done
    assert ("changed while it was merged" in result.stderr) is not is_done
    assert f"<!--{times}-->" in sidecar.read_text()
    assert ("Boats." in sidecar.read_text()) is is_done


POOL = ("falcon", "Falke", "owl", "Eule", "lake", "quay", "Quay", "rope", "boats", "Boats", "é")


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("where", PLACES)
def test_whatever_both_sides_do_no_word_is_lost_and_a_second_merge_finds_nothing(
    photos: Photos, photo: Path, tmp_path: Path, where: str, seed: int
) -> None:
    chance, settings = random.Random(seed), load_settings()
    options = Options(None if where == "beside" else tmp_path / "out", writes=True, takes=True)
    asset_id, vocabulary = photos.item(photo).media.asset_id, open_vocabulary(settings)
    add_tags(settings, asset_id, ["falcon"], vocabulary)
    with Toolbox.open(settings) as tools:
        media = tools.catalogue.find(str(photo))
        (first,) = synchronise(tools, [media], options)
        assert first.sidecar
        for _ in range(12):
            some = chance.sample(POOL, chance.randint(1, 3))
            before = list(read_packet(first.sidecar.read_bytes()).get("keywords", ()))
            new = [one for one in chance.sample(POOL, 2) if plain(one) not in map(plain, before)]
            kept = [one for one in before if chance.random() > 0.2]
            other_program(first.sidecar, keywords=(*kept, *new, "stays"))
            chance.choice(
                (
                    lambda some=some: edit_record(settings, [asset_id], {"keywords": some}),
                    lambda some=some: edit_record(
                        settings, [asset_id], {"keywords": {"add": some}}
                    ),
                    lambda: edit_record(settings, [asset_id], {"keywords": None}),
                    lambda some=some: add_tags(settings, asset_id, some, vocabulary),
                    lambda some=some: remove_tags(settings, asset_id, some[:1], vocabulary),
                )
            )()
            list(synchronise(tools, [media], options))
            there = read_packet(first.sidecar.read_bytes())["keywords"]
            assert {plain(one) for one in new} <= {plain(one) for one in there}
            (again,) = synchronise(tools, [media], options)
            assert (again.fields, again.error) == ((), "")


def test_filters_choose_media(photos: Photos, photo: Path) -> None:
    other = photos.add("trip/IMG_9.jpg")
    photos.ingest()
    for one in (photo, other):
        photos.edit(one, title="Harbour")
    dam("tag", "add", str(other), "falcon")
    for options in (("--path", "trip/"), ("--tag", "bird")):
        (found,) = dam_json("sidecar", "diff", *options)
        assert found["partition_key"].startswith("img_9")
    assert len(dam_json("sidecar", "diff", "--all")) == 2
