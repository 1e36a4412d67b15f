"""Sidecars: what other programs wrote stays, the merge loses nobody's word, files are whole or not there."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from subprocess import PIPE

import pytest
from clips import exiftool
from hypothesis import given
from hypothesis import strategies as st

from dam_pipeline.errors import ConfigurationError, SourceChanged, UnreadableMedia
from dam_pipeline.media.exif_writer import ExifWriter
from dam_pipeline.sidecars.fields import KEYWORDS, tidy
from dam_pipeline.sidecars.files import put_sidecar, read_sidecar
from dam_pipeline.sidecars.markup import Markup
from dam_pipeline.sidecars.merging import EMPTIED, merge, merge_words
from dam_pipeline.sidecars.naming import Naming, below
from dam_pipeline.sidecars.packet import changed_packet, empty_packet, read_packet
from dam_pipeline_tests.sidecar_styles import ALL, BRIDGE, DARKTABLE, DIGIKAM, LIGHTROOM, ODD

TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=40)
WORDS = st.lists(TEXTS.map(lambda one: tidy(KEYWORDS, one)).filter(bool), max_size=12)
SMALL = st.lists(st.sampled_from(["a", "b", "c", "d", "B", "é"]), max_size=5)
SAID = st.sampled_from([None, "x", "y", "z"])


def said(before: str, **wanted: object) -> dict[str, object]:
    """What a packet says after these fields were changed."""
    return read_packet(changed(before, **wanted))


def changed(before: str, **wanted: object) -> bytes:
    return changed_packet(before.encode(), wanted, list(wanted), {})  # type: ignore[arg-type]


# What is read


def test_lightrooms_words_are_read_and_its_settings_are_not() -> None:
    assert read_packet(LIGHTROOM.encode()) == {
        "title": "Harbour",
        "keywords": ("boats", "sea"),
        "rating": "3",
        "city": "Porto",
        "country": "Portugal",
    }


def test_digikams_tags_are_read_flat() -> None:
    found = read_packet(DIGIKAM.encode())
    assert (found["keywords"], found["description"]) == (("owl", "lake"), "An owl.")


def test_bridge_writes_elements_in_several_blocks_and_a_rating_of_none() -> None:
    assert read_packet(BRIDGE.encode()) == {
        "title": "Harbour",
        "creator": "Ada Lovelace",
        "copyright": "© 2026 Ada",
        "city": "Porto",
    }


def test_properties_go_by_their_namespace_and_not_by_their_prefix() -> None:
    assert read_packet(ODD.encode()) == {"title": "Plain & simple"}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-32", "utf-16-le"])
def test_other_encodings_are_read(encoding: str) -> None:
    mark = "\ufeff" if encoding == "utf-16-le" else ""
    assert read_packet((mark + LIGHTROOM).encode(encoding))["title"] == "Harbour"


@pytest.mark.parametrize(
    "content",
    [
        b"<not really",
        b"",
        b"\xff\xfe\x00",
        b"<a/>",
        LIGHTROOM[:1500].encode(),
        b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
        b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-'
        b'rdf-syntax-ns#"/></x:xmpmeta>',
    ],
)
def test_what_is_no_whole_xmp_is_refused(content: bytes) -> None:
    with pytest.raises(UnreadableMedia):
        read_packet(content)
    with pytest.raises(UnreadableMedia):
        changed_packet(content, {"title": "x"}, ["title"], {})


# What is written


@pytest.mark.parametrize("style", ALL)
def test_only_the_bytes_of_the_changed_fields_are_others(style: str) -> None:
    """Every line of the sidecar is there as it was, in its order, but those of the fields."""
    before = ALL[style]
    wanted = {"rating": "5", "city": "Lisbon", "keywords": ("owl", "falcon")}
    after = changed(before, **wanted)
    ours = ("Rating", "City", "MetadataDate", "boats", "sea<", "owl", "lake")
    kept = [one for one in before.splitlines() if not any(word in one for word in ours)]
    if style == "odd":
        kept.remove(next(one for one in kept if one.endswith("q:empty=''/>")))  # has content now
    lines = iter(after.decode().splitlines())
    assert [one for one in kept if one not in lines] == []
    assert {name: read_packet(after)[name] for name in wanted} == wanted


@pytest.mark.parametrize("style", ALL)
def test_nothing_wanted_changes_nothing_but_the_date_of_the_metadata(style: str) -> None:
    before = ALL[style].replace("MetadataDate", "OtherDate").encode()
    assert changed_packet(before, {}, [], {}) == before


def test_exiftool_reads_all_that_the_other_program_had_written(tmp_path: Path) -> None:
    """An independent reader: every tag as before, but those that were changed."""
    before, after = tmp_path / "before.xmp", tmp_path / "after.xmp"
    for style in ("lightroom", "digikam", "bridge", "darktable"):
        before.write_text(ALL[style], encoding="utf-8")
        after.write_bytes(changed(ALL[style], title="Quay", region="Norte"))
        with ExifWriter() as reader:
            was, now = (reader.read(one, ["XMP:all"]) for one in (before, after))
        ours = {"XMP-dc:Title", "XMP-photoshop:State"}
        assert now["XMP-dc:Title"] == "Quay"
        touched = {*ours, "XMP-xmp:MetadataDate", "XMP-dc:Title-en-US"}
        assert {k: v for k, v in now.items() if k not in touched} == {
            k: v for k, v in was.items() if k not in touched
        }


def test_a_title_in_another_language_stays() -> None:
    after = changed(LIGHTROOM, title="Quay")
    assert b'<rdf:li xml:lang="de-DE">Hafen</rdf:li>' in after
    assert b'<rdf:li xml:lang="x-default">Quay</rdf:li>' in after


def test_a_default_that_repeats_a_language_is_changed_with_it() -> None:
    after = changed(BRIDGE, title="Quay")
    assert after.count(b">Quay<") == 2
    assert b"Harbour" not in after


def test_a_field_that_was_emptied_is_taken_out_in_all_its_forms() -> None:
    after = changed(LIGHTROOM, title=None, city=None, keywords=None)
    assert read_packet(after) == {"rating": "3", "country": "Portugal"}
    for word in (b"Harbour", b"Hafen", b"Porto<", b"boats", b"hierarchicalSubject>"):
        assert word not in after


def test_hierarchies_follow_the_keywords() -> None:
    paths = {"falcon": ("animal", "bird")}
    wanted = {"keywords": ("owl", "falcon", "quay")}
    after = changed_packet(DIGIKAM.encode(), wanted, ["keywords"], paths).decode()
    for between in "|/":
        assert f"<rdf:li>animal{between}bird{between}falcon</rdf:li>" in after
    assert after.count("<rdf:li>lake</rdf:li>") == 0
    assert after.count("animal/bird/owl") == 2
    assert after.count("<rdf:li>quay</rdf:li>") == 4


def test_a_list_that_its_program_does_not_keep_is_not_begun() -> None:
    paths = {"falcon": ("animal", "bird")}
    after = changed_packet(
        DARKTABLE.encode(), {"keywords": ("falcon", "lake")}, ["keywords"], paths
    )
    assert b"animal|bird|falcon" in after
    assert b"digiKam" not in after
    flat = changed(DARKTABLE, keywords=("lake",))
    assert b"hierarchicalSubject" not in flat


def test_five_thousand_keywords_are_written_and_read_by_exiftool(tmp_path: Path) -> None:
    words = tuple(f"word {number} – “é”" for number in range(5000))
    path = tmp_path / "many.xmp"
    path.write_bytes(changed(LIGHTROOM, keywords=words))
    with ExifWriter() as reader:
        assert tuple(reader.read(path, ["XMP-dc:Subject"])["XMP-dc:Subject"]) == words
    assert read_packet(path.read_bytes())["keywords"] == words


@pytest.mark.parametrize("style", ALL)
@given(title=TEXTS, words=WORDS)
def test_any_text_comes_back_as_it_was_written(style: str, title: str, words: list[str]) -> None:
    keywords = tuple({one.casefold(): one for one in reversed(words)}.values())[::-1]
    wanted = {"title": tidy("title", title) or None, "keywords": keywords or None}
    found = said(ALL[style], **wanted)
    assert found.get("title") == wanted["title"]
    assert found.get("keywords") == wanted["keywords"]


def test_a_new_packet_is_read_by_exiftool_field_by_field(tmp_path: Path) -> None:
    wanted = {
        "title": "Harbour at <dawn> & “dusk” 🌅",
        "description": "First line.\nSecond line, עברית.",
        "keywords": ("boats", "sea, salt", 'quoted "word"'),
        "rating": "4",
        "creator": "Ada Lovelace",
        "copyright": "© 2026 Ada",
        "date": "2026-03-01T12:00:00",
        "city": "Porto",
        "region": "Norte",
        "country": "Portugal",
        "country_code": "PT",
        "source_type": "trainedAlgorithmicMedia",
    }
    path = tmp_path / "new.xmp"
    path.write_bytes(changed_packet(empty_packet(), wanted, list(wanted), {}))
    with ExifWriter() as reader:
        found = reader.read(path, ["XMP:all"])
    assert {name: value for name, value in found.items() if name != "XMP-xmp:MetadataDate"} == {
        "XMP-x:XMPToolkit": "dam_pipeline",
        "XMP-dc:Title": wanted["title"],
        "XMP-dc:Description": wanted["description"],
        "XMP-dc:Subject": list(wanted["keywords"]),
        "XMP-xmp:Rating": "4",
        "XMP-dc:Creator": ["Ada Lovelace"],
        "XMP-dc:Rights": "© 2026 Ada",
        "XMP-photoshop:DateCreated": "2026:03:01 12:00:00",
        "XMP-photoshop:City": "Porto",
        "XMP-photoshop:State": "Norte",
        "XMP-photoshop:Country": "Portugal",
        "XMP-iptcCore:CountryCode": "PT",
        "XMP-iptcExt:DigitalSourceType": "http://cv.iptc.org/newscodes/digitalsourcetype/"
        "trainedAlgorithmicMedia",
    }
    exiftool("-validate", "-warning", path)


def test_what_exiftool_wrote_is_read(tmp_path: Path) -> None:
    path = tmp_path / "theirs.xmp"
    with ExifWriter() as writer:
        writer.write(None, path, {"XMP-dc:Title": "Quay", "XMP-dc:Subject": ["a", "b"]})
    assert read_packet(path.read_bytes()) == {"title": "Quay", "keywords": ("a", "b")}


def test_a_change_within_the_value_of_an_attribute_is_not_taken_for_an_attribute() -> None:
    text = """<a xmlns:x="u" y='x:z="1" ' x:z = "2"/>"""
    markup = Markup(text.encode())
    start, value, end = markup.attribute_span(markup.root, ("u", "z"))
    assert text[start:end] == ' x:z = "2"'
    assert text[value:end] == '"2"'


# The merge


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "verdict", "merged"),
    [
        (None, None, "x", "take", "x"),
        (None, "x", None, "write", "x"),
        (None, "x", "x", "same", "x"),
        (None, "x", "y", "conflict", "y"),
        ("x", "x", "x", "same", "x"),
        ("x", "y", "x", "write", "y"),
        ("x", "x", "y", "take", "y"),
        ("x", "y", "y", "same", "y"),
        ("x", "y", "z", "conflict", "z"),
        ("x", None, "x", "write", None),
        ("x", "x", None, "take", None),
        ("x", None, "y", "conflict", "y"),
        ("x", "y", None, "conflict", None),
        ("x", None, None, "same", None),
    ],
)
def test_one_text_of_three(
    base: str | None, ours: str | None, theirs: str | None, verdict: str, merged: str | None
) -> None:
    other = {"city": "Porto"}  # so that no sidecar is empty
    sides = [{"title": one} | other if one else other for one in (base, ours, theirs)]
    found = next(one for one in merge(*sides) if one.field == "title")
    assert (found.verdict, found.merged) == (verdict, merged)


@pytest.mark.parametrize(
    ("prefer", "verdict", "merged"), [("ours", "write", "y"), ("theirs", "take", "z")]
)
def test_a_conflict_is_decided_by_the_side_that_is_preferred(
    prefer: str, verdict: str, merged: str
) -> None:
    (found,) = merge({"title": "x"}, {"title": "y"}, {"title": "z"}, prefer)  # type: ignore[arg-type]
    assert (found.verdict, found.merged) == (verdict, merged)


def test_to_prefer_a_side_decides_conflicts_and_nothing_else() -> None:
    base, ours, theirs = (
        {"title": "x", "city": "x"},
        {"title": "y", "city": "x"},
        {"title": "x", "city": "z"},
    )
    for prefer in ("ours", "theirs"):
        found = {one.field: one.verdict for one in merge(base, ours, theirs, prefer)}  # type: ignore[arg-type]
        assert found == {"title": "write", "city": "take"}


def test_a_field_that_a_person_emptied_stands_against_a_sidecar_that_was_never_read() -> None:
    (found,) = merge({}, {"title": ""}, {"title": "x"})
    assert found.verdict == "conflict"
    (found,) = merge({"title": "x"}, {"title": ""}, {"title": "x"})
    assert (found.verdict, found.merged) == ("write", None)


def test_a_sidecar_that_has_nothing_left_but_a_rating_takes_no_words_from_the_library() -> None:
    base = {"title": "x", "keywords": ("a", "b"), "city": "Porto", "date": "2026-05-01"}
    found = {one.field: one for one in merge(base, base, {"rating": "1"})}
    assert {name: one.verdict for name, one in found.items()} == {
        **dict.fromkeys(("title", "keywords", "city", "date"), "conflict"),
        "rating": "take",
    }
    assert merge(base, base, {"creator": "Ada"})[0].verdict == "take"  # a program that knows words


def test_a_sidecar_that_lost_everything_takes_nothing_from_the_library() -> None:
    base = {"title": "x", "keywords": ("a", "b")}
    found = merge(base, base, {})
    assert {one.verdict for one in found} == {"conflict"}
    assert {one.why for one in found} == {EMPTIED}
    assert {one.merged for one in merge(base, base, {}, "theirs")} == {None}
    again = merge(base, base, {}, "ours")
    assert [(one.verdict, one.merged) for one in again] == [("write", "x"), ("write", ("a", "b"))]


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "merged"),
    [
        ("ab", "ab", "abc", "abc"),
        ("ab", "abc", "ab", "abc"),
        ("ab", "abc", "abd", "abcd"),
        ("ab", "a", "ab", "a"),
        ("ab", "ab", "b", "b"),
        ("ab", "a", "b", ""),
        ("ab", "ba", "ab", "ba"),
        ("ba", "ba", "ab", "ba"),
        ("", "a", "b", "ab"),
        ("ab", "aB", "ab", "aB"),
        ("ab", "ab", "aB", "aB"),
    ],
)
def test_keywords_of_three(base: str, ours: str, theirs: str, merged: str) -> None:
    assert "".join(merge_words(base, ours, theirs)) == merged


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "verdict"),
    [
        ("ab", "ab", "ba", "same"),
        ("ab", "ba", "ab", "write"),
        ("ab", "abc", "ab", "write"),
        ("ab", "ab", "abc", "take"),
        ("ab", "abc", "abd", "both"),
        ("ab", "ac", "b", "both"),
    ],
)
def test_keywords_never_conflict_and_only_our_order_counts(
    base: str, ours: str, theirs: str, verdict: str
) -> None:
    (found,) = merge(*({KEYWORDS: tuple(one)} for one in (base, ours, theirs)))
    assert found.verdict == verdict


@given(base=SMALL, ours=SMALL, theirs=SMALL)
def test_no_word_is_lost_that_one_side_added_and_none_stays_that_one_took_away(
    base: list[str], ours: list[str], theirs: list[str]
) -> None:
    merged = merge_words(base, ours, theirs)
    was, we, they, now = ({one.casefold() for one in side} for side in (base, ours, theirs, merged))
    assert now >= (we - was) | (they - was)
    assert now >= was & we & they
    assert now.isdisjoint((was - we) | (was - they))
    assert now <= we | they
    assert len(now) == len(merged)
    common = [one.casefold() for one in merged if one.casefold() in we]
    assert common == [one for one in dict.fromkeys(map(str.casefold, ours)) if one in common]


@given(base=SMALL, ours=SMALL, theirs=SMALL)
def test_words_that_were_merged_are_settled(
    base: list[str], ours: list[str], theirs: list[str]
) -> None:
    merged = tuple(merge_words(base, ours, theirs))
    settled = {KEYWORDS: merged} if merged else {}
    assert [one.verdict for one in merge(settled, settled, settled)] == (["same"] if merged else [])
    assert merge_words(base, merged, merged) == list(merged)


@given(base=SAID, ours=SAID, theirs=SAID, prefer=st.sampled_from(["", "ours", "theirs"]))
def test_a_text_that_only_one_side_changed_is_never_lost(
    base: str | None, ours: str | None, theirs: str | None, prefer: str
) -> None:
    sides = [{"title": one, "city": "P"} if one else {"city": "P"} for one in (base, ours, theirs)]
    found = {one.field: one for one in merge(*sides, prefer)}.get("title")  # type: ignore[arg-type]
    if found is None:
        return
    if ours != base and theirs == base:
        assert (found.merged, found.changes_sidecar) == (ours, True)
    if theirs != base and ours == base:
        assert (found.merged, found.changes_library) == (theirs, True)
    if ours == theirs:
        assert found.verdict == "same"


def test_dates_and_countries_that_mean_the_same_are_the_same() -> None:
    ours = {"date": "2026-03-01T12:00:00", "country": "Germany"}
    theirs = {"date": "2026-03-01T12:00:00.55+01:00", "country": "DE"}
    assert {one.verdict for one in merge({}, ours, theirs)} == {"same"}


# Names


@pytest.mark.parametrize(
    ("there", "original", "names", "sidecar"),
    [
        ("a.jpg", "a.jpg", "full", "a.jpg.xmp"),
        ("a.jpg", "a.jpg", "short", "a.xmp"),
        ("a.jpg a.xmp", "a.jpg", "full", "a.xmp"),
        ("a.jpg a.jpg.xmp", "a.jpg", "short", "a.jpg.xmp"),
        ("a.jpg a.xmp a.jpg.xmp", "a.jpg", "full", "a.jpg.xmp"),
        ("a.jpg a.xmp a.jpg.xmp", "a.jpg", "short", "a.xmp"),
        ("A.JPG A.XMP", "A.JPG", "full", "A.XMP"),
        ("a.jpg a.jpg.XMP", "a.jpg", "full", "a.jpg.XMP"),
        ("a.jpg A.JPG A.JPG.xmp", "a.jpg", "full", "a.jpg.xmp"),
        ("a.nef a.jpg", "a.nef", "short", "a.xmp"),
        ("a.nef a.jpg", "a.jpg", "short", "a.jpg.xmp"),
        ("a.nef a.jpg a.xmp", "a.jpg", "full", "a.jpg.xmp"),
        ("a.nef a.jpg a.xmp", "a.nef", "full", "a.xmp"),
        ("a.mp4 a.wav a.xmp", "a.mp4", "full", "a.mp4.xmp"),
        ("a.nef A.JPG a.xmp", "A.JPG", "short", "A.JPG.xmp"),
        ("a.mp4 a.srt", "a.mp4", "short", "a.xmp"),
        ("a.b.jpg", "a.b.jpg", "short", "a.b.xmp"),
    ],
)
def test_the_sidecar_that_is_there_is_used_and_that_of_another_never(
    tmp_path: Path, there: str, original: str, names: str, sidecar: str
) -> None:
    for name in there.split():
        (tmp_path / name).touch()
    found = Naming(names).beside((tmp_path / original).as_uri())  # type: ignore[arg-type]
    assert found.name == sidecar


def test_sidecars_of_buckets_and_of_lost_originals_have_a_folder_only(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="--out DIR"):
        Naming("full").beside("s3://bucket/a.jpg")
    assert below(tmp_path, "s3://bucket/x/a.jpg", "key") == tmp_path / "s3/bucket/x/a.jpg.xmp"
    assert below(tmp_path, "", "key") == tmp_path / "key.xmp"
    assert below(tmp_path, "file:///x%20y/%C3%A9.jpg", "key") == tmp_path / "x y/é.jpg.xmp"


# Files


def test_a_sidecar_that_changed_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "a.xmp"
    path.write_bytes(b"<theirs/>")
    with pytest.raises(SourceChanged):
        put_sidecar(path, b"<ours/>", b"<before/>")
    with pytest.raises(SourceChanged):
        put_sidecar(path, b"<ours/>", None)
    assert path.read_bytes() == b"<theirs/>"
    assert os.listdir(tmp_path) == ["a.xmp"]


def test_a_link_is_followed_and_rights_are_kept(tmp_path: Path) -> None:
    real, link = tmp_path / "real.xmp", tmp_path / "link.xmp"
    real.write_bytes(b"1")
    real.chmod(0o640)
    link.symlink_to(real)
    put_sidecar(link, b"2", b"1")
    assert link.is_symlink()
    assert (real.read_bytes(), real.stat().st_mode & 0o777) == (b"2", 0o640)


def test_a_link_to_an_original_is_never_written(tmp_path: Path) -> None:
    original = tmp_path / "a.jpg"
    original.write_bytes(b"picture")
    (tmp_path / "a.xmp").symlink_to(original)
    with pytest.raises(ConfigurationError, match="no sidecar"):
        put_sidecar(tmp_path / "a.xmp", b"<x/>", b"picture")
    assert original.read_bytes() == b"picture"


def test_what_was_left_by_a_killed_process_is_removed_after_a_while(tmp_path: Path) -> None:
    old, young = (tmp_path / f".dam-sidecar-{name}.tmp" for name in ("1-a", "2-b"))
    for one in (old, young):
        one.write_bytes(b"part")
    os.utime(old, (time.time() - 7200,) * 2)
    put_sidecar(tmp_path / "a.xmp", b"<x/>", None)
    assert not old.exists()
    assert young.exists()


@pytest.mark.slow
def test_a_process_that_is_killed_at_any_moment_leaves_a_whole_sidecar(tmp_path: Path) -> None:
    """Two contents take turns in a loop; whenever it is killed, one of them is there."""
    path = tmp_path / "a.xmp"
    contents = [bytes([digit]) * 300_000 for digit in b"12"]
    path.write_bytes(contents[0])
    code = (
        "import os, sys; from pathlib import Path\n"
        "from dam_pipeline.sidecars.files import put_sidecar\n"
        "one, other = (bytes([d]) * 300_000 for d in b'12')\n"
        "path = Path(sys.argv[1])\n"
        "for _ in sys.stdin:\n"
        "    if child := os.fork():\n"
        "        print(child, flush=True); os.waitpid(child, 0); print('ended', flush=True)\n"
        "        continue\n"
        "    before = path.read_bytes()\n"
        "    while True:\n"
        "        after = other if before == one else one\n"
        "        put_sidecar(path, after, before); before = after\n"
    )
    seen = random.Random(7)
    command = [sys.executable, "-c", code, str(path)]
    with subprocess.Popen(command, stdin=PIPE, stdout=PIPE, text=True, bufsize=1) as forking:
        assert forking.stdin
        assert forking.stdout
        for _ in range(12):
            print("go", file=forking.stdin)
            child = int(forking.stdout.readline())
            time.sleep(seen.uniform(0.0, 0.05))
            os.kill(child, signal.SIGKILL)
            assert forking.stdout.readline() == "ended\n"
            assert read_sidecar(path) in contents
        forking.stdin.close()
    assert len(list(tmp_path.iterdir())) > 1  # some were killed while they wrote
