"""Every rule: an item that breaks it, and one just at the limit; each finding says what to do."""

import re
import shlex
from dataclasses import replace

import pytest
import typer

from dam_pipeline.agencies.agency import (
    Agency,
    BatchRules,
    EditorialRules,
    KeywordRules,
    TableRules,
    TextRules,
)
from dam_pipeline.cli.main import app
from dam_pipeline.records import MediaKind
from dam_pipeline.stock.record import Item, Release, Suggestion
from dam_pipeline.stock.rules import RULES
from dam_pipeline_tests.stock_agencies import (
    CAPTION,
    FORTY,
    JPEG,
    LISTED,
    PRORES,
    RAW_PHOTO,
    TITLE,
    agency,
    at_rate,
    changed,
    checked,
    image,
    lasting,
    said,
    sized,
    video,
)
from dam_pipeline_tests.stock_items import clip, photo


def released(count: int, people: int) -> Item:
    """A clip with people and the releases of some of them, whose files are not there."""
    releases = tuple(Release("model", f"/nowhere/{at}.pdf", "") for at in range(count))
    return clip(people=people, releases=releases)


def worded(count: int) -> Item:
    """A clip with so many keywords."""
    return clip(keywords=tuple(f"word{at}" for at in range(count)))


def parse(words: list[str]) -> None:
    """Read the words of a command as `dam` does; raises UsageError for what it does not know."""
    command = typer.main.get_command(app)
    context = command.make_context("dam", words[:1], resilient_parsing=True)
    while hasattr(command, "commands"):
        name, command, words = command.resolve_command(context, words)
        assert command, name
    command.make_context("dam", words)


