"""Every rule: an item that breaks it, one just at the limit, and what is made right of itself."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dam_pipeline.agencies.agency import (
    Agency,
    BatchRules,
    Category,
    CategoryRules,
    EditorialRules,
    FileNameRules,
    KeywordRules,
    MediaRules,
    TableRules,
    TextRules,
    Transcode,
)
from dam_pipeline.agencies.loading import shipped_agencies
from dam_pipeline.graph.among import Alike
from dam_pipeline.records import MediaKind
from dam_pipeline.stock.deliveries import Delivery, DeliveryState
from dam_pipeline.stock.footage import gamma_of, profile_of
from dam_pipeline.stock.record import Item, Place, Release, Rendition, Suggestion, Verdict
from dam_pipeline.stock.rules import RULES, Batch, Case, decide, submission_of
from dam_pipeline_tests.stock_items import clip, photo

PRORES = Transcode("mov", "prores_ks", "yuv422p10le")
JPEG = Transcode("jpg")
LISTED = CategoryRules(
    known=(Category("1", "Animals", ("wildlife",)), Category("7", "Food & Drink"))
)
CAPTION = EditorialRules(field="title", caption="{CITY}, {COUNTRY} - {date}: {text}")


def agency(media: Sequence[MediaRules] = (), **rules: Any) -> Agency:
    """An agency that takes everything but for the rules that are given."""
    kinds = {one.kind: one for one in media} or {kind: MediaRules(kind) for kind in MediaKind}
    basics = {"file_name": FileNameRules(60), "generated": "accepted", "media": kinds}
    return Agency("acme", "Acme", "1", "2026-11-21", (), "A", **{**basics, **rules})


def video(**rules: Any) -> Agency:
    """An agency with rules for clips."""
    return agency([MediaRules(MediaKind.VIDEO, **rules)])


def image(**rules: Any) -> Agency:
    """An agency with rules for photographs."""
    return agency([MediaRules(MediaKind.IMAGE, **rules)])


def checked(for_whom: Agency, *items: Item, **known: Any) -> list[Verdict]:
    """What the rules say of a batch, with what is `known` of it from elsewhere."""
    cases = [Case(one, for_whom, submission_of(one, for_whom)) for one in items]
    alike = known.pop("alike", {one.media.media_id: [] for one in items})
    return decide(Batch(for_whom, cases, alike=alike, **known))


def said(verdict: Verdict) -> dict[str, str]:
    """The level of each rule that spoke; those of names are left out, as every file gets one."""
    levels = {one.rule: "fix" for one in verdict.fixes if one.rule != "file-name"}
    levels |= {one.rule: "warning" for one in verdict.warnings}
    return levels | {one.rule: "error" for one in verdict.errors}


def changed(item: Item, **changes: Any) -> Item:
    """The item with other fields; those of its media go by `media_…`."""
    of_media = {name[6:]: changes.pop(name) for name in list(changes) if name.startswith("media_")}
    return replace(item, media=replace(item.media, **of_media), **changes)


def sized(width: int, height: int) -> Item:
    """A photograph of this size."""
    return photo(probe={"width": width, "height": height})


def lasting(seconds: float) -> Item:
    """A clip of this length."""
    return clip(probe={"duration_s": seconds})


def at_rate(rate: float, *, is_variable: bool = False) -> Item:
    """A clip with this frame rate."""
    return clip(probe={"frame_rate": rate, "is_variable_frame_rate": is_variable})


def released(count: int, people: int) -> Item:
    """A clip with people and the releases of some of them, whose files are not there."""
    releases = tuple(Release("model", f"/nowhere/{at}.pdf", "") for at in range(count))
    return clip(people=people, releases=releases)


def worded(count: int) -> Item:
    """A clip with so many keywords."""
    return clip(keywords=tuple(f"word{at}" for at in range(count)))


TITLE = TextRules(is_required=True, min_length=5, max_length=40, advised_min=10, advised_max=30)
FORTY = "Fishing boats at dawn in the old harbour"  # 40 characters
assert len(FORTY) == 40
RAW_PHOTO = photo("DSC_1.NEF", {"codecs": ("nef",), "container": "nef"})

# Rule, level, who asks, an item that breaks it, one just at the limit.
EXAMPLES: list[tuple[str, str, Agency, Item, Item]] = [
    ("master-missing", "error", agency(), changed(clip(), uri=""), clip()),
    ("master-superseded", "error", agency(), changed(clip(), media_superseded_by="abc"), clip()),
    ("never-processed", "error", agency(), clip(probe={"container": ""}), clip()),
    ("checksum-missing", "error", agency(), changed(clip(), sha256=""), clip()),
    ("usage-missing", "error", agency(), clip(usage=""), clip(usage="editorial")),
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
    ("high-dynamic-range", "warning", video(), clip(probe={"is_hdr": True}), clip()),
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


def test_a_file_that_was_never_processed_gets_that_one_error() -> None:
    unknown = {"container": "", "codecs": (), "width": 0, "height": 0, "duration_s": 0.0}
    (verdict,) = checked(video(codecs=("h264",), min_duration_s=5), clip(probe=unknown))
    (error,) = verdict.errors
    assert error.fix == f"dam retry {verdict.item.media.partition_key}"


def test_a_title_is_cut_at_a_word_and_the_person_sees_both() -> None:
    long = "Fishing boats leave the old harbour at dawn"
    (verdict,) = checked(agency(title=TITLE), clip(title=long))
    (fix,) = [one for one in verdict.fixes if one.rule == "text-too-long"]
    assert fix.message == "The title has 43 characters, Acme takes 40."
    assert (fix.before, fix.after) == (long, "Fishing boats leave the old harbour")
    assert verdict.submission.title == fix.after
    assert verdict.item.record.title == long


def test_a_missing_title_that_is_suggested_can_be_accepted() -> None:
    bare = clip(title="", description="")
    offered = replace(bare, suggestions=(Suggestion("title", "Boats", "tags", 0.8),))
    fixes = [checked(agency(title=TITLE), one)[0].errors[0].fix for one in (bare, offered)]
    key = bare.media.partition_key
    assert fixes == [f"dam stock edit {key} --title '…'", f"dam stock edit {key} --accept title"]


def test_a_title_stands_for_a_description_and_a_first_sentence_for_a_title() -> None:
    both = agency(title=TITLE, description=TextRules(is_required=True))
    (from_title,) = checked(both, clip(description="", title="Boats at dawn"))
    (from_text,) = checked(both, clip(title="", description="Boats at dawn. They leave the quay."))
    assert from_title.submission.description == "Boats at dawn"
    assert from_text.submission.title == "Boats at dawn"
    assert not from_title.errors + from_text.errors


def test_keywords_are_left_out_in_the_order_of_their_rank_and_named() -> None:
    rules = KeywordRules(max_count=2, max_length=8, forbidden=",")
    (verdict,) = checked(
        agency(keywords=rules), clip(keywords=("sea, boat", "Sea", "lighthouse", "sky"))
    )
    (fix,) = [one for one in verdict.fixes if one.rule == "keywords-tidied"]
    assert verdict.submission.keywords == ("sea", "boat")
    assert "1 said twice (Sea)" in fix.message
    assert "1 longer than 8 characters (lighthouse)" in fix.message
    assert "1 over the 2 that Acme takes (sky)" in fix.message


def test_an_editorial_caption_is_put_in_front_and_the_whole_still_fits() -> None:
    rules = replace(TITLE, max_length=70, forbidden="")
    asks = agency(title=rules, editorial=CAPTION)
    (verdict,) = checked(asks, clip(usage="editorial"))
    assert (
        verdict.submission.title
        == "LISBON, PORTUGAL - March 01, 2026: Fishing boats at dawn in the old"
    )
    (again,) = checked(asks, clip(usage="editorial", title=verdict.submission.title))
    assert again.submission.title == verdict.submission.title


def test_a_caption_names_all_that_it_lacks() -> None:
    (verdict,) = checked(
        agency(editorial=CAPTION), clip(usage="editorial", place=Place("Lisbon"), date="")
    )
    (error,) = verdict.errors
    assert error.message == "The editorial caption needs the country, date, which nobody has said."
    assert error.fix == f"dam stock edit {verdict.item.media.partition_key} --country … --date …"


def test_categories_become_codes_and_an_unknown_one_gets_the_nearest_names() -> None:
    asks = agency(categories=replace(LISTED, max_count=2))
    (known,) = checked(asks, clip(category="wildlife; FOOD AND DRINK"))
    assert known.submission.categories == ("1", "7")
    (own,) = checked(asks, clip(category="Sports", categories={"acme": "7"}))
    assert own.submission.categories == ("7",)
    (unknown,) = checked(asks, clip(categories={"acme": "Animls"}))
    (error,) = unknown.errors
    assert error.message == "Acme has no category 'Animls'. Nearest: Animals."


def test_faces_without_a_release_are_named_unless_a_person_says_that_nobody_is_there() -> None:
    seen = changed(clip(people=None), faces=2, said_by={})
    (verdict,) = checked(agency(), seen)
    (error,) = verdict.errors
    assert error.message == (
        "2 people are to be seen (2 faces were found at once), it is for commercial use, and there is "
        "no model release."
    )
    (denied,) = checked(agency(), changed(clip(people=0), faces=2))
    (warning,) = denied.warnings
    assert warning.message == "The record says 0 people, but 2 faces were found at once."
    assert not denied.errors


@pytest.mark.parametrize(
    ("content", "trouble"), [(None, "cannot be read"), (b"other", "has changed")]
)
def test_a_release_that_is_gone_or_has_changed_is_an_error(
    content: bytes | None, trouble: str, tmp_path: Path
) -> None:
    path = tmp_path / "release.pdf"
    path.write_bytes(b"signed")
    release = Release("model", str(path), hashlib.sha256(b"signed").hexdigest())
    (good,) = checked(agency(), clip(people=1, releases=(release,)))
    path.unlink() if content is None else path.write_bytes(content)
    (bad,) = checked(agency(), clip(people=1, releases=(release,)))
    assert not good.errors
    assert [(one.rule, trouble in one.message) for one in bad.errors] == [("release-file", True)]


RATES: dict[str, Any] = {"frame_rates": (25, 29.97, 30), "transcode": PRORES}
HD: dict[str, Any] = {"max_width": 1920, "max_height": 1080, "transcode": PRORES}
ALL_AT_ONCE: dict[str, Any] = {
    "suffixes": ("mov",),
    "codecs": ("prores",),
    "is_even_size": True,
    "frame_rates": (25,),
    "audio": "forbidden",
    "transcode": PRORES,
}
RENDITIONS: list[tuple[Item, dict[str, Any], Rendition]] = [
    (clip("a.mkv"), {"suffixes": ("mp4",)}, Rendition("remux", "mp4")),
    (clip("a.m4v"), {"suffixes": ("mp4", "mov")}, Rendition("remux", "mov")),
    (clip(), {"audio": "forbidden"}, Rendition("remux", drop_audio=True)),
    (photo("a.JPE"), {"suffixes": ("jpg", "png")}, Rendition("copy", "jpg")),
    (photo("a.jpg", {"codecs": ("png",)}), {"suffixes": ("jpg", "png")}, Rendition("copy", "png")),
    (
        photo("a.png", {"codecs": ("png",)}),
        {"suffixes": ("jpg",), "transcode": JPEG},
        Rendition("transcode", "jpg"),
    ),
    (at_rate(29.4, is_variable=True), RATES, Rendition("transcode", "mov", frame_rate=29.97)),
    (at_rate(59.94), RATES, Rendition("transcode", "mov", frame_rate=30)),
    (at_rate(29.9), RATES, Rendition("transcode", "mov", frame_rate=29.97)),
    (
        sized(6001, 4001),
        {"max_megapixels": 6, "transcode": JPEG},
        Rendition("transcode", "jpg", 2999, 2000),
    ),
    (
        clip(probe={"width": 2161, "height": 3841}),
        HD,
        Rendition("transcode", "mov", 1080, 1918),
    ),
    (
        clip("a.mkv", {"codecs": ("vp9",), "width": 1921, "frame_rate": 50.0}),
        ALL_AT_ONCE,
        Rendition("transcode", "mov", 1920, 2160, 25, drop_audio=True),
    ),
]


@pytest.mark.parametrize(("item", "rules", "made"), RENDITIONS)
def test_the_copy_is_made_as_little_other_as_can_be(
    item: Item, rules: dict[str, Any], made: Rendition
) -> None:
    for_whom = agency([MediaRules(item.probe.kind, **rules)])
    (verdict,) = checked(for_whom, item)
    assert not verdict.errors
    assert verdict.submission.rendition == made
    assert verdict.submission.file_name.endswith(f".{made.suffix or 'mp4'}")


def test_a_picture_that_would_be_too_small_afterwards_is_not_made_smaller() -> None:
    narrow = image(max_width=4000, min_height=1000, transcode=JPEG)
    (verdict,) = checked(narrow, sized(9000, 1200))
    (error,) = verdict.errors
    assert error.rule == "picture-too-large"
    assert verdict.submission.rendition == Rendition()


def test_a_camera_raw_file_is_never_encoded_here() -> None:
    (verdict,) = checked(image(suffixes=("jpg",), codecs=("jpeg",), transcode=JPEG), RAW_PHOTO)
    (error,) = verdict.errors
    assert (error.rule, "raw converter" in error.fix) == ("codec", True)


def test_what_is_encoded_anew_is_not_weighed_before() -> None:
    heavy = {"size_bytes": 2000}
    for_whom = video(max_bytes=999, codecs=("prores",), transcode=PRORES)
    assert said(checked(for_whom, clip(probe=heavy))[0]) == {"codec": "fix"}


def test_file_names_fit_and_collide_with_none() -> None:
    short = agency(file_name=FileNameRules(30))
    items = [
        changed(
            clip("Café – Møre & Rømsdal, the whole evening.MOV"),
            media_media_id=hashlib.md5(bytes([at])).hexdigest(),
        )
        for at in range(9)
    ]
    names = [one.submission.file_name for one in checked(short, *items)]
    assert len(set(names)) == 9
    assert all(len(name) <= 30 and name.isascii() and " " not in name for name in names)


def test_what_an_agency_has_is_an_error_until_it_is_to_go_again() -> None:
    item = clip()
    there = Delivery(
        "acme", item.media.media_id, item.media.asset_id, "sftp://h/", "p", "media/a.mp4", "", 1, "",
        DeliveryState.VERIFIED, when="2026-10-01T08:00:00+00:00",
    )  # fmt: skip
    known = {item.media.asset_id: there}
    (verdict,) = checked(agency(), item, delivered=known)
    (error,) = verdict.errors
    assert (error.rule, error.message) == (
        "already-delivered",
        "Acme has it since 2026-10-01: media/a.mp4.",
    )
    (again,) = checked(agency(), item, delivered=known, again=True)
    assert not again.errors


def test_what_an_agency_rejected_is_told_with_the_reason() -> None:
    item = clip()
    rejected = Delivery(
        "acme", item.media.media_id, item.media.asset_id, "sftp://h/", "p", "media/a.mp4", "", 1, "",
        DeliveryState.REJECTED, reason="Noise.", when="2026-10-01T08:00:00+00:00",
    )  # fmt: skip
    (verdict,) = checked(agency(), item, rejected={item.media.asset_id: rejected})
    (warning,) = verdict.warnings
    assert warning.message == "Acme rejected it on 2026-10-01: Noise."


def test_near_duplicates_of_the_batch_and_of_deliveries_are_named_and_others_not() -> None:
    one, two = clip(), clip("b.mp4", title="Another")
    ids = [one.media.media_id, two.media.media_id]
    there = Delivery(
        "acme",
        "older",
        "older",
        "sftp://h/",
        "p",
        "media/o.mp4",
        "",
        1,
        "",
        DeliveryState.DELIVERED,
    )
    alike = {
        ids[0]: [Alike(ids[1], 0.99, 0.5), Alike("stranger", 0.98, 1.0), Alike("older", 0.9, 1.0)],
        ids[1]: [Alike(ids[0], 0.99, 1.0)],
    }
    first, second = checked(agency(), one, two, alike=alike, delivered={"older": there})
    assert [w.message for w in first.warnings] == [
        f"It shows the same pictures as {two.media.partition_key} (50% of it), media/o.mp4 (100% of it)."
    ]
    assert [w.rule for w in second.warnings] == ["near-duplicate"]


def test_what_the_graph_has_not_seen_is_told() -> None:
    pair = [clip(), clip("b.mp4", title="Another")]
    unseen = {one.media.media_id: None for one in pair}
    assert [said(one) for one in checked(agency(), *pair, alike=unseen)] == [
        {"not-compared": "warning"}
    ] * 2


def test_items_that_are_left_out_do_not_count_against_the_batch() -> None:
    verdicts = checked(
        agency(batch=BatchRules(max_items=1, is_one_kind=True)),
        photo(usage=""),
        photo("b.jpg", usage="", title="Another"),
        clip(),
    )
    assert [[error.rule for error in one.errors] for one in verdicts] == [
        ["usage-missing"],
        ["usage-missing"],
        [],
    ]


WORDS = st.text(st.sampled_from("ab ,.;:&\"'“é漢👩‍🚀\u200f\n#"), max_size=60)


@given(
    title=WORDS,
    description=WORDS,
    keywords=st.lists(WORDS, max_size=12),
    usage=st.sampled_from(["commercial", "editorial"]),
)
def test_what_was_mended_needs_no_mending(
    title: str, description: str, keywords: list[str], usage: str
) -> None:
    asks = agency(
        title=replace(TITLE, forbidden=","),
        description=TextRules(is_required=True, max_length=50),
        keywords=KeywordRules(max_count=5, max_length=12, forbidden=","),
        categories=LISTED,
        editorial=replace(CAPTION, field="description"),
    )
    item = clip(
        title=title,
        description=description,
        keywords=tuple(keywords),
        usage=usage,
        category="Animals;7",
    )
    (first,) = checked(asks, item)
    made = first.submission
    record = replace(
        item.record,
        title=made.title,
        description=made.description,
        keywords=made.keywords,
        category=";".join(made.categories),
    )
    (second,) = checked(asks, replace(item, record=record))
    assert second.submission == made
    assert [one.rule for one in second.fixes] == ["file-name"]
    assert len(made.title) <= 40
    assert len(made.description) <= 50


@pytest.mark.parametrize("usage", ["commercial", "editorial"])
@pytest.mark.parametrize("shipped", shipped_agencies(), ids=lambda one: one.id)
def test_for_every_agency_what_was_mended_needs_no_mending(shipped: Agency, usage: str) -> None:
    long = (
        "Boats, nets & “gulls” at dawn: the old harbour, the quay, the sea, 1,000 lights, no wind. "
        * 4
    )
    for made in (clip, photo):
        item = made(title=long, description=long, keywords=tuple(long.split()), usage=usage)
        (first,) = checked(shipped, item)
        words = {
            "title": first.submission.title,
            "description": first.submission.description,
            "keywords": first.submission.keywords,
        }
        (second,) = checked(shipped, made(**words, usage=usage))
        assert second.submission == first.submission
        rules = {one.rule for one in first.errors}
        assert rules <= {
            "kind-refused",
            "category-missing",
            "editorial-refused",
            "codec",
            "frame-rate",
        }


def test_a_log_curve_and_a_profile_are_read_from_raw_tags() -> None:
    sony = {"XML:AcquisitionRecordGroupItemValue": ["s-log3-cine", "s-gamut3-cine"]}
    assert gamma_of({"exiftool": sony}) == "s-log3-cine"
    assert gamma_of({"exiftool": {"MakerNotes:PhotoStyle": "V-Log"}}) == "V-Log"
    assert (
        gamma_of({"exiftool": {"MakerNotes:PhotoStyle": "Standard", "XMP:Title": "S-Log3"}}) == ""
    )
    streams = [
        {"codec_type": "audio"},
        {"codec_type": "video", "profile": "HQ", "color_transfer": "log100"},
    ]
    assert gamma_of({"ffprobe": {"streams": streams}}) == "log100"
    assert profile_of({"ffprobe": {"streams": streams}}) == "HQ"
    assert profile_of({}) == gamma_of({}) == ""
