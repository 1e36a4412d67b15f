"""Ticks over a watched bucket of a real S3 server: what appears, changes, vanishes, and refusals."""

import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dam_pipeline.catalogue.catalogue import open_catalogue
from dam_pipeline.catalogue.look_states import unfinished_listing
from dam_pipeline.catalogue.registry import Source, accept_source, add_source, list_sources
from dam_pipeline.catalogue.watching import Afoot, Watched, watch
from dam_pipeline.settings import load_settings
from dam_pipeline_tests.places import Library, write
from dam_pipeline_tests.s3_server import (
    Bucket,
    CuttingProxy,
    ask_as,
    killed,
    open_bucket,
    running_server,
)

pytestmark = pytest.mark.s3


@pytest.fixture
def library(tmp_path: Path, bucket: Bucket) -> Iterator[Library]:
    """A library that watches `films` in the bucket; `settle_s` must not matter to it."""
    settings = load_settings(tmp_path / "home").model_copy(update={"settle_s": 60.0})
    folder = tmp_path / "disk"
    folder.mkdir()
    with open_catalogue(settings.home) as catalogue:
        opened = Library(settings, catalogue, folder)
        opened.source = add_source(settings, f"{bucket.uri}/films", exclude=["proxies"])
        yield opened


def films(library: Library, bucket: Bucket, count: int = 4) -> Watched:
    for number in range(count):
        bucket.put(f"films/{number}.mp4", f"film {number}".encode())
    return library.look()


def present(library: Library) -> list[str]:
    """Keys below `films` that are present, or paths on the disk."""
    places = (place for place in library.catalogue.locations() if place.missing_since is None)
    return [place.uri.partition("/films/")[2] or place.uri for place in places]


# What appears, changes and goes


def test_an_object_is_registered_at_the_first_look(library: Library, bucket: Bucket) -> None:
    bucket.put("films/proxies/a.mp4", b"small")
    bucket.put("other/a.mp4", b"elsewhere")
    watched = films(library, bucket, 2)
    assert [media.first_name for media in watched.new] == ["0.mp4", "1.mp4"]
    assert {place.source for place in library.catalogue.locations()} == {"films"}
    again = library.look()
    assert (again.new, again.waiting, again.unread, again.files) == ([], 0, 0, 2)


def test_an_upload_under_way_is_seen_when_it_ends(library: Library, bucket: Bucket) -> None:
    where = {"Bucket": bucket.name, "Key": "films/long.mp4"}
    upload = bucket.client.create_multipart_upload(**where)["UploadId"]
    etags = []
    for number in (1, 2):
        part = bucket.client.upload_part(
            **where, UploadId=upload, PartNumber=number, Body=b"%d" % number * (5 << 20)
        )
        etags.append({"PartNumber": number, "ETag": part["ETag"]})
        assert library.look().files == 0
    bucket.client.complete_multipart_upload(
        **where, UploadId=upload, MultipartUpload={"Parts": etags}
    )
    (media,) = library.look().new
    assert media.size_bytes == 10 << 20


@pytest.mark.parametrize("has_etag", [True, False])
def test_other_content_under_the_same_key_supersedes_it(
    library: Library, bucket: Bucket, has_etag: bool
) -> None:
    put = bucket.put if has_etag else bucket.drop
    put("films/a.mp4", b"before")
    (old,) = library.look().new
    put("films/a.mp4", b"behind!" if not has_etag else b"behind")
    watched = library.look()
    assert [media.media_id for media in watched.superseded] == [old.media_id]
    assert watched.new[0].asset_id == old.asset_id


def test_the_same_bytes_uploaded_again_are_no_other_media(library: Library, bucket: Bucket) -> None:
    path = bucket.drop("films/a.mp4", b"film")
    library.look()
    shutil.copy2(path, path.with_name("b.mp4"))
    path.write_bytes(b"film")
    (place,) = library.catalogue.locations()
    watched = library.look()
    assert (watched.new, watched.superseded) == ([], [])
    assert [one.first_name for one in watched.returned] == ["a.mp4"]
    assert present(library) == ["a.mp4", "b.mp4"]
    assert place.media_id == library.media()["a.mp4"].media_id


def test_deleted_and_renamed_objects_are_told_apart(library: Library, bucket: Bucket) -> None:
    films(library, bucket)
    bucket.delete("films/0.mp4")
    bucket.put("films/deep/renamed.mp4", b"film 1")
    bucket.delete("films/1.mp4")
    watched = library.look()
    assert (watched.new, watched.refusals) == ([], [])
    assert [media.first_name for media in watched.returned] == ["1.mp4"]
    assert present(library) == ["2.mp4", "3.mp4", "deep/renamed.mp4"]


def test_sidecars_beside_an_object_belong_to_it(library: Library, bucket: Bucket) -> None:
    bucket.put("films/a.mp4", b"film")
    library.look()
    bucket.put("films/a.xmp", b"<rating 5>")
    bucket.put("films/lonely.xmp", b"<rating 1>")
    library.settings = library.settings.model_copy(update={"settle_s": 0.0})
    assert [media.first_name for media in library.look().sidecars] == ["a.mp4"]
    assert library.look().sidecars == []
    bucket.delete("films/a.xmp")
    assert [media.sidecar_version for media in library.look().sidecars] == [""]