# Rule, level, who asks, an item that breaks it, one just at the limit.
EXAMPLES: list[tuple[str, str, Agency, Item, Item]] = [
    ("master-missing", "error", agency(), changed(clip(), uri=""), clip()),
    ("master-changed", "error", agency(), changed(clip(), is_changed=True), clip()),
    ("master-superseded", "error", agency(), changed(clip(), media_superseded_by="abc"), clip()),
    ("never-processed", "error", agency(), clip(probe={"container": ""}), clip()),
    (
        "never-processed",
        "error",
        agency(),
        changed(clip(probe={"container": ""}), trouble="it is damaged, cut short."),
        clip(),
    ),
    ("checksum-missing", "error", agency(), changed(clip(), sha256=""), clip()),
    ("usage-missing", "warning", agency(), clip(usage=""), clip(usage="editorial")),
    (
        "editorial-refused",
        "error",
        agency(editorial=EditorialRules(is_accepted=False)),
        clip(usage="editorial"),
        clip(),
    ),
    (
        "editorial-refused",
        "error",
        agency(editorial=EditorialRules(kinds=(MediaKind.IMAGE,))),
        clip(usage="editorial"),
        photo(usage="editorial"),
    ),
    (
        "editorial-refused",
        "error",
        agency(editorial=EditorialRules(allows_people=False)),
        clip(usage="editorial", people=1),
        clip(usage="editorial", people=0),
    ),
    ("model-release-missing", "error", agency(), clip(people=2), clip(people=2, usage="editorial")),
    ("model-release-missing", "error", agency(), released(0, 1), released(1, 1)),
    ("model-releases-fewer", "warning", agency(), released(2, 3), released(3, 3)),
    ("faces-denied", "warning", agency(), changed(clip(people=0), faces=2), clip(people=0)),
    (
        "people-unknown",
        "warning",
        agency(),
        changed(clip(people=None), faces=None),
        clip(people=None),
    ),
    ("generated-content", "error", agency(generated="forbidden"), clip(is_generated=True), clip()),
    ("generated-content", "warning", agency(generated="labelled"), clip(is_generated=True), clip()),
    ("generated-content", "warning", agency(generated=""), clip(is_generated=True), clip()),
    (
        "editorial-caption",
        "error",
        agency(editorial=CAPTION),
        clip(usage="editorial", place=None),
        clip(usage="editorial", title="LISBON, PORTUGAL - March 01, 2026: boats"),
    ),
    ("editorial-caption", "fix", agency(editorial=CAPTION), clip(usage="editorial"), clip()),
    (
        "title-or-description",
        "fix",
        agency(description=TextRules(is_required=True)),
        clip(description=""),
        clip(title=""),
    ),
    ("forbidden-characters", "fix", agency(), clip(title="two\nlines"), clip(title="one line")),
    ("text-missing", "error", agency(title=TITLE), clip(title="", description=""), clip()),
    ("text-too-long", "fix", agency(title=TITLE), clip(title=FORTY + "s"), clip(title=FORTY)),
    ("text-too-short", "error", agency(title=TITLE), clip(title="Boat"), clip(title="Boats")),
    (
        "text-length-advised",
        "warning",
        agency(title=TITLE),
        clip(title="9 letters"),
        clip(title="10 letters"),
    ),
    (
        "text-length-advised",
        "warning",
        agency(title=TITLE),
        clip(title=FORTY[:31]),
        clip(title=FORTY[:30]),
    ),
    (
        "title-is-file-name",
        "warning",
        agency(),
        clip("A b.mp4", title="a_B"),
        clip("A b.mp4", title="a b c"),
    ),
    (
        "keywords-tidied",
        "fix",
        agency(),
        clip(keywords=("sea", "Sea")),
        clip(keywords=("sea", "lake")),
    ),
    ("keywords-tidied", "fix", agency(keywords=KeywordRules(max_count=3)), worded(4), worded(3)),
    ("keywords-too-few", "error", agency(keywords=KeywordRules(min_count=7)), worded(6), worded(7)),
    ("keywords-too-few", "warning", agency(), worded(0), worded(1)),
    (
        "keywords-advised",
        "warning",
        agency(keywords=KeywordRules(advised_max=9)),
        worded(10),
        worded(9),
    ),
    (
        "keywords-advised",
        "warning",
        agency(keywords=KeywordRules(advised_min=3)),
        worded(2),
        worded(3),
    ),
    (
        "category-unknown",
        "warning",
        agency(categories=LISTED),
        clip(category="Animls"),
        clip(category="ANIMALS"),
    ),
    (
        "category-unknown",
        "error",
        agency(categories=replace(LISTED, min_count=1)),
        clip(category="Sports"),
        clip(category="wildlife"),
    ),
    (
        "category-unknown",
        "error",
        agency(categories=LISTED),
        clip(categories={"acme": "Sports"}),
        clip(categories={"acme": "7"}, category="Sports"),
    ),
    (
        "category-missing",
        "error",
        agency(categories=replace(LISTED, min_count=1)),
        clip(),
        clip(category="food and drink"),
    ),
    (
        "categories-too-many",
        "fix",
        agency(categories=LISTED),
        clip(category="Animals; Food & Drink"),
        clip(category="Animals"),
    ),
    ("kind-refused", "error", video(), photo(), clip()),
    ("clip-too-short", "error", video(min_duration_s=5), lasting(4.99), lasting(5.0)),
    ("clip-too-long", "error", video(max_duration_s=60), lasting(60.01), lasting(60.0)),
    ("codec", "error", video(codecs=("prores",)), clip(), clip(probe={"codecs": ("prores",)})),
    (
        "codec",
        "fix",
        video(codecs=("prores",), transcode=PRORES),
        clip(),
        clip(probe={"codecs": ("prores",)}),
    ),
    (
        "codec",
        "error",
        video(codecs=("prores hq",)),
        changed(clip(probe={"codecs": ("prores",)}), profile="LT"),
        changed(clip(probe={"codecs": ("prores",)}), profile="HQ"),
    ),
    ("container", "fix", video(suffixes=("mov",)), clip("a.mkv"), clip("a.mov")),
    (
        "container",
        "error",
        video(suffixes=("mp4",)),
        clip("a.mov", {"codecs": ("prores",)}),
        clip("a.mp4"),
    ),
    ("container", "error", image(suffixes=("jpg",)), RAW_PHOTO, photo("a.jpg")),
    (
        "container",
        "error",
        video(suffixes=("mov",)),
        clip("a.webm", {"codecs": ("vp9",)}),
        clip("A.MOV"),
    ),
    ("picture-too-small", "error", image(min_megapixels=4), sized(2000, 1999), sized(2000, 2000)),
    (
        "picture-too-small",
        "error",
        image(min_width=1920, min_height=1080),
        sized(1919, 1080),
        sized(1920, 1080),
    ),
    (
        "picture-too-small",
        "error",
        image(min_width=1920, min_height=1080),
        sized(1080, 1919),
        sized(1080, 1920),
    ),
    ("picture-too-large", "error", image(max_megapixels=24), sized(6000, 4001), sized(6000, 4000)),
    (
        "picture-too-large",
        "fix",
        image(max_width=6000, transcode=JPEG),
        sized(6001, 4000),
        sized(6000, 4000),
    ),
    (
        "odd-size",
        "fix",
        video(is_even_size=True, transcode=PRORES),
        clip(probe={"width": 1921, "height": 1081}),
        clip(),
    ),
    ("odd-size", "error", video(is_even_size=True), clip(probe={"width": 1921}), clip()),
    ("camera-unnamed", "error", image(needs_camera=True), photo(probe={"camera": None}), photo()),
    ("frame-rate", "error", video(frame_rates=(24, 25)), at_rate(30.0), at_rate(25.0)),
    ("frame-rate", "fix", video(frame_rates=(25,), transcode=PRORES), at_rate(50.0), at_rate(25.0)),
    ("frame-rate", "error", video(frame_rates=(29.97,)), at_rate(30.0), at_rate(30000 / 1001)),
    (
        "frame-rate",
        "error",
        video(frame_rates=(24,), transcode=PRORES),
        at_rate(15.0),
        at_rate(24.0),
    ),
    ("variable-frame-rate", "warning", video(), at_rate(29.5, is_variable=True), at_rate(29.5)),
    ("sound-forbidden", "fix", video(audio="forbidden"), clip(), clip(probe={"has_audio": False})),
    ("interlaced", "warning", video(), clip(probe={"is_interlaced": True}), clip()),
    (
        "interlaced",
        "fix",
        video(codecs=("prores",), transcode=PRORES),
        clip(probe={"is_interlaced": True}),
        clip(),
    ),
    ("high-dynamic-range", "warning", video(), clip(probe={"is_hdr": True}), clip()),
    (
        "high-dynamic-range",
        "fix",
        video(codecs=("prores",), transcode=PRORES),
        clip(probe={"is_hdr": True}),
        clip(),
    ),
    (
        "high-dynamic-range",
        "warning",
        video(codecs=("prores",), transcode=PRORES),
        clip(probe={"is_hdr": True, "colour_primaries": "smpte432"}),
        clip(probe={"colour_primaries": "smpte432"}),
    ),
    (
        "transparency",
        "warning",
        video(codecs=("h264",), transcode=PRORES),
        clip(probe={"codecs": ("prores",), "pixel_format": "yuva444p12le"}),
        clip(probe={"codecs": ("prores",), "pixel_format": "yuv422p10le"}),
    ),
    ("log-material", "warning", video(), changed(clip(), gamma="s-log3"), clip()),
    (
        "too-many-bytes",
        "error",
        video(max_bytes=999),
        clip(probe={"size_bytes": 1000}),
        clip(probe={"size_bytes": 999}),
    ),
]
BATCHES: list[tuple[str, str, Agency, list[Item], list[Item]]] = [
    ("same-file", "error", agency(), [clip(), clip()], [clip(), clip("b.mp4", title="Another")]),
    (
        "same-text",
        "warning",
        agency(),
        [clip(), clip("b.mp4")],
        [clip(), clip("b.mp4", title="Another")],
    ),
    (
        "same-text",
        "error",
        agency(title=TextRules(is_unique=True)),
        [clip(), clip("b.mp4")],
        [clip(), clip("b.mp4", title="Another")],
    ),
    (
        "one-kind-only",
        "error",
        agency(batch=BatchRules(is_one_kind=True)),
        [clip(), clip("b.mp4"), photo()],
        [clip(), clip("b.mp4")],
    ),
    (
        "one-usage-only",
        "error",
        agency(batch=BatchRules(is_one_usage=True)),
        [clip(), clip("b.mp4"), clip("c.mp4", usage="editorial")],
        [clip(), clip("b.mp4")],
    ),
    (
        "too-many-items",
        "error",
        agency(batch=BatchRules(max_items=2)),
        [clip(), clip("b.mp4"), clip("c.mp4")],
        [clip(), clip("b.mp4")],
    ),
    (
        "too-many-items",
        "error",
        agency(table=TableRules(max_rows=1, too_long="refuse")),
        [clip(), clip("b.mp4")],
        [clip()],
    ),
    (
        "items-advised",
        "warning",
        agency(batch=BatchRules(advised_items=1)),
        [clip(), clip("b.mp4")],
        [clip()],
    ),
]
TESTED_BELOW = {
    "already-delivered",
    "rejected-before",
    "release-file",
    "file-name",
    "near-duplicate",
    "not-compared",
}


