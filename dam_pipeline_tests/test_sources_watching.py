"""Ticks over a watched folder: settling, moves, the guard, restarts, and 100,000 files in steps."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from dam_pipeline.catalogue.catalogue import open_catalogue
from dam_pipeline.catalogue.look_states import load_look_state
from dam_pipeline.catalogue.registry import accept_source, add_source, list_sources
from dam_pipeline.catalogue.watching import Afoot, watch
from dam_pipeline.identity import WHOLE_UP_TO_BYTES
from dam_pipeline.settings import load_settings
from dam_pipeline.sources.content import whole_sha256
from dam_pipeline.sources.folder import list_place
from dam_pipeline_tests.places import Library, aged, as_ordinary_user, sparse, write
from dam_pipeline_tests.test_registration import keep_checksum


@pytest.fixture
def library(tmp_path: Path, database_url: str) -> Iterator[Library]:
    settings = load_settings(tmp_path / "home").model_copy(
        update={"settle_s": 0.0, "postgres_url": database_url}
    )
    folder = tmp_path / "films"
    folder.mkdir()
    with open_catalogue(settings.home, database_url) as catalogue:
        opened = Library(settings, catalogue, folder)
        opened.source = add_source(settings, folder, exclude=["proxies"])
        yield opened


def test_a_file_is_registered_at_the_second_look(library: Library) -> None:
    write(library.folder / "a.mp4", "clip")
    first, second, third = library.look(), library.look(), library.look()
    assert (len(first.new), first.waiting) == (0, 1)
    assert [media.first_name for media in second.new] == ["a.mp4"]
    assert (len(third.new), third.waiting, third.files) == (0, 0, 1)


def test_a_file_that_grows_between_looks_waits(library: Library) -> None:
    clip = write(library.folder / "a.mp4", "clip")
    library.look()
    write(clip, "longer clip")
    assert library.look().waiting == 1
    assert len(library.look().new) == 1


def test_a_place_keeps_the_name_of_its_source(library: Library) -> None:
    write(library.folder / "a.mp4", "clip")
    library.settle()
    assert [place.source for place in library.catalogue.locations()] == ["films"]


def test_what_a_look_saw_survives_a_restart(library: Library) -> None:
    write(library.folder / "a.mp4", "clip")
    library.look()
    library.afoot = Afoot()
    with open_catalogue(library.settings.home, library.settings.postgres_url) as reopened:
        library.catalogue = reopened
        assert len(library.look().new) == 1


def test_a_damaged_state_costs_one_look_and_no_media(library: Library) -> None:
    write(library.folder / "a.mp4", "clip")
    library.look()
    for path in (library.settings.home / "looks").iterdir():
        path.write_text("{")
    assert library.look().waiting == 1
    assert len(library.look().new) == 1


def test_several_new_files_come_in_one_look_in_the_order_of_their_addresses(
    library: Library,
) -> None:
    for name in ("c", "a", "b"):
        write(library.folder / f"{name}.mp4", name)
    assert [media.first_name for media in library.settle().new] == ["a.mp4", "b.mp4", "c.mp4"]


def test_excluded_folders_are_not_watched(library: Library) -> None:
    write(library.folder / "proxies" / "a.mp4", "small")
    write(library.folder / "a.mp4", "clip")
    assert len(library.settle().new) == 1


def test_a_renamed_folder_costs_no_media(library: Library) -> None:
    for number in range(8):
        write(library.folder / "old" / f"{number}.mp4", f"film {number}")
    before = {media.media_id for media in library.settle().new}
    (library.folder / "old").rename(library.folder / "new")
    watched = library.settle()
    assert (watched.new, watched.refusals) == ([], [])
    assert {media.media_id for media in watched.returned} == before
    assert set(library.present()) == {f"new/{number}.mp4" for number in range(8)}


def test_a_file_moved_to_another_source_is_not_new(library: Library, tmp_path: Path) -> None:
    (tmp_path / "archive").mkdir()
    archive = add_source(library.settings, tmp_path / "archive")
    write(library.folder / "a.mp4", "clip")
    write(library.folder / "b.mp4", "other")
    library.settle()
    shutil.move(library.folder / "a.mp4", tmp_path / "archive" / "a.mp4")

    def look_at_both() -> list[str]:
        sources = [archive, library.source]
        watched = watch(
            sources, library.catalogue, library.derived, library.settings, library.afoot
        )
        return [media.first_name for media in watched.new]

    assert look_at_both() + look_at_both() + look_at_both() == []
    present = [p.uri for p in library.catalogue.locations() if p.missing_since is None]
    assert sorted(uri.rsplit("/", 2)[-2] for uri in present) == ["archive", "films"]


def lose_all(library: Library) -> Path:
    away = library.folder.parent / "away"
    away.mkdir()
    for path in library.folder.iterdir():
        path.rename(away / path.name)
    return away


def films(library: Library, count: int = 4) -> None:
    for number in range(count):
        write(library.folder / f"{number}.mp4", f"film {number}")
    library.settle()


def test_an_emptied_folder_is_refused_in_words_and_changes_nothing(library: Library) -> None:
    films(library)
    lose_all(library)
    (refusal,) = library.look().refusals
    assert "Source films" in refusal and "it is empty, but 4 files were there" in refusal
    assert "`dam source accept films`" in refusal
    assert len(library.present()) == 4


def test_a_folder_that_is_back_is_believed_again(library: Library) -> None:
    films(library)
    away = lose_all(library)
    assert library.look().refusals
    for path in away.iterdir():
        path.rename(library.folder / path.name)
    watched = library.look()
    assert (watched.refusals, watched.new, watched.returned) == ([], [], [])
    state = load_look_state(library.settings.home, "films", library.source.uri)
    assert state.refused_since_s is None


def test_a_folder_that_is_not_there_at_all_is_refused(library: Library) -> None:
    films(library)
    library.folder.rename(library.folder.parent / "unmounted")
    assert "cannot be listed" in library.look().refusals[0]
    assert len(library.present()) == 4


def test_an_acceptance_serves_one_refusal(library: Library) -> None:
    films(library)
    away = lose_all(library)
    assert library.look().refusals
    accept_source(library.settings, "films")
    (library.source,) = list_sources(library.settings)
    assert library.look().refusals == []
    assert library.present() == {}
    for path in away.iterdir():
        path.rename(library.folder / path.name)
    assert len(library.look().returned) == 4
    shutil.rmtree(away)
    lose_all(library)
    assert library.look().refusals
    assert len(library.present()) == 4


def test_an_unreadable_folder_loses_nothing(library: Library) -> None:
    for number in range(3):
        write(library.folder / "deep" / f"{number}.mp4", f"film {number}")
    library.settle()
    (library.folder / "deep").chmod(0)
    with as_ordinary_user():
        assert library.look().refusals == []
    (library.folder / "deep").chmod(0o755)
    assert len(library.present()) == 3


def test_a_large_touched_file_is_read_in_the_background(library: Library) -> None:
    clip = sparse(library.folder / "long.mov", WHOLE_UP_TO_BYTES + 1, {0: b"head"})
    (media,) = library.settle().new
    keep_checksum(library, media.media_id, whole_sha256(list_place(clip).files[0]))
    aged(clip, 60)
    assert library.settle().waiting == 1
    assert library.afoot.wholes.wait(60)
    watched = library.look()
    assert (watched.new, watched.waiting) == ([], 0)
    (place,) = library.catalogue.locations()
    assert place.mtime_ns == clip.stat().st_mtime_ns


def test_a_mass_of_touched_large_files_holds_up_no_new_one(library: Library) -> None:
    library.settings = library.settings.model_copy(update={"sensor_step_files": 2})
    library.afoot.wholes = type(library.afoot.wholes)(read=lambda _file: None)
    for number in range(3):
        clip = sparse(library.folder / f"{number}.mov", WHOLE_UP_TO_BYTES + 1, {0: b"%d" % number})
    for media in [*library.settle().new, *library.look().new]:
        keep_checksum(library, media.media_id, "aa")
    for clip in library.folder.iterdir():
        aged(clip, 60)
    write(library.folder / "z.mp4", "new")
    assert [media.first_name for media in library.settle().new] == ["z.mp4"]


def test_an_error_while_registering_leaves_the_look_to_be_repeated(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(library.folder / "a.mp4", "clip")
    library.look()
    derived = library.settings.home / "derived"
    derived.write_text("a file where the folder should be")
    with pytest.raises(OSError, match="derived"):
        library.look()
    derived.unlink()
    assert len(library.look().new) == 1


def test_a_long_listing_goes_on_at_the_next_tick(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        write(library.folder / str(number) / "a.mp4", f"film {number}")
    monkeypatch.setattr("dam_pipeline.catalogue.watching.LIST_S", 0.0)
    assert "still listing" in library.look().notes[0]
    monkeypatch.undo()
    assert library.look().waiting == 3
    assert len(library.look().new) == 3


@pytest.fixture
def quick_folder(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory where there is one: 100,000 files cost a busy disk minutes."""
    memory = Path("/dev/shm")
    parent = memory if os.access(memory, os.W_OK) else tmp_path
    with TemporaryDirectory(dir=parent, prefix="dam-test-") as folder:
        yield Path(folder)


