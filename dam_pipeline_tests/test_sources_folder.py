"""Listing folders: odd names, what is skipped and counted, sidecars, loops, what cannot be read."""

import os
import unicodedata
from pathlib import Path

import pytest

from dam_pipeline.identity import display_name, uri_to_path
from dam_pipeline.sources.folder import Walk, has_left, is_left_out, list_place, path_below
from dam_pipeline.sources.listing import Listing
from dam_pipeline_tests.places import as_ordinary_user, write


def names(listing: Listing) -> list[str]:
    return [display_name(file.uri) for file in listing.files]


def sidecars(listing: Listing) -> dict[str, list[str]]:
    return {display_name(f.uri): [display_name(s.uri) for s in f.sidecars] for f in listing.files}


def test_media_files_are_listed_with_size_and_time(tmp_path: Path) -> None:
    clip = write(tmp_path / "a" / "clip.MP4", "12345")
    (file,) = list_place(tmp_path).files
    status = clip.stat()
    assert uri_to_path(file.uri) == clip
    assert (file.size_bytes, file.mtime_ns) == (5, status.st_mtime_ns)
    assert file.inode == status.st_ino


@pytest.mark.parametrize(
    "name",
    [
        b"two words.mp4",
        b'it\'s "quoted".mp4',
        b"line\nbreak.mp4",
        "clapper 🎬.mp4".encode(),
        b"100%25 #1?.mp4",
        b"latin-\xe9t\xe9.mp4",
        unicodedata.normalize("NFC", "é.mp4").encode(),
        unicodedata.normalize("NFD", "é.mp4").encode(),
        b"x" * 251 + b".mp4",
        b"-rf.mp4",
    ],
)
def test_the_address_of_an_odd_name_leads_back_to_its_bytes(tmp_path: Path, name: bytes) -> None:
    path = os.path.join(os.fsencode(tmp_path), name)
    with open(path, "wb") as file:
        file.write(b"x")
    (listed,) = list_place(tmp_path).files
    assert os.fsencode(uri_to_path(listed.uri)) == path
    listed.uri.encode("ascii")


def test_both_unicode_forms_of_a_name_are_two_files(tmp_path: Path) -> None:
    for form in ("NFC", "NFD"):
        write(tmp_path / unicodedata.normalize(form, "é.mp4"), form)
    assert len(list_place(tmp_path).files) == 2


def test_hidden_system_and_foreign_entries_are_skipped_and_counted(tmp_path: Path) -> None:
    write(tmp_path / "kept.jpg")
    write(tmp_path / ".hidden.jpg")
    write(tmp_path / "._kept.jpg")
    write(tmp_path / ".Trash-1000" / "a.jpg")
    for folder in ("@eaDir", "$RECYCLE.BIN", "System Volume Information"):
        write(tmp_path / folder / "a.jpg")
    write(tmp_path / "notes.txt")
    os.mkfifo(tmp_path / "pipe.mp4")
    listing = list_place(tmp_path)
    assert names(listing) == ["kept.jpg"]
    skipped = listing.skipped
    assert (skipped.hidden, skipped.system, skipped.other) == (3, 3, 2)
    assert skipped.total == 8


def test_the_home_of_the_pipeline_is_skipped(tmp_path: Path) -> None:
    write(tmp_path / "home" / "derived" / "poster.jpg")
    write(tmp_path / "kept.jpg")
    listing = list_place(tmp_path, home=tmp_path / "home")
    assert names(listing) == ["kept.jpg"]
    assert listing.skipped.system == 1


def test_patterns_exclude_names_folders_and_paths(tmp_path: Path) -> None:
    for path in ("a.mp4", "a.tmp.mp4", "Proxies/a.mp4", "2019/x/rejected/a.mp4", "2020/a.mp4"):
        write(tmp_path / path)
    listing = list_place(tmp_path, ["*.tmp.mp4", "Proxies/", "2019/*/rejected"])
    assert [path_below(file.uri, listing.root) for file in listing.files] == ["2020/a.mp4", "a.mp4"]
    assert listing.skipped.excluded == 3


@pytest.mark.parametrize(
    ("path", "is_out"),
    [
        ("a.mp4", False),
        ("a.tmp.mp4", True),
        ("deep/Proxies/b/a.mp4", True),
        (".cache/a.mp4", True),
        ("x/@eaDir/a.mp4", True),
        ("proxies/a.mp4", False),
    ],
)
def test_a_path_is_left_out_for_any_part_of_it(path: str, is_out: bool) -> None:
    assert is_left_out(path, ["*.tmp.mp4", "Proxies"]) is is_out