@pytest.mark.parametrize(
    ("rule", "level", "for_whom", "bad", "good"),
    EXAMPLES,
    ids=[f"{one[0]}-{at}" for at, one in enumerate(EXAMPLES)],
)
def test_a_rule_speaks_beyond_its_limit_and_is_silent_at_it(
    rule: str, level: str, for_whom: Agency, bad: Item, good: Item
) -> None:
    (broken,), (kept,) = checked(for_whom, bad), checked(for_whom, good)
    assert said(broken).get(rule) == level
    assert rule not in said(kept)


@pytest.mark.parametrize(
    ("rule", "level", "for_whom", "bad", "good"),
    BATCHES,
    ids=[f"{one[0]}-{at}" for at, one in enumerate(BATCHES)],
)
def test_a_rule_on_batches_speaks_of_the_last_one_that_is_too_much(
    rule: str, level: str, for_whom: Agency, bad: list[Item], good: list[Item]
) -> None:
    broken = checked(for_whom, *bad)
    assert said(broken[-1]).get(rule) == level
    assert level == "warning" or rule not in said(broken[0])
    assert not any(rule in said(one) for one in checked(for_whom, *good))


def test_every_rule_and_each_of_its_levels_is_tried_out() -> None:
    tried = {(one[0], one[1]) for one in [*EXAMPLES, *BATCHES]}
    all_of = {
        (one.id, level) for one in RULES for level in one.levels if one.id not in TESTED_BELOW
    }
    assert tried == all_of