def test_the_same_content_on_disk_and_in_a_bucket_is_one_media(
    library: Library, bucket: Bucket
) -> None:
    disk = add_source(library.settings, library.folder)
    write(library.folder / "a.mp4", "film 0")
    (media,) = films(library, bucket, 1).new
    for _ in range(2):
        library.settings = library.settings.model_copy(update={"settle_s": 0.0})
        watched = watch(
            [disk, library.source],
            library.catalogue,
            library.derived,
            library.settings,
            library.afoot,
        )
    assert watched.new == []
    places = library.catalogue.locations_of([media.media_id])[media.media_id]
    assert {place.source for place in places} == {"films", "disk"}


# Refusals


def test_an_emptied_bucket_is_not_believed_until_a_person_says_so(
    library: Library, bucket: Bucket
) -> None:
    films(library, bucket)
    for number in range(4):
        bucket.delete(f"films/{number}.mp4")
    (refusal,) = library.look().refusals
    assert "is empty, but 4 files were there: it may be another bucket or folder" in refusal
    assert library.source.uri in refusal and "`dam source accept films`" in refusal
    assert len(present(library)) == 4
    accept_source(library.settings, "films")
    (library.source,) = list_sources(library.settings)
    assert library.look().refusals == []
    assert present(library) == []


def test_too_many_deleted_at_once_are_not_believed(library: Library, bucket: Bucket) -> None:
    films(library, bucket)
    for number in range(3):
        bucket.delete(f"films/{number}.mp4")
    assert "3 of 4 files vanished at once" in library.look().refusals[0]
    films(library, bucket)
    assert library.look().refusals == []


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "cannot be reached"),
        ({"AWS_SECRET_ACCESS_KEY": "wrong"}, "credentials were refused"),
        ({"AWS_ACCESS_KEY_ID": ""}, "there are none"),
    ],
)
def test_a_bucket_out_of_reach_changes_nothing(
    library: Library, bucket: Bucket, monkeypatch: pytest.MonkeyPatch, variables, words: str
) -> None:
    films(library, bucket)
    ask_as(monkeypatch, variables)
    (refusal,) = library.look().refusals
    assert words in refusal and "Nothing was changed" in refusal
    ask_as(monkeypatch, bucket.server.environment())
    assert library.look().refusals == []
    assert len(present(library)) == 4


