"""Reading originals: fingerprints, whole checksums, and what happens when a file does not keep still."""

import hashlib
import os
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from dam_pipeline.identity import WHOLE_UP_TO_BYTES, fingerprint_file
from dam_pipeline.sources.content import address_identity, read_content, whole_sha256
from dam_pipeline.sources.folder import list_place
from dam_pipeline.sources.listing import Listed
from dam_pipeline.sources.wholes import WAITING_AT_MOST, BackgroundWholes
from dam_pipeline_tests.places import as_ordinary_user, sparse, write


def listed(path: Path) -> Listed:
    return list_place(path).files[0]


@pytest.mark.parametrize("size_bytes", [1, WHOLE_UP_TO_BYTES, WHOLE_UP_TO_BYTES + 1])
def test_content_is_the_fingerprint_of_the_file(tmp_path: Path, size_bytes: int) -> None:
    clip = sparse(tmp_path / "a.mp4", size_bytes, {size_bytes - 1: b"x"})
    content = read_content(listed(clip))
    assert (content.media_id, content.is_readable) == (fingerprint_file(clip), True)


def test_an_empty_file_is_known_by_its_address(tmp_path: Path) -> None:
    file = listed(write(tmp_path / "a.mp4"))
    assert read_content(file).media_id == address_identity(file.uri, 0)


def test_an_unreadable_file_is_known_by_its_address_and_size(tmp_path: Path) -> None:
    clip = write(tmp_path / "a.mp4", "clip")
    clip.chmod(0)
    file = listed(clip)
    with as_ordinary_user():
        content = read_content(file)
        assert whole_sha256(file) is None
    assert (content.media_id, content.is_readable) == (address_identity(file.uri, 4), False)


def test_a_file_that_changed_since_it_was_listed_has_no_content_yet(tmp_path: Path) -> None:
    clip = write(tmp_path / "a.mp4", "clip")
    file = listed(clip)
    write(clip, "longer clip")
    assert read_content(file) is None
    assert whole_sha256(file) is None


def test_a_file_that_vanished_has_no_content(tmp_path: Path) -> None:
    clip = write(tmp_path / "a.mp4", "clip")
    file = listed(clip)
    clip.unlink()
    assert read_content(file) is None


def test_a_pipe_in_the_place_of_a_file_hangs_nobody(tmp_path: Path) -> None:
    clip = write(tmp_path / "a.mp4", "clip")
    file = listed(clip)
    clip.unlink()
    os.mkfifo(clip)
    assert read_content(file) is None


def test_the_whole_checksum_is_that_of_every_byte(tmp_path: Path) -> None:
    clip = sparse(tmp_path / "a.mp4", 9 << 20, {5 << 20: b"middle"})
    read: list[int] = []
    assert whole_sha256(listed(clip), read.append) == hashlib.sha256(clip.read_bytes()).hexdigest()
    assert sum(read) == 9 << 20


def test_whole_checksums_come_from_the_background(tmp_path: Path) -> None:
    files = [listed(write(tmp_path / f"{name}.mp4", name)) for name in "ab"]
    wholes = BackgroundWholes()
    assert wholes.whole(files) == {}
    assert wholes.wait(10)
    assert wholes.whole(files) == {file.uri: whole_sha256(file) for file in files}
    assert wholes.whole(files)  # and again: a look that failed may ask once more


def test_a_file_that_was_edited_meanwhile_is_read_anew(tmp_path: Path) -> None:
    file = listed(write(tmp_path / "a.mp4", "clip"))
    wholes = BackgroundWholes(read=lambda one: str(one.mtime_ns))
    wholes.whole([file])
    assert wholes.wait(10)
    edited = replace(file, mtime_ns=file.mtime_ns + 1)
    assert wholes.whole([edited]) == {}
    assert wholes.wait(10)
    assert wholes.whole([edited]) == {file.uri: str(edited.mtime_ns)}


def test_only_so_many_files_wait_in_the_background(tmp_path: Path) -> None:
    go = threading.Event()
    read: list[str] = []

    def slowly(file: Listed) -> str:
        go.wait(10)
        read.append(file.uri)
        return "aa"

    wholes = BackgroundWholes(slowly)
    wholes.whole([Listed(f"file:///{number}.mp4", 1, 1) for number in range(WAITING_AT_MOST + 50)])
    go.set()
    assert wholes.wait(10)
    assert len(read) == WAITING_AT_MOST