def test_every_rule_has_an_id_of_its_own_and_a_sentence() -> None:
    ids = [one.id for one in RULES]
    assert len(set(ids)) == len(ids)
    assert [one.id for one in RULES if not one.sentence.endswith(".")] == []


def test_an_item_without_a_fault_gets_nothing_but_a_name() -> None:
    (verdict,) = checked(agency(), clip())
    assert (verdict.errors, verdict.warnings) == ((), ())
    assert [one.rule for one in verdict.fixes] == ["file-name"]


@pytest.mark.parametrize("at", range(len(EXAMPLES)))
def test_whatever_is_found_says_what_a_person_can_do(at: int) -> None:
    _, _, for_whom, bad, _ = EXAMPLES[at]
    (verdict,) = checked(for_whom, bad)
    for finding in (*verdict.errors, *verdict.warnings):
        assert finding.message.endswith("."), finding
        assert finding.fix, finding


@pytest.mark.parametrize("at", range(len(EXAMPLES)))
def test_the_command_that_a_finding_names_is_one(at: int) -> None:
    _, _, for_whom, bad, _ = EXAMPLES[at]
    (verdict,) = checked(for_whom, bad)
    for finding in (*verdict.errors, *verdict.warnings):
        if named := re.search(r"(?<!`)dam (.*)", finding.fix):
            parse(shlex.split(re.split(r" \(|; |, or ", named[1])[0]))


def test_a_file_that_was_never_processed_gets_that_one_error() -> None:
    unknown = {"container": "", "codecs": (), "width": 0, "height": 0, "duration_s": 0.0}
    (verdict,) = checked(video(codecs=("h264",), min_duration_s=5), clip(probe=unknown))
    (error,) = verdict.errors
    assert error.fix == f"dam retry {verdict.item.media.partition_key}"


def test_a_file_that_could_not_be_read_gets_its_reason() -> None:
    broken = changed(clip(probe={"container": "", "codecs": ()}), trouble="it is cut short.")
    (verdict,) = checked(video(codecs=("h264",)), broken)
    (error,) = verdict.errors
    assert error.message == "The file C0001.MP4 could not be read: it is cut short."
    assert "Copy it again" in error.fix
    assert "dam retry" not in error.fix


def test_suggestions_are_pointed_to_only_where_accepting_them_would_do_something() -> None:
    few = agency(keywords=KeywordRules(advised_min=5))

    def fix(*offered: Suggestion) -> str:
        (verdict,) = checked(few, changed(worded(1), suggestions=offered))
        (warning,) = [one for one in verdict.warnings if one.rule == "keywords-advised"]
        return warning.fix

    assert "--accept keywords" in fix(Suggestion("keywords", "sea", "tags", 0.9))
    assert "--add-keywords" in fix(Suggestion("keywords", "sea", "tags", 0.2))
    assert "--add-keywords" in fix(Suggestion("keywords", "Word0", "tags", 0.9))


def test_a_category_that_is_not_known_is_answered_with_those_that_are() -> None:
    (verdict,) = checked(agency(categories=LISTED), clip(category="Backgrounds"))
    (warning,) = verdict.warnings
    assert "--category NAME (Animals, Food & Drink)" in warning.fix


def test_keywords_that_hold_commas_are_told_as_what_they_are() -> None:
    (verdict,) = checked(agency(), clip(keywords=("Lisbon, Portugal", "dawn")))
    (fix,) = [one for one in verdict.fixes if one.rule == "keywords-tidied"]
    assert (fix.before, fix.after) == ('"Lisbon, Portugal", dawn', "Lisbon, Portugal, dawn")
    assert fix.message == "Keywords were split at commas and the like."
