"""Tags written into copies: the same text comes back, whatever it is, and nothing else changes."""

import hashlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from dam_pipeline.errors import UnreadableMedia, UnsupportedMedia
from dam_pipeline.media.exif_writer import ExifWriter
from dam_pipeline_tests.clips import encode, exiftool, place, shots

TEXTS = (
    "plain",
    "two\nlines",
    "Windows\r\nlines",
    "  blanks around  ",
    "-begins with a dash",
    "@begins with an at",
    "#begins with a hash",
    "a tab\there",
    "Ünïcödé, 日本語, שלום, 😀👨‍👩‍👧",
    "<b>&amp; &#65; \"quotes\" 'and' more",
    "{braces=1,[brackets]}",
    "back\\slash \\n $dollar 100%",
    "1.10",
    "007",
    "TRUE",
    "base64:aGFsbG8=",
    "x" * 5000,
)
FILES = ("picture.jpg", "picture.png", "picture.tif", "clip.mov", "clip.mp4")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("masters")
    for name in FILES[:3]:
        Image.fromarray(place(1, 64, 48)).save(made / name)
    exiftool("-Make=Maker", "-Model=One", "-DateTimeOriginal=2024:05:06 07:08:09", made / FILES[0])
    for name in FILES[3:]:
        encode(made / name, shots([5], 64, 48))
    return made


@pytest.fixture(scope="module")
def writer() -> Iterator[ExifWriter]:
    with ExifWriter() as opened:
        yield opened


def said(path: Path, tag: str) -> str:
    """A tag's value as another exiftool gives it, byte for byte."""
    done = subprocess.run(["exiftool", "-b", f"-{tag}", path], capture_output=True, check=True)
    return done.stdout.decode()


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: repr(text[:12]))
def test_a_text_comes_back_as_it_was_written(writer, folder, tmp_path, text):
    target = tmp_path / "copy.jpg"
    tags = {"XMP-dc:Title": text, "IPTC:ObjectName": text, "IPTC:CodedCharacterSet": "UTF8"}
    found = writer.write(folder / "picture.jpg", target, tags)
    assert found["XMP-dc:Title"] == found["IPTC:ObjectName"] == text
    assert said(target, "XMP-dc:Title") == text


@pytest.mark.parametrize("name", FILES)
def test_all_kinds_of_files_take_texts_and_lists(writer, folder, tmp_path, name):
    texts = [text for text in TEXTS if len(text) < 100]
    found = writer.write(folder / name, tmp_path / name, {"XMP-dc:Subject": texts})
    assert found == {"XMP-dc:Subject": texts}
    assert writer.read(tmp_path / name, ["XMP-dc:all"]) == {"XMP-dc:Subject": texts}


@pytest.mark.parametrize("name", ["clip.mov", "clip.mp4"])
def test_quicktime_keys_take_any_text(writer, folder, tmp_path, name):
    for text in TEXTS:
        tags = {"Keys:Title": text, "ItemList:Title": text, "Keys:Keywords": f"{text}, {text}"}
        assert writer.write(folder / name, tmp_path / name, tags) == tags


def test_ten_thousand_keywords_are_all_there(writer, folder, tmp_path):
    words = [f"keyword {number} é" for number in range(10_000)]
    tags = {"XMP-dc:Subject": words, "IPTC:Keywords": words, "IPTC:CodedCharacterSet": "UTF8"}
    found = writer.write(folder / "picture.jpg", tmp_path / "many.jpg", tags)
    assert found["XMP-dc:Subject"] == found["IPTC:Keywords"] == words


def test_files_and_folders_may_have_any_name(writer, folder, tmp_path):
    odd = tmp_path / "a folder\nof two lines é"
    odd.mkdir()
    for name in (b"-dash.jpg", b"@at.jpg", b"#hash.jpg", b"two\nlines.jpg", b"\xff.jpg"):
        target = odd / os.fsdecode(name)
        writer.write(folder / "picture.jpg", target, {"XMP-dc:Title": "here"})
        assert writer.read(target, ["XMP-dc:Title"]) == {"XMP-dc:Title": "here"}
    assert len(list(odd.iterdir())) == 5


def test_the_same_tags_give_the_same_bytes_later(writer, folder, tmp_path):
    tags = {"XMP-dc:Title": "é", "XMP-dc:Subject": ["a", "b"]}
    for name in FILES:
        writer.write(folder / name, tmp_path / f"first-{name}", tags)
    time.sleep(1.1)  # the clocks of all formats tick
    with ExifWriter() as another:
        for name in FILES:
            another.write(folder / name, tmp_path / f"second-{name}", tags)
            assert digest(tmp_path / f"first-{name}") == digest(tmp_path / f"second-{name}")


def test_what_the_camera_wrote_stays_and_empty_values_take_tags_away(writer, folder, tmp_path):
    before = digest(folder / "picture.jpg")
    target = tmp_path / "copy.jpg"
    writer.write(folder / "picture.jpg", target, {"XMP-dc:Title": "a", "XMP-dc:Subject": ["b"]})
    assert writer.write(target, target, {"XMP-dc:Title": "", "XMP-dc:Subject": []}) == {}
    assert said(target, "Make") == "Maker"
    assert said(target, "DateTimeOriginal") == "2024:05:06 07:08:09"
    assert digest(folder / "picture.jpg") == before


def test_a_sidecar_is_made_of_tags_alone(writer, tmp_path):
    target = tmp_path / "beside.xmp"
    writer.write(None, target, {"XMP-dc:Title": "two\nlines", "XMP-xmp:Rating": "4"})
    assert writer.read(target, ["XMP-dc:all", "XMP-xmp:all"]) == {
        "XMP-dc:Title": "two\nlines",
        "XMP-xmp:Rating": "4",
    }


def test_a_file_that_is_refused_leaves_its_target_as_it_was(writer, folder, tmp_path):
    target = tmp_path / "copy.jpg"
    target.write_bytes(b"as it was")
    with pytest.raises(UnreadableMedia, match="looks more like a PNG"):
        writer.write(folder / "picture.png", target, {"XMP-dc:Title": "a"})
    assert target.read_bytes() == b"as it was"
    assert list(tmp_path.iterdir()) == [target]


def test_a_kind_that_takes_no_tags_is_refused(writer, folder, tmp_path):
    with pytest.raises(UnsupportedMedia, match=r"\.mkv"):
        writer.write(folder / "clip.mov", tmp_path / "clip.mkv", {"XMP-dc:Title": "a"})


def test_exiftool_is_replaced_when_it_dies(folder, tmp_path):
    with ExifWriter() as writer:
        writer.write(folder / "picture.jpg", tmp_path / "a.jpg", {"XMP-dc:Title": "a"})
        assert writer.pid
        os.kill(writer.pid, signal.SIGKILL)
        found = writer.write(folder / "picture.jpg", tmp_path / "b.jpg", {"XMP-dc:Title": "b"})
    assert found == {"XMP-dc:Title": "b"}
