"""Objects in buckets of a real S3 server: listing, identity, refusals, copies."""

import hashlib
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from threading import Event, Thread

import numpy as np
import pytest

from dam_pipeline.errors import ConfigurationError, DiskFull, SourceChanged, SourceUnavailable
from dam_pipeline.identity import WHOLE_UP_TO_BYTES, fingerprint_file
from dam_pipeline.sources import s3
from dam_pipeline.sources.content import Content, address_identity
from dam_pipeline.sources.originals import bring
from dam_pipeline.sources.s3_listing import list_objects
from dam_pipeline.stages.scratch import Copies, Room, make_scratch
from dam_pipeline.stages.work import Stopped
from dam_pipeline_tests.s3_server import Bucket, CuttingProxy, ask_as

pytestmark = pytest.mark.s3


# What a bucket holds


def test_a_folder_of_keys_is_listed_with_what_was_passed_over(bucket: Bucket) -> None:
    for key in ("day/a b+c%20é.mp4", "day/.b.mp4", "day/deep/c.jpg", "day/notes.txt", "day2/d.mp4"):
        bucket.put(key, key.encode())
    bucket.put("day/empty/", b"")
    listing = list_objects(f"{bucket.uri}/day/", ["*.jpg"])
    assert listing.root == f"{bucket.uri}/day"
    assert [file.uri for file in listing.files] == [f"{bucket.uri}/day/a b+c%20é.mp4"]
    skipped = listing.skipped
    assert (skipped.hidden, skipped.excluded, skipped.other, skipped.total) == (1, 1, 1, 3)


def test_one_object_can_be_named(bucket: Bucket) -> None:
    uri = bucket.put("a.mp4", b"a")
    bucket.put("a.mp4.mp4", b"b")
    assert [file.uri for file in list_objects(uri).files] == [uri]


def test_more_objects_than_a_page_holds_are_all_listed(bucket: Bucket) -> None:
    folder = bucket.server.folder / "data" / bucket.name
    for number in range(1203):  # straight onto the server's disk: such objects have no ETag either
        (folder / f"{number:04}.jpg").write_bytes(b"%d" % number)
    files = list_objects(bucket.uri).files
    assert [file.uri[-8:] for file in files] == [f"{number:04}.jpg" for number in range(1203)]
    assert s3.read_content(files[1202]) is not None


@pytest.mark.parametrize("size_bytes", [1, 5 << 20, WHOLE_UP_TO_BYTES + 4321])
def test_an_object_is_the_same_media_as_the_file_it_was_made_from(
    bucket: Bucket, tmp_path: Path, size_bytes: int
) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(np.random.default_rng(size_bytes).bytes(size_bytes))
    bucket.put("a.mp4", path)
    (file,) = list_objects(bucket.uri).files
    assert s3.read_content(file) == Content(fingerprint_file(path))
    assert s3.whole_sha256(file) == hashlib.sha256(path.read_bytes()).hexdigest()
    bring(file, fingerprint_file(path), tmp_path / "copy.mp4", lambda _bytes: None)
    assert (tmp_path / "copy.mp4").read_bytes() == path.read_bytes()


def test_an_empty_object_is_known_by_its_address(bucket: Bucket) -> None:
    uri = bucket.put("a.mp4", b"")
    (file,) = list_objects(bucket.uri).files
    s3.check(file)
    assert s3.read_content(file) == Content(address_identity(uri, 0), is_readable=False)


def test_other_bytes_of_the_same_size_in_the_same_second_are_seen(bucket: Bucket) -> None:
    bucket.put("a.mp4", b"before")
    (before,) = list_objects(bucket.uri).files
    bucket.put("a.mp4", b"behind")
    (after,) = list_objects(bucket.uri).files
    assert before.mtime_ns != after.mtime_ns
    assert s3.read_content(before) is None
    assert s3.whole_sha256(before) is None
    with pytest.raises(SourceChanged, match=r"a\.mp4 changed after it was found"):
        s3.check(before)
    s3.check(after)


def test_an_object_that_has_gone_is_neither_read_nor_brought(
    bucket: Bucket, tmp_path: Path
) -> None:
    bucket.put("a.mp4", b"here")
    (file,) = list_objects(bucket.uri).files
    bucket.delete("a.mp4")
    assert s3.read_content(file) is None
    assert s3.whole_sha256(file) is None
    with pytest.raises(SourceUnavailable, match=r"a\.mp4 is gone"):
        s3.check(file)
    with pytest.raises(SourceUnavailable, match=r"a\.mp4 is gone"):
        s3.download(file, tmp_path / "copy")


def test_a_copy_that_is_not_the_media_it_was_taken_for_is_refused(
    bucket: Bucket, tmp_path: Path
) -> None:
    bucket.put("a.mp4", b"bytes")
    (file,) = list_objects(bucket.uri).files
    with pytest.raises(SourceChanged, match="holds other bytes"):
        bring(file, "0" * 32, tmp_path / "copy.mp4", lambda _bytes: None)


# What cannot be reached


