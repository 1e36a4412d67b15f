"""Words as agencies take them: whatever people type, a title and keywords come out fit and whole."""

import hashlib
import re
import unicodedata

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from dam_pipeline.agencies.agency import EditorialRules, FileNameRules, KeywordRules
from dam_pipeline.errors import ConfigurationError
from dam_pipeline.records import Media, MediaKind
from dam_pipeline.stock.file_names import deliverable_names
from dam_pipeline.stock.record import Place
from dam_pipeline.stock.wording import (
    caption_gaps,
    clean,
    cut_at_word,
    editorial_caption,
    tidy_keywords,
    without,
)

ODD = (
    "👨‍👩‍👧‍👦",  # a family, seven code points
    "🇩🇪🇫🇷",
    "👍🏽",
    "é",
    "e\u0301",
    "ḧ̷̢̛͇̟́̓",
    "שקיעה בים",
    "غروب الشمس",
    "\u202eevil\u202c",
    "日本の桜",
    "한국어",
    "नमस्ते",
    '"quoted"',
    "a, b; c",
    "it’s",
    "—",
    "\x00\x07",
    "\n",
    "\u00a0",
    "\ufeff",
    "\ud800",
    "Stra\u00dfe",
    "and",
    "=1+1",
)
texts = st.lists(
    st.one_of(st.text(max_size=12), st.sampled_from(ODD), st.just(" ")), max_size=20
).map("".join)
checked = settings(max_examples=60)

KEYWORDS = KeywordRules(max_count=50, max_length=40, forbidden=',"')
NAMES = FileNameRules(max_length=30, allowed="A-Za-z0-9_")
CAPTION = EditorialRules(caption="{CITY}, {COUNTRY} - {date}: {text}")
PARIS = Place(city="Paris", country="France", country_code="FR")


def clusters(text: str) -> list[str]:
    return regex.findall(r"\X", text)


def digits(number: int) -> str:
    return hashlib.md5(str(number).encode()).hexdigest()


def media(name: str, media_id: str) -> Media:
    return Media(media_id, "key", MediaKind.IMAGE, 1, name, media_id)


@checked
@given(texts)
def test_a_clean_text_is_composed_on_one_line_without_anything_unseen(text: str) -> None:
    done = clean(text)
    assert done == unicodedata.normalize("NFC", done) == clean(done)
    assert not re.search(r"[\x00-\x1f\x7f\u202a-\u202e\ufeff\ud800-\udfff]|  |^\s|\s$", done)
    done.encode()


def test_cleaning_keeps_every_letter_and_every_joined_emoji() -> None:
    text = "Zürich\u00a0– „Café“\n👨‍👩‍👧‍👦 نمی\u200cدانم"
    assert clean(text) == "Zürich – „Café“ 👨‍👩‍👧‍👦 نمی\u200cدانم"
    assert clean("Cafe\u0301") == "Café"


@checked
@given(texts, st.integers(1, 80))
def test_a_cut_text_fits_and_is_the_beginning_of_the_text_in_whole_clusters(
    text: str, length: int
) -> None:
    done, whole = cut_at_word(text, length), clean(text)
    assert len(done) <= length
    assert clusters(done) == clusters(whole)[: len(clusters(done))]
    if len(whole) <= length:
        assert done == whole
    assert cut_at_word(done, length) == done


@checked
@given(st.lists(st.text("abcé👍", min_size=1, max_size=8), min_size=1, max_size=20))
def test_words_that_fit_are_never_cut(words: list[str]) -> None:
    done = cut_at_word(" ".join(words), 20)
    if len(words[0]) <= 20:
        assert done.split() == words[: len(done.split())]


@pytest.mark.parametrize(
    ("text", "length", "expected"),
    [
        ("A falcon above the Rhine at dusk", 20, "A falcon above"),
        ("Red kite, soaring", 9, "Red kite"),
        ("Bread, salt and the rest of it all", 20, "Bread, salt"),
        ("Market (old town) in the rain", 18, "Market (old town)"),
        ("Really? Yes!", 12, "Really? Yes!"),
        ("Donaudampfschifffahrt", 10, "Donaudampf"),
        ("日本の桜が咲く公園", 5, "日本の桜が"),
        ("👨‍👩‍👧‍👦👨‍👩‍👧‍👦", 13, "👨‍👩‍👧‍👦"),
        ("👨‍👩‍👧‍👦 at home", 3, ""),
        ("The and of it", 7, "The"),
        ("anything at all", 0, "anything at all"),
    ],
)
def test_a_text_is_cut_where_a_reader_would(text: str, length: int, expected: str) -> None:
    assert cut_at_word(text, length).rstrip() == expected


@checked
@given(texts, st.text(",;:&\"“”–'/<>", max_size=6))
def test_nothing_forbidden_is_left_and_nothing_else_is_touched(text: str, forbidden: str) -> None:
    done = without(text, forbidden)
    assert not set(done) & set(forbidden)
    assert without(done, forbidden) == done
    if not set(clean(text)) & set(forbidden):
        assert done == clean(text)
    if "&" not in forbidden:  # it becomes a word
        assert [x for x in done if x.isalpha()] == [x for x in clean(text) if x.isalpha()]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Sunset, Berlin", "Sunset - Berlin"),
        ("Red, green, blue", "Red green blue"),
        ("1,000 tulips", "1000 tulips"),
        ("Tom & Jerry", "Tom and Jerry"),
        ('The "Bird" flies', "The 'Bird' flies"),
        ("either/or", "either or"),
        (",,,", ""),
    ],
)
def test_forbidden_characters_become_what_reads_best(text: str, expected: str) -> None:
    assert without(text, ',&"/') == expected