def test_a_lost_bucket_and_denied_access_change_nothing(
    library: Library, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    films(library, bucket)
    hidden = bucket.server.folder / "data" / bucket.name
    hidden.rename(hidden.with_name("away"))
    assert "There is no bucket" in library.look().refusals[0]
    hidden.with_name("away").rename(hidden)
    guest = {
        "AWS_ACCESS_KEY_ID": bucket.server.guest_key,
        "AWS_SECRET_ACCESS_KEY": bucket.server.guest_secret,
    }
    ask_as(monkeypatch, guest)
    assert "s3:ListBucket" in library.look().refusals[0]
    assert len(present(library)) == 4


def test_the_rights_to_list_and_to_get_are_enough(
    library: Library, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.let_guests_read()
    guest = {
        "AWS_ACCESS_KEY_ID": bucket.server.guest_key,
        "AWS_SECRET_ACCESS_KEY": bucket.server.guest_secret,
    }
    bucket.put("films/0.xmp", b"<rating 5>")
    with CuttingProxy(bucket.server.url) as proxy:
        ask_as(monkeypatch, {**guest, "AWS_ENDPOINT_URL": proxy.url})
        assert len(films(library, bucket).new) == 4
    assert {asked.split()[0] for asked in proxy.asked} == {"GET"}


# Trouble on the way


@pytest.fixture
def short_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages of three keys, and a tick that has time for one of them."""
    monkeypatch.setattr("dam_pipeline.sources.s3_listing.PAGE_KEYS", 3)
    monkeypatch.setattr("dam_pipeline.catalogue.watching.LIST_S", 0.0)


@pytest.mark.usefixtures("short_pages")
def test_a_long_listing_goes_on_after_a_restart_where_it_was(
    library: Library, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(8):
        bucket.drop(f"films/{number}.mp4", b"%d" % number)
    with CuttingProxy(bucket.server.url) as proxy:
        ask_as(monkeypatch, {"AWS_ENDPOINT_URL": proxy.url})
        for listed in (3, 6):
            assert library.look().notes == [f"films: still listing, {listed} files so far"]
            library.afoot = Afoot()  # as a new process has it
        assert len(library.look().new) == 8
    starts = [asked.partition("start-after=")[2].partition("&")[0] for asked in proxy.asked]
    assert starts[:3] == ["", "films%2F2.mp4", "films%2F5.mp4"]
    assert not unfinished_listing(library.settings.home, "films").exists()


@pytest.mark.usefixtures("short_pages")
def test_a_torn_or_old_listing_is_no_obstacle(library: Library, bucket: Bucket) -> None:
    for number in range(8):
        bucket.drop(f"films/{number}.mp4", b"%d" % number)
    part = unfinished_listing(library.settings.home, "films")
    library.look()
    library.look()
    whole = part.read_bytes()
    part.write_bytes(whole[:-20])  # killed while it wrote
    library.afoot = Afoot()
    assert library.look().notes == ["films: still listing, 6 files so far"]
    assert part.read_bytes() == whole
    part.write_bytes(b"{")
    library.afoot = Afoot()
    assert library.look().notes == ["films: still listing, 3 files so far"]
    bucket.delete("films/0.mp4")
    hours_ago = time.time() - 7200
    os.utime(part, (hours_ago, hours_ago))
    library.afoot = Afoot()
    assert library.look().notes == ["films: still listing, 3 files so far"]
    library.look()
    assert len(library.look().new) == 7


@pytest.mark.usefixtures("short_pages")
def test_a_large_bucket_does_not_hold_up_a_small_one(library: Library, bucket: Bucket) -> None:
    for number in range(20):
        bucket.drop(f"films/{number:02}.mp4", b"%d" % number)
    bucket.drop("small/a.mp4", b"small")
    small = add_source(library.settings, f"{bucket.uri}/small")
    watched = watch(
        [library.source, small],
        library.catalogue,
        library.derived,
        library.settings,
        library.afoot,
    )
    assert [media.first_name for media in watched.new] == ["a.mp4"]
    assert watched.notes == ["films: still listing, 3 files so far"]


def test_sources_are_left_for_the_next_tick_when_others_took_its_time(
    library: Library, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = add_source(library.settings, f"{bucket.uri}/other")
    monkeypatch.setattr("dam_pipeline.catalogue.watching.LATEST_S", -1.0)
    sources = [library.source, other]
    watched = watch(sources, library.catalogue, library.derived, library.settings, library.afoot)
    assert watched.notes == ["other: left for the next look"]


def test_a_server_killed_while_it_is_listed_and_read_is_taken_up_when_it_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running_server() as server:
        bucket = open_bucket(server, monkeypatch)
        monkeypatch.setattr("dam_pipeline.sources.s3_listing.PAGE_KEYS", 3)
        settings = load_settings(tmp_path / "home")
        with open_catalogue(settings.home) as catalogue:
            library = Library(settings, catalogue, tmp_path)
            library.source = add_source(settings, bucket.uri, "films")
            for number in range(8):
                bucket.drop(f"{number}.mp4", b"%d" % number)
            with monkeypatch.context() as hurry:
                hurry.setattr("dam_pipeline.catalogue.watching.LIST_S", 0.0)
                library.look()
            with killed(server):
                (refusal,) = library.look().refusals
                assert "cannot be reached" in refusal
            library.settings = settings.model_copy(update={"sensor_step_files": 0})
            assert library.look().unread == 8
            library.settings = settings
            walk = _listed_before_the_kill(library)
            with killed(server):
                watched = watch([library.source], catalogue, library.derived, settings, walk)
                assert (watched.new, watched.unread) == ([], 8)
                assert "cannot be reached" in watched.notes[0]
            assert len(library.look().new) == 8


def _listed_before_the_kill(library: Library) -> Afoot:
    """A tick that has listed, but not read yet."""
    from dam_pipeline.sources.originals import open_walk

    part = unfinished_listing(library.settings.home, "films")
    walk = open_walk(library.source.uri, library.settings, (), part)
    walk.go_on()
    return Afoot({library.source: _Done(walk)})


class _Done:
    """A listing that is through."""

    def __init__(self, walk) -> None:
        self.listing, self.found, self.exclude = walk.listing, walk.found, walk.exclude

    def go_on(self, until_s: float | None = None) -> bool:
        return True


def test_what_the_pipeline_itself_stores_in_the_bucket_is_no_original(
    library: Library, bucket: Bucket
) -> None:
    bucket.put("dam/derived/poster.jpg", b"poster")
    bucket.put("films/a.mp4", b"film")
    update = {"storage_url": f"{bucket.uri}/dam"}
    library.settings = library.settings.model_copy(update=update)
    whole = Source("all", bucket.uri)
    watched = watch([whole], library.catalogue, library.derived, library.settings, library.afoot)
    assert [media.first_name for media in watched.new] == ["a.mp4"]


def test_keys_with_odd_characters_are_just_keys(library: Library, bucket: Bucket) -> None:
    names = [
        "a b.mp4",
        "%41.mp4",
        "é\u0301.mp4",
        "new\nline.mp4",
        "q?x=1&y#z.mp4",
        "x" * 200 + ".mp4",
    ]
    for number, name in enumerate(names):
        bucket.put(f"films/{name}", b"%d" % number)
    bucket.put("films/folder.mp4/", b"")
    bucket.put("films/deep/er/and/deeper.mp4", b"deep")
    bucket.put("films/zero.mp4", b"")
    watched = library.look()
    assert watched.unread == 0
    assert len(watched.new) == len(names) + 2
    assert sorted(present(library)) == sorted([*names, "deep/er/and/deeper.mp4", "zero.mp4"])
    assert library.look().new == []
