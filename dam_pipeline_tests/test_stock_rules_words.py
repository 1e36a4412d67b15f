"""Rules on words and rights: what is cut, cleaned and put in front, and what a person is asked for."""

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dam_pipeline.agencies.agency import (
    Agency,
    KeywordRules,
    TextRules,
)
from dam_pipeline.agencies.loading import shipped_agencies
from dam_pipeline.stock.record import Place, Release, Suggestion
from dam_pipeline_tests.stock_agencies import (
    CAPTION,
    LISTED,
    TITLE,
    agency,
    changed,
    checked,
)
from dam_pipeline_tests.stock_items import clip, photo


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
        "2 people are to be seen (faces found at once: 2), it is for commercial use, and there is "
        "no model release."
    )
    (denied,) = checked(agency(), changed(clip(people=0), faces=2))
    (warning,) = denied.warnings
    assert warning.message == "The record says 0 people, but faces were found (at once: 2)."
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
