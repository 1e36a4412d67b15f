"""`dam stock check`: the documented form, exit codes, and a library with copies, faces and deliveries."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from dam_pipeline.catalogue.catalogue import open_catalogue
from dam_pipeline.graph.build import build_graph
from dam_pipeline.records import Json, MediaKind
from dam_pipeline.settings import Settings
from dam_pipeline.stock.deliveries import Deliveries, Delivery, DeliveryState
from dam_pipeline.stock.people import edit_record
from dam_pipeline.stock.rules import RULES
from dam_pipeline_tests.handmade import FACES, Clip, Handmade, axis, scenery
from dam_pipeline_tests.processed import dam, dam_json
from dam_pipeline_tests.stock_items import CLIP, PHOTO, probed

HARBOUR, COPY, PORTRAIT = "harbour.mp4", "harbour-web.mp4", "portrait.jpg"
FEED = """
name = "Acme"
version = "1"
verified_on = "2026-11-21"
generated = "accepted"
human_steps = ["Nothing."]
[[sources]]
what = ["title", "keywords", "media"]
where = "by hand"
read_on = "2026-11-21"
confidence = "A"
[title]
is_required = true
max_length = 30
[keywords]
min_count = 2
[media.video]
max_duration_s = 60.0
[media.image]
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A clip, a copy of it for the web, a portrait; and an agency of our own."""
    home, originals = tmp_path / "home", tmp_path / "originals"
    originals.mkdir()
    seen = [(0.0, 30.0, axis(0))]
    files = [
        Clip(HARBOUR, seen, probe=probed(CLIP), prints=scenery(20, 1)),
        Clip(COPY, seen, probe=probed(CLIP, width=1920, height=1080), prints=scenery(20, 1)),
        Clip(PORTRAIT, seen, faces=[(0, axis(1, 4))], probe=probed(PHOTO), kind=MediaKind.IMAGE),
    ]
    with open_catalogue(home) as catalogue:
        library = Handmade(home, catalogue)
        for one in files:
            one.folder, one.sha256 = str(originals), one.media_id * 2
            (originals / one.name).write_bytes(one.name.encode())
        library.add(*files)
        build_graph(library.settings, catalogue, library.derived, "run", {"face": FACES})
    (home / "agencies").mkdir()
    (home / "agencies" / "acme.toml").write_text(FEED)
    monkeypatch.setenv("DAM_HOME", str(home))
    yield home


def say(home: Path, name: str, **said: Json) -> None:
    """Describe a file as a person does."""
    words = {
        "title": f"Boats at dawn, {name[:9]}",
        "keywords": ["sea", "boat"],
        "usage": "commercial",
        "people": 0,
    }
    edit_record(Settings(home=home), [Clip(name).media_id], words | said)


def rules(entry: Json, level: str) -> list[str]:
    """The ids of the rules that spoke on a level."""
    return [one["rule"] for one in entry[level]]


def test_every_finding_of_an_item_that_nobody_described_is_told_in_the_documented_form(
    home: Path,
) -> None:
    result = dam("stock", "check", "--agency", "acme", "harbour-web", "--json")
    assert result.exit_code == 3
    [entry] = json.loads(result.stdout)
    assert list(entry) == ["media_id", "errors", "warnings", "fixes"]
    assert entry["media_id"] == Clip(COPY).media_id
    assert set(entry["errors"][0]) == {"rule", "message", "fix"}
    assert set(entry["fixes"][0]) == {"rule", "message", "before", "after"}
    assert rules(entry, "errors") == ["text-missing", "keywords-too-few"]
    assert rules(entry, "warnings") == ["usage-missing"]


def test_an_item_that_is_described_is_well_and_told_what_is_mended(home: Path) -> None:
    say(home, HARBOUR, title="Fishing boats leave the harbour at dawn")
    [entry] = dam_json(
        "stock", "check", "--agency", "acme", str(home.parent / "originals" / HARBOUR)
    )
    assert (entry["errors"], entry["warnings"]) == ([], [])
    (cut,) = [one for one in entry["fixes"] if one["rule"] == "text-too-long"]
    assert cut["after"] == "Fishing boats leave"


def test_a_copy_in_the_same_batch_and_faces_without_a_release_are_found(home: Path) -> None:
    say(home, HARBOUR)
    say(home, COPY)
    say(home, PORTRAIT, people=None)
    keys = [one["partition_key"] for one in dam_json("status")["media"]]
    result = dam("stock", "check", "--agency", "acme", "--json", *keys)
    by_id = {one["media_id"]: one for one in json.loads(result.stdout)}
    assert result.exit_code == 3
    for name in (HARBOUR, COPY):
        assert rules(by_id[Clip(name).media_id], "warnings") == ["near-duplicate"]
    assert rules(by_id[Clip(PORTRAIT).media_id], "errors") == ["model-release-missing"]


def test_without_media_the_shortlist_is_checked_and_an_empty_one_is_wrong_use(home: Path) -> None:
    empty = dam("stock", "check", "--agency", "acme")
    assert (empty.exit_code, "shortlist is empty" in empty.stderr) == (2, True)
    dam("stock", "shortlist", "add", "portrait")
    say(home, PORTRAIT)
    [entry] = dam_json("stock", "check", "--agency", "acme")
    assert entry["media_id"] == Clip(PORTRAIT).media_id
    assert rules(entry, "warnings") == ["faces-denied"]


def test_what_is_delivered_is_an_error_unless_it_is_to_go_again(home: Path) -> None:
    say(home, HARBOUR)
    media_id = Clip(HARBOUR).media_id
    there = Delivery(
        "acme",
        media_id,
        media_id,
        "sftp://h/",
        "p",
        "media/h.mp4",
        "",
        1,
        "",
        DeliveryState.VERIFIED,
    )
    Deliveries(Settings(home=home)).record(there)
    words = ("stock", "check", "--agency", "acme", media_id)
    blocked = dam(*words, "--json")
    assert blocked.exit_code == 3
    assert rules(json.loads(blocked.stdout)[0], "errors") == ["already-delivered"]
    assert dam_json(*words, "--again")[0]["errors"] == []
    assert dam_json("stock", "check", "--agency", "generic", media_id)[0]["errors"] == []


def test_people_read_what_to_do_below_each_item(home: Path) -> None:
    result = dam("stock", "check", "--agency", "acme", "portrait")
    key = Clip(PORTRAIT).media_id[:12]
    assert result.stdout.startswith(f"portrait-{key}\n  error    model-release-missing: 1 person")
    assert f"→ dam stock edit portrait-{key} --model-release FILE" in result.stdout
    assert "1 items, 0 to be packaged, 1 left out" in result.stderr


def test_an_agency_is_asked_for_and_an_unknown_one_is_wrong_use(home: Path) -> None:
    assert dam("stock", "check", "portrait").exit_code == 2
    unknown = dam("stock", "check", "--agency", "acne", "portrait")
    assert (unknown.exit_code, "acme" in unknown.stderr) == (2, True)


def test_all_rules_are_listed_without_a_library() -> None:
    assert [one["rule"] for one in dam_json("stock", "check", "--rules")] == [
        one.id for one in RULES
    ]
    assert "usage-missing" in dam("stock", "check", "--rules").stdout