def test_a_bucket_that_is_not_there_is_named(bucket: Bucket) -> None:
    with pytest.raises(SourceUnavailable, match=r"There is no bucket nowhere-at-all\. Check"):
        list_objects("s3://nowhere-at-all/films")


def test_a_folder_that_is_not_there_is_named(bucket: Bucket) -> None:
    with pytest.raises(ConfigurationError, match=rf"There is nothing at {bucket.uri}/films\."):
        list_objects(f"{bucket.uri}/films/")


@pytest.mark.usefixtures("as_guest")
def test_a_bucket_that_may_not_be_listed_is_named(bucket: Bucket) -> None:
    with pytest.raises(SourceUnavailable, match=r"may not be listed .* s3:ListBucket"):
        list_objects(bucket.uri)


# Copies


def copies_of(
    limit_bytes: int, home: Path, check_stopped: Callable[[], None] = lambda: None
) -> Copies:
    """Copies of one process; like those of the pipeline, but in folders that the test names."""
    scratch = make_scratch(home)
    return Copies(Room(limit_bytes, lambda: scratch), check_stopped)


def test_a_copy_goes_on_where_the_connection_was_lost(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = np.random.default_rng(5).bytes(20 << 20)
    bucket.put("a.mp4", content)
    (file,) = list_objects(bucket.uri).files
    with CuttingProxy(bucket.server.url, cut_after_bytes=9 << 20) as proxy:
        ask_as(monkeypatch, {"AWS_ENDPOINT_URL": proxy.url})
        s3.download(file, tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == content
    first, second = proxy.ranges
    assert first == f"bytes=0-{(20 << 20) - 1}"
    assert 8 << 20 <= int(re.findall(r"\d+", second)[0]) < 10 << 20


def test_a_copy_waits_while_another_thread_is_at_work_on_what_fills_the_room(
    bucket: Bucket, tmp_path: Path
) -> None:
    for name in "ab":
        bucket.put(f"{name}.mp4", name.encode() * 60)
    a, b = list_objects(bucket.uri).files
    ids = {file: s3.read_content(file).media_id for file in (a, b)}
    working, may_end = Event(), Event()
    copies = copies_of(
        100, tmp_path, may_end.set
    )  # asked while it waits: only then may the other thread end

    def work() -> None:
        copies.path(ids[a], a, tmp_path / "a")
        working.set()
        may_end.wait()

    other = Thread(target=work)
    other.start()
    working.wait()
    assert copies.path(ids[b], b, tmp_path / "b").read_bytes() == b"b" * 60
    other.join()
    assert may_end.is_set()
    assert not (tmp_path / "a").exists()


def test_a_run_that_ends_while_an_original_is_brought_leaves_nothing_of_it(
    bucket: Bucket, tmp_path: Path
) -> None:
    bucket.put("a.mp4", b"a" * 60)
    (file,) = list_objects(bucket.uri).files

    def stop() -> None:
        raise Stopped

    copies = copies_of(100, tmp_path, stop)
    with pytest.raises(Stopped):
        copies.path("0" * 32, file, tmp_path / "a")
    assert [path.name for path in tmp_path.iterdir()] == ["scratch"]
    assert not copies.has("0" * 32)


def test_a_copy_makes_room_for_the_next_when_no_thread_is_at_work_on_it(
    bucket: Bucket, tmp_path: Path
) -> None:
    for name in "abc":
        bucket.put(f"{name}.mp4", name.encode() * 60)
    files = {file.uri[-5]: file for file in list_objects(bucket.uri).files}
    ids = {name: s3.read_content(file).media_id for name, file in files.items()}
    copies = copies_of(150, tmp_path)
    paths = {name: copies.path(ids[name], files[name], tmp_path / name) for name in "abab"}
    assert paths["a"].read_bytes() == b"a" * 60
    copies.path(ids["c"], files["c"], tmp_path / "c")
    assert [copies.has(ids[name]) for name in "abc"] == [False, True, True]
    assert copies.path(ids["a"], files["a"], tmp_path / "a").read_bytes() == b"a" * 60
    for name in "abc":
        copies.drop(ids[name])
    assert [path.name for path in tmp_path.iterdir()] == ["scratch"]


def test_an_object_over_the_limit_is_refused_with_the_setting(
    bucket: Bucket, tmp_path: Path
) -> None:
    bucket.put("a.mp4", b"12345")
    (file,) = list_objects(bucket.uri).files
    with pytest.raises(DiskFull, match=r"has 5 bytes.*Raise DAM_SCRATCH_BYTES"):
        copies_of(4, tmp_path).path("0" * 32, file, tmp_path / "a")


def test_only_scratch_folders_of_dead_processes_of_this_machine_are_cleaned(tmp_path: Path) -> None:
    own = make_scratch(tmp_path)
    elsewhere = own.with_name("1-1-another_host-x")
    elsewhere.mkdir()
    ended = subprocess.Popen(["sleep", "0"])
    ended.wait()
    dead = own.with_name(own.name.replace(str(os.getpid()), str(ended.pid), 1))
    dead.mkdir()
    (dead / "film.mp4").write_bytes(b"left")
    again = make_scratch(tmp_path)
    assert set((tmp_path / "scratch").iterdir()) == {own, again, elsewhere}
