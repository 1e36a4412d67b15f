"""Registering what is at some paths: media, places, keys, `media.json`, on a real catalogue."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dam_pipeline.catalogue.catalogue import open_catalogue
from dam_pipeline.catalogue.discovery import Discovery, discover
from dam_pipeline.errors import ConfigurationError
from dam_pipeline.identity import WHOLE_UP_TO_BYTES, fingerprint_file, path_to_uri
from dam_pipeline.records import Provenance, State, StoredOutcome
from dam_pipeline.settings import load_settings
from dam_pipeline.sources.content import collision_identity, whole_sha256
from dam_pipeline.sources.folder import list_place
from dam_pipeline_tests.places import Library, aged, as_ordinary_user, sparse, write


@pytest.fixture
def library(tmp_path: Path, database_url: str) -> Iterator[Library]:
    settings = load_settings(tmp_path / "home").model_copy(
        update={"settle_s": 0.2, "postgres_url": database_url}
    )
    folder = tmp_path / "films"
    folder.mkdir()
    with open_catalogue(settings.home, database_url) as catalogue:
        yield Library(settings, catalogue, folder)


def ingest(library: Library, *paths: Path) -> Discovery:
    return discover(paths or [library.folder], library.catalogue, library.derived, library.settings)


def keep_checksum(library: Library, media_id: str, sha256: str) -> None:
    """As the stage `checksum` leaves it."""
    provenance = Provenance("1", "", {}, "run", "2026-01-01", 0.0, {})
    result = {"sha256": sha256}
    outcome = StoredOutcome(
        media_id, "checksum", State.DONE, "", False, 1, result, 0, "v", provenance
    )
    library.derived.write_outcome(outcome, None)


def test_a_folder_becomes_media_with_readable_keys(library: Library) -> None:
    clip = write(library.folder / "Day 1" / "A001 Übung.MP4", "clip")
    write(library.folder / "b.jpg", "picture")
    found = ingest(library)
    assert (found.discovered, found.unchanged, found.waiting) == (2, 0, ())
    video, image = found.new
    assert video.media_id == fingerprint_file(clip)
    assert video.partition_key == f"a001-ubung-{video.media_id[:12]}"
    assert (video.kind.value, image.kind.value) == ("video", "image")
    assert (video.asset_id, video.first_name) == (video.media_id, "A001 Übung.MP4")
    assert [(one.media, one.uri) for one in found.media] == [
        (video, path_to_uri(clip)),
        (image, path_to_uri(library.folder / "b.jpg")),
    ]


def test_who_a_media_is_and_where_it_lies_is_kept_in_its_own_file(library: Library) -> None:
    clip = write(library.folder / "a.mp4", "clip")
    (media,) = ingest(library).new
    stored, places = library.derived.media(media.media_id)
    assert stored == media == library.catalogue.media([media.media_id])[media.media_id]
    assert [place.uri for place in places] == [path_to_uri(clip)]
    assert places == library.catalogue.locations()


def test_a_second_discovery_finds_nothing_new(library: Library) -> None:
    write(library.folder / "a.mp4", "clip")
    first, second = ingest(library), ingest(library)
    assert (second.new, second.returned, second.unchanged) == ((), (), 1)
    assert second.media == first.media


def test_the_same_bytes_twice_are_one_media_at_two_places(library: Library) -> None:
    write(library.folder / "a.mp4", "clip")
    write(library.folder / "copy of a.mp4", "clip")
    found = ingest(library)
    assert (len(found.new), found.discovered, found.unchanged) == (1, 2, 1)
    assert set(library.present()) == {"a.mp4", "copy%20of%20a.mp4"}


@pytest.mark.parametrize("new_name", ["b.mp4", "A.MP4", "deep/er/a.mp4"])
def test_a_renamed_file_keeps_media_and_key(library: Library, new_name: str) -> None:
    old = write(library.folder / "a.mp4", "clip")
    (media,) = ingest(library).new
    (library.folder / new_name).parent.mkdir(parents=True, exist_ok=True)
    old.rename(library.folder / new_name)
    found = ingest(library)
    assert (found.new, found.unchanged) == ((), 1)
    assert library.present() == {new_name: media.media_id}
    stored, places = library.derived.media(media.media_id)
    assert stored == media
    assert {place.uri: place.missing_since is None for place in places} == {
        path_to_uri(old): False,
        path_to_uri(library.folder / new_name): True,
    }


def test_a_file_named_alone_after_its_rename_has_moved(library: Library) -> None:
    old = write(library.folder / "a.mp4", "clip")
    ingest(library)
    new = old.rename(library.folder / "b.mp4")
    assert ingest(library, new).new == ()
    assert list(library.present()) == ["b.mp4"]


def test_changed_content_is_a_media_that_inherits_the_asset(library: Library) -> None:
    clip = write(library.folder / "a.mp4", "first cut")
    (old,) = ingest(library).new
    write(clip, "second cut")
    (new,) = ingest(library).new
    assert new.asset_id == old.asset_id == old.media_id != new.media_id
    assert library.present() == {"a.mp4": new.media_id}
    known = library.catalogue.media([old.media_id])[old.media_id]
    assert known.superseded_by == new.media_id
    assert library.derived.media(old.media_id)[0] == known
    assert library.media() == {"a.mp4": new}


def test_content_that_is_put_back_is_current_again(library: Library) -> None:
    clip = write(library.folder / "a.mp4", "first cut")
    (old,) = ingest(library).new
    write(clip, "second cut")
    ingest(library)
    write(clip, "first cut")
    found = ingest(library)
    assert found.new == ()
    assert [media.media_id for media in found.returned] == [old.media_id]
    assert library.media() == {"a.mp4": old}


def test_a_touched_file_is_the_same_media_with_a_new_time(library: Library) -> None:
    clip = write(library.folder / "a.mp4", "clip")
    (media,) = ingest(library).new
    aged(clip, 60)
    found = ingest(library)
    assert (found.new, found.returned, found.unchanged) == ((), (), 1)
    (place,) = library.catalogue.locations()
    assert (place.media_id, place.mtime_ns) == (media.media_id, clip.stat().st_mtime_ns)


def test_a_large_file_changed_between_its_samples_is_a_media_of_its_own(library: Library) -> None:
    size_bytes = WHOLE_UP_TO_BYTES + 4096
    clip = sparse(library.folder / "long.mov", size_bytes, {0: b"head"})
    (old,) = ingest(library).new
    keep_checksum(library, old.media_id, whole_sha256(list_place(clip).files[0]))
    sparse(clip, size_bytes, {0: b"head", 5 << 20: b"edited"}, age_s=60)
    assert fingerprint_file(clip) == old.media_id
    found = ingest(library)
    (new,) = found.new
    assert new.media_id == collision_identity(old.media_id, whole_sha256(list_place(clip).files[0]))
    assert new.partition_key == f"{old.partition_key}-2"
    assert "long.mov looks like another file in its samples but differs" in found.notes[0]


def test_a_touched_large_file_is_read_whole_and_stays_the_same(library: Library) -> None:
    clip = sparse(library.folder / "long.mov", WHOLE_UP_TO_BYTES + 1, {0: b"head"})
    (media,) = ingest(library).new
    keep_checksum(library, media.media_id, whole_sha256(list_place(clip).files[0]))
    aged(clip, 60)
    assert ingest(library).new == ()
    assert library.present() == {"long.mov": media.media_id}


def test_keys_that_clash_get_a_number(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dam_pipeline.identity.KEY_DIGITS", 0)
    write(library.folder / "1" / "a.mp4", "one")
    write(library.folder / "2" / "a.mp4", "two")
    assert [media.partition_key for media in ingest(library).new] == ["a-", "a--2"]
    write(library.folder / "3" / "a.mp4", "three")
    assert [media.partition_key for media in ingest(library).new] == ["a--3"]


def test_two_empty_files_are_two_media(library: Library) -> None:
    write(library.folder / "a.mp4")
    write(library.folder / "b.mp4")
    found = ingest(library)
    assert len({media.media_id for media in found.new}) == 2
    assert ingest(library).unchanged == 2


def test_an_unreadable_file_is_visible_and_becomes_itself_once_readable(library: Library) -> None:
    clip = write(library.folder / "a.mp4", "clip")
    clip.chmod(0)
    with as_ordinary_user():
        (closed,) = ingest(library).new
        assert ingest(library).unchanged == 1
    clip.chmod(0o644)
    (media,) = ingest(library).new
    assert media.media_id == fingerprint_file(clip) != closed.media_id
    assert library.catalogue.media([closed.media_id])[closed.media_id].superseded_by


@pytest.mark.parametrize(
    "name", [b"line\nbreak.mp4", b"latin-\xe9.mp4", "é🎬 \"'.mp4".encode(), b"x" * 251 + b".mp4"]
)
def test_odd_names_are_registered_and_found_again(library: Library, name: bytes) -> None:
    path = os.path.join(os.fsencode(library.folder), name)
    with open(path, "wb") as file:
        file.write(name)
    found = ingest(library)
    assert found.new[0].first_name.isprintable()
    assert ingest(library).media == found.media


def test_sidecars_are_part_of_a_new_media_and_change_without_a_new_one(library: Library) -> None:
    write(library.folder / "a.jpg", "picture")
    xmp = write(library.folder / "a.xmp", "<rating 1>")
    (media,) = ingest(library).new
    assert media.sidecar_version
    write(xmp, "<rating 5>", age_s=60)
    found = ingest(library)
    (changed,) = found.sidecars
    assert (found.new, found.unchanged, changed.media_id) == ((), 1, media.media_id)
    assert changed.sidecar_version != media.sidecar_version
    assert library.derived.media(media.media_id)[0] == changed
    assert library.media() == {"a.jpg": changed}
    assert ingest(library).sidecars == ()


def test_only_the_sidecars_at_the_first_place_count(library: Library) -> None:
    write(library.folder / "a" / "a.jpg", "picture")
    write(library.folder / "a" / "a.xmp", "<rating 1>")
    (media,) = ingest(library, library.folder / "a").new
    write(library.folder / "b" / "copy.jpg", "picture")
    write(library.folder / "b" / "copy.xmp", "<something else>")
    assert ingest(library).sidecars == ()
    assert ingest(library, library.folder / "b").sidecars == ()
    assert library.media() == {"a.jpg": media}


def test_a_lost_file_is_missing_and_back_when_it_is_back(library: Library) -> None:
    for name in "abc":
        write(library.folder / f"{name}.mp4", name)
    ingest(library)
    away = (library.folder / "a.mp4").rename(library.folder.parent / "away.mp4")
    ingest(library)
    assert sorted(library.present()) == ["b.mp4", "c.mp4"]
    away.rename(library.folder / "a.mp4")
    found = ingest(library)
    assert [media.first_name for media in found.returned] == ["a.mp4"]
    assert sorted(library.present()) == ["a.mp4", "b.mp4", "c.mp4"]


def test_a_mass_loss_is_left_alone_and_told_but_new_files_are_taken(library: Library) -> None:
    for number in range(6):
        write(library.folder / f"{number}.mp4", f"film {number}")
    ingest(library)
    for number in range(5):
        (library.folder / f"{number}.mp4").unlink()
    write(library.folder / "new.mp4", "a new one of another length")
    found = ingest(library)
    assert [media.first_name for media in found.new] == ["new.mp4"]
    assert len(library.present()) == 7
    assert "5 of 6 files vanished at once" in found.notes[0]


def test_a_hidden_file_that_was_named_is_not_lost_when_its_folder_is(library: Library) -> None:
    hidden = write(library.folder / ".a.mp4", "clip")
    ingest(library, hidden)
    write(library.folder / "b.mp4", "other")
    ingest(library)
    assert sorted(library.present()) == [".a.mp4", "b.mp4"]


def test_a_file_written_just_now_is_taken_when_it_keeps_still(library: Library) -> None:
    write(library.folder / "a.mp4", "clip", age_s=0)
    assert len(ingest(library).new) == 1


def test_a_file_that_grows_is_left_for_later(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = write(library.folder / "a.mp4", "clip", age_s=0)
    write(library.folder / "b.mp4", "other")
    sleep = time.sleep

    def grow(seconds: float) -> None:
        sleep(seconds)
        write(clip, "a longer clip", age_s=0)

    monkeypatch.setattr("time.sleep", grow)
    found = ingest(library)
    assert [media.first_name for media in found.new] == ["b.mp4"]
    assert (found.waiting, found.discovered) == ((path_to_uri(clip),), 2)


def test_paths_within_one_another_are_looked_at_once(library: Library) -> None:
    clip = write(library.folder / "deep" / "a.mp4", "clip")
    found = ingest(library, clip, library.folder, library.folder / "deep", library.folder)
    assert (found.discovered, len(found.media)) == (1, 1)


def test_excluded_files_are_neither_found_nor_lost(library: Library) -> None:
    write(library.folder / "a.mp4", "clip")
    write(library.folder / "proxies" / "a.mp4", "small")
    ingest(library)
    library.settings = library.settings.model_copy(update={"exclude": ("proxies",)})
    found = ingest(library)
    assert (found.discovered, found.skipped.excluded) == (1, 1)
    assert len(library.present()) == 2


def test_a_path_that_does_not_exist_is_refused(library: Library) -> None:
    with pytest.raises(ConfigurationError, match=r"There is no .*nothing\.mp4"):
        ingest(library, library.folder / "nothing.mp4")


def test_the_home_itself_is_refused(library: Library) -> None:
    library.settings.home.mkdir(exist_ok=True)
    with pytest.raises(ConfigurationError, match="lies in DAM_HOME"):
        ingest(library, library.settings.home)


def test_progress_counts_the_files_that_are_read(library: Library) -> None:
    for name in "abc":
        write(library.folder / f"{name}.mp4", name)
    calls: list[tuple[int, int, str]] = []
    discover(
        [library.folder],
        library.catalogue,
        library.derived,
        library.settings,
        lambda done, total, uri: calls.append((done, total, uri[-5:])),
    )
    assert calls == [(0, 3, "a.mp4"), (1, 3, "b.mp4"), (2, 3, "c.mp4")]


def test_more_files_than_one_step_are_all_taken(library: Library) -> None:
    library.settings = library.settings.model_copy(update={"sensor_step_files": 4})
    for number in range(10):
        write(library.folder / f"{number}.mp4", f"film {number}")
    found = ingest(library)
    assert (len(found.new), found.unchanged) == (10, 0)


REGISTER = """
import sys
from pathlib import Path
from dam_pipeline.catalogue.catalogue import open_catalogue
from dam_pipeline.catalogue.discovery import discover
from dam_pipeline.settings import load_settings
from dam_pipeline.stores.derived import DerivedFiles
settings = load_settings(Path(sys.argv[1]))
with open_catalogue(settings.home, settings.postgres_url) as catalogue:
    sys.stdin.readline()
    found = discover([sys.argv[2]], catalogue, DerivedFiles(settings.home), settings)
print(*(media.partition_key for media in found.new), sep="\\n")
"""


def test_two_writers_at_once_agree_on_every_key(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAM_POSTGRES_URL", library.settings.postgres_url)
    for number in range(40):
        write(library.folder / "one" / f"first-{number}.mp4", f"film {number}")
        write(library.folder / "two" / f"second-{number}.mp4", f"film {number}")
    command = [sys.executable, "-c", REGISTER, str(library.settings.home)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    writers = [
        subprocess.Popen([*command, str(library.folder / name)], **pipes) for name in ("one", "two")
    ]
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    told = [writer.communicate(timeout=60)[0].split() for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0]
    keys = {media.partition_key for media in library.catalogue.all_media()}
    assert len(keys) == 40
    assert {key for one in told for key in one} == keys
    assert len(library.present()) == 80
