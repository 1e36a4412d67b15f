"""`dam stock shortlist`, `edit` and `show`: what people say is told, kept and never changed behind them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dam_pipeline.catalogue.catalogue import open_catalogue
from dam_pipeline.cli.stock_wording import value_text
from dam_pipeline_tests.handmade import Clip, Handmade, axis
from dam_pipeline_tests.processed import dam, dam_json
from dam_pipeline_tests.stock_items import CLIP

REEL = CLIP.to_json() | {
    "title": "A reel",
    "keywords": ["sea"],
    "created_at": "2026-03-01T12:00:00",
}
TAPE = CLIP.to_json() | {"gps": {"lat": 38.7139, "lon": -9.1394}, "camera": None}
EMPTY_RECORD = {
    **dict.fromkeys(("title", "description", "category", "usage"), ""),
    **dict.fromkeys(("date", "creator", "copyright"), ""),
    **dict.fromkeys(("place", "people", "price_usd"), None),
    **dict.fromkeys(("is_generated", "is_mature", "is_illustration"), None),
    **{"keywords": [], "releases": [], "categories": {}},
}


@pytest.fixture
def home(dam_home: Path) -> Iterator[Path]:
    """A library of two clips, `reel` and `quiet harbour`, and a sound that nothing is known of."""
    with open_catalogue(dam_home) as catalogue:
        Handmade(dam_home, catalogue).add(
            Clip("reel.mov", probe=REEL, keyframes=[(0.0, 9.0, axis(0))], faces=[(0, axis(0, 4))]),
            Clip("quiet harbour.mov", probe=TAPE),
            Clip("memo.mov", probe=CLIP.to_json() | {"created_at": None, "has_video": False}),
        )
    yield dam_home


def record(reference: str) -> dict[str, Any]:
    return dam_json("stock", "show", reference)[0]["record"]


def journal(home: Path, name: str = "stock") -> list[Any]:
    path = home / "journal" / f"{name}.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_show_tells_the_whole_record_and_who_says_what(home: Path) -> None:
    [shown] = dam_json("stock", "show", "memo")
    assert shown["record"] == EMPTY_RECORD
    assert (shown["said_by"], shown["faces"], shown["shortlist"]) == ({}, None, None)
    assert shown["deliveries"] == []
    [shown] = dam_json("stock", "show", "reel")
    said = {"title": "A reel", "keywords": ["sea"], "people": 1, "date": "2026-03-01T12:00:00"}
    assert shown["record"] == EMPTY_RECORD | said
    assert shown["said_by"] == {
        "title": "file",
        "keywords": "file",
        "people": "faces",
        "date": "probe",
    }
    keys = {"field", "value", "source", "confidence", "evidence", "warning"}
    assert all(set(one) == keys for one in shown["suggestions"])
    assert {one["field"]: one["source"] for one in shown["suggestions"]}["people"] == "faces"


def test_show_reads_like_a_page(home: Path) -> None:
    dam("stock", "shortlist", "add", "reel", "--rating", "4")
    told = dam("stock", "show", "reel", "quiet").stdout
    assert "on the shortlist ★★★★" in told
    assert "Lisbon, Portugal" in told
    assert "gazetteer" in told
    assert "--accept FIELD" in told


def test_everything_that_can_be_said_is_kept(home: Path, tmp_path: Path) -> None:
    release, deed = tmp_path / "anna.pdf", tmp_path / "deed=old.pdf"
    release.write_bytes(b"signed")
    deed.write_bytes(b"deed")
    words = {
        "--title": "Falcon above the sea",
        "--description": "A falcon.\nAbove the sea.",
        "--keywords": "falcon, sea,bird, Falcon",
        "--release": f"Anna={release}",
        "--property-release": str(deed),
        "--place": "Sines, Setúbal",
        "--country": "pt",
        "--date": "2026-02-28",
        "--people": "2",
        "--price": "49",
        "--creator": "Ada",
        "--copyright": "© Ada",
    }
    options = [part for pair in words.items() for part in pair]
    flags = ["--commercial", "--not-generated", "--mature", "--not-illustration"]
    categories = ["--category", "Animals", "--category", "shutterstock=Nature"]
    [done] = dam_json("stock", "edit", "reel", *options, *flags, *categories)
    kept = record("reel")
    assert done["record"] == kept
    assert set(done["said_by"].values()) == {"person"}
    assert [(one["kind"], one["path"], one["name"]) for one in kept.pop("releases")] == [
        ("model", str(release), "Anna"),
        ("property", str(deed), ""),
    ]
    assert kept == {
        "title": "Falcon above the sea",
        "description": "A falcon.\nAbove the sea.",
        "keywords": ["falcon", "sea", "bird"],
        "category": "Animals",
        "categories": {"shutterstock": "Nature"},
        "usage": "commercial",
        "place": {
            "city": "Sines",
            "region": "Setúbal",
            "country": "Portugal",
            "country_code": "PT",
        },
        "date": "2026-02-28",
        "people": 2,
        "is_generated": False,
        "is_mature": True,
        "is_illustration": False,
        "price_usd": 49.0,
        "creator": "Ada",
        "copyright": "© Ada",
    }


def test_several_media_get_the_same_words_in_one_entry(home: Path) -> None:
    done = dam_json("stock", "edit", "reel", "quiet", "memo", "--editorial", "--creator", "Ada")
    assert [one["record"]["usage"] for one in done] == ["editorial"] * 3
    assert done[0]["changed"] == {
        "usage": {"before": "", "after": "editorial"},
        "creator": {"before": "", "after": "Ada"},
    }
    assert len(journal(home)) == 1


def test_a_dry_run_tells_the_same_and_changes_nothing(home: Path) -> None:
    words = ("stock", "edit", "reel", "quiet", "--title", "Planned", "--accept", "all")
    before = {path: path.stat().st_mtime_ns for path in (home / "derived").rglob("*")}
    planned = dam_json(*words, "--dry-run")
    assert journal(home) == []
    assert record("reel")["title"] == "A reel"
    assert "Nothing was changed" in dam(*words, "--dry-run").stderr
    assert dam_json(*words) == planned
    assert record("reel")["title"] == "Planned"
    assert {path: path.stat().st_mtime_ns for path in (home / "derived").rglob("*")} == before


def test_accepted_suggestions_become_a_persons_words(home: Path) -> None:
    [done] = dam_json("stock", "edit", "quiet", "--accept", "title,keywords")
    assert done["record"]["title"] == "Quiet harbour"
    assert done["record"]["keywords"] == ["Lisbon", "Portugal"]
    assert (done["said_by"]["title"], done["said_by"]["keywords"]) == ("person", "person")
    [done] = dam_json("stock", "edit", "reel", "--accept", "title", "--add-keywords", "kite")
    assert done["left_out"] == {"title": "the file says it already"}
    assert done["record"]["keywords"] == ["sea", "kite"]


def test_typed_keywords_come_before_accepted_ones(home: Path) -> None:
    [done] = dam_json("stock", "edit", "quiet", "--accept", "keywords", "--keywords", "tide,lisbon")
    assert done["record"]["keywords"] == ["tide", "lisbon", "Portugal"]


def test_keywords_that_are_taken_away_are_not_accepted_with_the_others(home: Path) -> None:
    words = ("--accept", "keywords", "--remove-keywords", "LISBON")
    [done] = dam_json("stock", "edit", "quiet", *words)
    assert done["record"]["keywords"] == ["Portugal"]
    dam("stock", "edit", "quiet", "--accept", "keywords")
    assert record("quiet")["keywords"] == ["Portugal"]


def test_accepting_less_sure_suggestions_has_to_be_asked_for(home: Path) -> None:
    [done] = dam_json("stock", "edit", "quiet", "--accept", "title", "--at-least", "0.4")
    assert done["record"]["title"] == ""
    assert done["left_out"]["title"].startswith("the best suggestion, 'Quiet harbour', has")
    assert journal(home) == []


def test_words_are_taken_back(home: Path) -> None:
    dam("stock", "edit", "reel", "--title", "Mine", "--people", "7", "--remove-keywords", "sea")
    assert record("reel")["keywords"] == []
    dam("stock", "edit", "reel", "--clear", "title,people", "--clear", "keywords")
    kept = record("reel")
    assert (kept["title"], kept["people"], kept["keywords"]) == ("A reel", 1, ["sea"])


def test_a_category_in_no_list_is_kept_and_told(home: Path) -> None:
    words = ("--category", "Animls", "--category", "shutterstock=Nonsense")
    told = " ".join(dam("stock", "edit", "reel", *words).stderr.split())
    assert "note: Shutterstock has no category 'Nonsense'." in told
    assert "note: No agency has a category 'Animls'. Nearest: Animals" in told
    assert record("reel")["category"] == "Animls"
    known = dam("stock", "edit", "reel", "--category", "Animals", "--category", "shutterstock=")
    assert "note" not in known.stderr


def test_only_what_changes_is_told_and_counted(home: Path) -> None:
    result = dam("stock", "edit", "quiet", "memo", "--accept", "keywords")
    assert "Kept for 1 media" in result.stderr
    assert result.stdout.count("before") == 1
    result = dam("stock", "edit", "memo", "--accept", "keywords")
    assert "Nothing was changed" in result.stderr
    assert "before" not in result.stdout


def test_many_keywords_are_told_in_short_and_one_with_a_comma_in_quotes() -> None:
    words = ["Lisbon, Portugal", *(f"word {at}" for at in range(9_999))]
    told = value_text(words)
    assert told.startswith('"Lisbon, Portugal", word 0, ')
    assert told.endswith("word 48, … and 9,950 more")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["reel"], "Nothing is said"),
        (["reel", "--country", "Portugl"], "Did you mean Portugal"),
        (["reel", "--date", "soon"], "is no date"),
        (["reel", "--people", "-1"], "--people"),
        (["reel", "--price", "-3"], "--price"),
        (["reel", "--release", "no-such.pdf"], "cannot be read"),
        (["reel", "--keywords", "a", "--add-keywords", "b"], "give it alone"),
        (["reel", "--category", "A", "--category", "B"], "give one category"),
        (["reel", "--clear", "stars"], "stars is no field"),
        (["reel", "--accept", "stars"], "Nothing is suggested for stars"),
        (["reel", "nobody", "--title", "x"], "No media is known as nobody"),
        (["reel", "--title", "x", "--clear", "title"], "title: say something or --clear it"),
        (["reel", "--accept", "all", "--clear", "keywords"], "keywords: say something or --clear"),
        (["reel", "--category", "acme=Nature"], "There is no agency 'acme'. There are adobe-stock"),
        (["reel", "--remove-release", "no.pdf"], "no.pdf is no release of these media"),
    ],
)
def test_wrong_words_are_wrong_use_and_change_nothing(
    home: Path, words: list[str], message: str
) -> None:
    result = dam("stock", "edit", *words)
    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())
    assert journal(home) == []


def test_the_shortlist_is_added_to_filtered_and_taken_from(home: Path) -> None:
    dam("stock", "shortlist", "add", "quiet", "--rating", "2", "--tag", "Spring")
    [added] = dam_json("stock", "shortlist", "add", "reel", "--rating", "5", "--note", "first")
    assert (added["name"], added["rating"], added["tags"], added["note"]) == (
        *("reel.mov", 5),
        *([], "first"),
    )

    assert "Nothing of this kind" in dam("stock", "shortlist", "list", "--kind", "image").stderr

    def names(*words: str) -> list[str]:
        return [one["name"] for one in dam_json("stock", "shortlist", *words)]

    assert names() == names("list") == ["quiet harbour.mov", "reel.mov"]
    assert names("--rating", "3") == ["reel.mov"]
    assert names("list", "--tag", "spring", "--kind", "video") == ["quiet harbour.mov"]
    assert names("list", "--kind", "image") == []
    removed = dam_json("stock", "shortlist", "remove", "quiet", "memo")
    assert [one["partition_key"].rpartition("-")[0] for one in removed] == ["quiet-harbour"]
    assert names() == ["reel.mov"]
    assert [entry["do"] for entry in journal(home, "shortlist")] == ["add", "add", "remove"]


def test_a_rating_of_six_stars_is_wrong_use(home: Path) -> None:
    assert dam("stock", "shortlist", "add", "reel", "--rating", "6").exit_code == 2
    assert dam("stock", "shortlist", "remove").exit_code == 2
    assert journal(home, "shortlist") == []