@pytest.mark.slow
def test_a_hundred_thousand_files_are_registered_in_bounded_steps(
    library: Library, quick_folder: Path
) -> None:
    count, step = 100_000, library.settings.sensor_step_files
    library.source = add_source(library.settings, quick_folder)
    for number in range(count):
        folder = quick_folder / f"{number // 500:03}"
        if number % 500 == 0:
            folder.mkdir()
        # Zeros of another length each: other content, and no room taken.
        with open(folder / f"{number:06}.jpg", "wb") as file:
            file.truncate(number + 1)
    first = library.look()
    assert (len(first.new), first.waiting, first.files) == (0, count, count)
    # All 50 steps would only write more of the same; the next test goes to the end of a small folder.
    left = count
    for _ in range(3):
        watched = library.look()
        assert 0 < len(watched.new) <= step
        left -= len(watched.new)
        assert (watched.unread, watched.files) == (left, count)


def test_a_scan_in_steps_takes_every_file_once(library: Library) -> None:
    library.settings = library.settings.model_copy(update={"sensor_step_files": 7})
    for number in range(30):
        write(library.folder / f"{number}.jpg", f"picture {number}")
    library.look()
    steps = [library.look() for _ in range(6)]
    assert [len(one.new) for one in steps] == [7, 7, 7, 7, 2, 0]
    assert [one.unread for one in steps] == [23, 16, 9, 2, 0, 0]
    assert len({media.media_id for one in steps for media in one.new}) == 30