@checked
@given(st.lists(texts, max_size=40))
def test_keywords_come_out_fit_each_once_and_in_their_order(words: list[str]) -> None:
    done = tidy_keywords(words, KEYWORDS)
    assert len(done.kept) <= 50
    assert len({unicodedata.normalize("NFC", one.casefold()) for one in done.kept}) == len(
        done.kept
    )
    for one in done.kept:
        assert one == clean(one)
        assert 0 < len(one) <= 40
        assert not set(one) & set(',";\n')
    assert tidy_keywords(done.kept, KEYWORDS).kept == done.kept


def test_ten_thousand_keywords_are_ranked_by_the_person_and_told_apart() -> None:
    words = [f"Word {at % 5000}" for at in range(9_998)] + ["x" * 41, "sun, sea"]
    done = tidy_keywords(words, KEYWORDS)
    assert done.kept == tuple(f"Word {at}" for at in range(50))
    assert len(done.doubled) == 50  # those of the first fifty again; the rest is surplus
    assert done.too_long == ("x" * 41,)
    assert len(done.surplus) == 10_001 - 50 - 50 - 1


def test_keywords_are_split_stripped_and_kept_apart_where_they_mean_two_things() -> None:
    words = ['sun, sea;"Beach"', "BEACH", "#hash", "C#", " ", "--", "glass", "glasses", "日本、桜"]
    done = tidy_keywords(words, KeywordRules())
    assert done.kept == (
        *("sun", "sea", "Beach", "hash", "C#", "glass", "glasses"),
        *("日本", "桜"),
    )
    assert done.doubled == ("BEACH",)


def test_an_editorial_caption_is_written_once() -> None:
    text = "A man walks {home}"
    done = editorial_caption(CAPTION, text, PARIS, "2026-05-01T10:00:00")
    assert done == "PARIS, FRANCE - May 01, 2026: A man walks {home}"
    assert editorial_caption(CAPTION, done, PARIS, "2026-05-01") == done
    assert editorial_caption(EditorialRules(), text, PARIS, "2026-05-01") == text


def test_an_editorial_caption_in_capitals_keeps_the_text_as_it_is() -> None:
    rules = EditorialRules(caption="{CITY} - {DATE}: {text}", date_format="%d %B %Y")
    assert editorial_caption(rules, "A man", PARIS, "2026-05-01") == "PARIS - 01 MAY 2026: A man"


def test_what_an_editorial_caption_lacks_is_named() -> None:
    assert caption_gaps(CAPTION, None, "2026-05") == ("city", "country", "date")
    assert caption_gaps(CAPTION, PARIS, "2026-05-01") == ()


def test_a_caption_with_an_unknown_field_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"{town}; known are .*city"):
        editorial_caption(EditorialRules(caption="{town}: {text}"), "x", PARIS, "2026-05-01")


@checked
@given(
    st.dictionaries(st.integers().map(digits), texts, max_size=12),
    st.sampled_from(["jpg", "jpeg", "mov", "mp4"]),
    st.sampled_from(["A-Za-z0-9_", "a-z0-9", "A-Z0-9-", "A-Za-z0-9_ .-"]),
)
def test_file_names_keep_the_rules_and_never_meet(
    batch: dict[str, str], suffix: str, allowed: str
) -> None:
    rules = FileNameRules(max_length=30, allowed=allowed)
    wanted = [(media(name, media_id), suffix) for media_id, name in batch.items()]
    names = deliverable_names(wanted, rules)
    assert set(names) == set(batch)
    assert len({name.casefold() for name in names.values()}) == len(batch)
    for name in names.values():
        assert len(name) <= 30
        assert re.fullmatch(rf"[{allowed}]+\.{suffix}", name)
        assert not name.startswith(("-", ".", " "))
    for one in wanted:
        assert deliverable_names([one], rules)[one[0].media_id] == names[one[0].media_id]


def test_a_file_name_shows_the_original_and_falls_back_to_the_id() -> None:
    batch = [
        (media("Über_Zürich — café.MOV", "3f2a9c11d0e4aaaa"), "mov"),
        (media("桜.jpg", "9911aa22bb33cccc"), "jpg"),
        (media("a name that goes on and on and on.jpg", "00ff00ff00ff0000"), "jpeg"),
    ]
    assert list(deliverable_names(batch, NAMES).values()) == [
        "Uber_Zurich_c_3f2a9c11d0e4.mov",
        "9911aa22bb33.jpg",
        "a_name_that_00ff00ff00ff.jpeg",
    ]


def test_media_whose_ids_begin_alike_get_more_digits_whatever_their_suffix() -> None:
    batch = [
        (media("A.jpg", "0123456789abc" + "0" * 19), "jpg"),
        (media("a.mov", "0123456789abd" + "0" * 19), "mov"),
    ]
    assert list(deliverable_names(batch, NAMES).values()) == [
        "A_0123456789abc.jpg",
        "a_0123456789abd.mov",
    ]


def test_rules_without_room_for_a_name_are_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"file_name"):
        deliverable_names([(media("a.jpg", "0" * 32), "jpeg")], FileNameRules(max_length=8))