def test_sidecars_belong_to_the_file_beside_them(tmp_path: Path) -> None:
    for name in ("a.mp4", "a.MP4.xmp", "b.jpg", "b.dng", "B.XMP", "c.mov", "c.srt", "c.thm"):
        write(tmp_path / name)
    write(tmp_path / "C0001.MP4")
    write(tmp_path / "C0001M01.XML")
    write(tmp_path / "orphan.xmp")
    write(tmp_path / "elsewhere" / "a.xmp")
    listing = list_place(tmp_path)
    assert sidecars(listing) == {
        "C0001.MP4": ["C0001M01.XML"],
        "a.mp4": ["a.MP4.xmp"],
        "b.dng": ["B.XMP"],
        "b.jpg": ["B.XMP"],
        "c.mov": ["c.srt", "c.thm"],
    }
    assert listing.skipped.other == 2


def test_a_single_file_is_listed_with_its_sidecars_only(tmp_path: Path) -> None:
    for name in ("a.mp4", "a.xmp", "b.mp4", "b.xmp"):
        write(tmp_path / name)
    listing = list_place(tmp_path / "a.mp4")
    assert sidecars(listing) == {"a.mp4": ["a.xmp"]}
    assert listing.root == listing.files[0].uri


def test_a_symlink_loop_ends_and_is_counted(tmp_path: Path) -> None:
    write(tmp_path / "deep" / "a.mp4")
    (tmp_path / "deep" / "up").symlink_to(tmp_path)
    (tmp_path / "self").symlink_to(tmp_path / "self")
    listing = list_place(tmp_path)
    assert names(listing) == ["a.mp4"]
    assert (listing.skipped.loops, listing.skipped.unreadable) == (1, 1)


def test_a_linked_folder_is_listed_once_and_under_its_own_name_first(tmp_path: Path) -> None:
    write(tmp_path / "root" / "z-real" / "a.mp4")
    (tmp_path / "root" / "a-link").symlink_to(tmp_path / "root" / "z-real")
    write(tmp_path / "outside" / "b.mp4")
    (tmp_path / "root" / "link-1").symlink_to(tmp_path / "outside")
    (tmp_path / "root" / "link-2").symlink_to(tmp_path / "outside")
    listing = list_place(tmp_path / "root")
    paths = [path_below(file.uri, listing.root) for file in listing.files]
    assert paths in (["link-1/b.mp4", "z-real/a.mp4"], ["link-2/b.mp4", "z-real/a.mp4"])
    assert listing.skipped.loops == 2


def test_an_unreadable_folder_is_counted_and_said_to_be_unknown(tmp_path: Path) -> None:
    write(tmp_path / "kept.mp4")
    write(tmp_path / "closed" / "a.mp4").parent.chmod(0)
    with as_ordinary_user():
        listing = list_place(tmp_path)
    assert names(listing) == ["kept.mp4"]
    assert listing.skipped.unreadable == 1
    assert [display_name(uri) for uri in listing.unlisted] == ["closed"]
    assert not listing.problem


def test_a_file_without_read_permission_is_listed_all_the_same(tmp_path: Path) -> None:
    write(tmp_path / "closed.mp4").chmod(0)
    with as_ordinary_user():
        assert names(list_place(tmp_path)) == ["closed.mp4"]


def test_a_missing_root_is_a_problem_and_not_an_empty_listing(tmp_path: Path) -> None:
    listing = list_place(tmp_path / "not-mounted")
    assert "not-mounted cannot be listed: No such file or directory" in listing.problem


def test_a_broken_link_is_counted_but_hides_nothing(tmp_path: Path) -> None:
    (tmp_path / "gone.mp4").symlink_to(tmp_path / "nothing.mp4")
    listing = list_place(tmp_path)
    assert listing.skipped.unreadable == 1
    assert listing.unlisted == ()


def test_a_listing_can_be_left_and_gone_on_with(tmp_path: Path) -> None:
    for number in range(20):
        write(tmp_path / f"folder-{number}" / "a.mp4", str(number))
    walk = Walk(tmp_path)
    rounds = 1
    while not walk.go_on(until_s=0.0 if rounds % 2 else None):
        rounds += 1
        assert rounds < 5
    assert rounds == 2
    assert walk.listing() == list_place(tmp_path)


def test_a_file_has_left_when_its_exact_name_is_gone(tmp_path: Path) -> None:
    clip = write(tmp_path / "Clip.mp4")
    assert not has_left(clip, clip)
    assert has_left(tmp_path / "clip.mp4", clip)


def test_a_file_has_left_a_folder_that_was_renamed_on_the_same_disk(tmp_path: Path) -> None:
    clip = write(tmp_path / "new" / "clip.mp4")
    assert has_left(tmp_path / "old" / "deep" / "clip.mp4", clip)


def test_a_file_has_not_left_a_disk_that_may_not_be_mounted(tmp_path: Path) -> None:
    clip = write(tmp_path / "clip.mp4")
    assert not has_left(Path("/proc/no-such-disk/clip.mp4"), clip)
