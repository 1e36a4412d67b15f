"""Packages: read back with other programs, the same bytes every time, originals as they were."""

import csv
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from dam_pipeline.errors import ConfigurationError, DiskFull, PackageInvalid
from dam_pipeline.packaging.manifest import MANIFEST_FILE, read_manifest
from dam_pipeline.packaging.package import make_package
from dam_pipeline.packaging.recipes import check_room
from dam_pipeline.packaging.verification import verify_package
from dam_pipeline.stages.work import Toolbox
from dam_pipeline.stock.record import Finding, Release, Rendition, Verdict
from dam_pipeline_tests.stock_desk import (
    AGENCY,
    TITLE,
    WORDS,
    Desk,
    agency,
    desk_of,
    digest,
    make_desk,
    said,
    state_of,
)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """Read its masters only."""
    return make_desk(tmp_path_factory.mktemp("desk"))


@pytest.fixture
def own_desk(desk: Desk, tmp_path: Path) -> Desk:
    """A desk whose masters may be changed."""
    copy = tmp_path / "originals"
    shutil.copytree(desk.originals, copy)
    return desk_of(desk.settings.model_copy(update={"home": tmp_path / "home"}), copy)


@pytest.fixture
def tools(desk: Desk) -> Iterator[Toolbox]:
    with desk.opened() as opened:
        yield opened


def probed(path: Path) -> dict[str, Any]:
    done = subprocess.run(
        ["ffprobe", "-v", "error", "-show_streams", "-show_format", "-of", "json", path],
        capture_output=True,
        check=True,
    )
    return json.loads(done.stdout)


def _interrupt(_done: int, _total: int, _note: str) -> None:
    raise KeyboardInterrupt


def rows(path: Path) -> list[dict[str, str]]:
    with open(path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


class TestMade:
    def test_table_manifest_and_files_say_the_same_text(self, desk, tools, tmp_path):
        folder = tmp_path / "package"
        manifest = make_package(tools, AGENCY, desk.verdicts(), folder)
        assert [one.file for one in manifest.items] == [
            f"media/{name}"
            for name in ("cliff_1.jpg", "harbour_1.jpg", "heath_1.heic", "wave_1.mov", "wind_1.mkv")
        ]
        for item, row in zip(manifest.items, rows(folder / "metadata.csv"), strict=True):
            path = folder / item.file
            assert row == {
                "Filename": path.name,
                "Title": item.title,
                "Description": "Two\nlines, one with “quotes”",
                "Keywords": ",".join(WORDS),
            }
            if path.suffix == ".mkv":
                assert [one["rule"] for one in item.warnings] == ["not-embedded"]
                continue
            assert item.title.startswith(TITLE)
            assert said(path, "XMP-dc:Title") == item.title
            assert said(path, "XMP-dc:Description") == item.description
            assert said(path, "XMP-dc:Subject").split("\n") == list(WORDS)
        assert verify_package(folder, manifest) == []
        assert read_manifest(folder) == manifest

    def test_photographs_have_iptc_and_keep_the_cameras_word(self, desk, tools, tmp_path):
        make_package(tools, AGENCY, desk.verdicts("cliff.jpg"), tmp_path / "package")
        path = tmp_path / "package" / "media" / "cliff_1.jpg"
        assert said(path, "IPTC:ObjectName") == f"{TITLE} cliff"
        assert said(path, "IPTC:Keywords").split("\n") == list(WORDS)
        assert said(path, "IPTC:CodedCharacterSet") == "\x1b%G"
        assert (said(path, "Make"), said(path, "Model")) == ("Maker", "One")
        assert said(path, "DateTimeOriginal") == "2024:05:06 07:08:09"

    def test_clips_have_keys_that_ffprobe_reads_and_no_user_data(self, desk, tools, tmp_path):
        make_package(tools, AGENCY, desk.verdicts("wave.mov"), tmp_path / "package")
        path = tmp_path / "package" / "media" / "wave_1.mov"
        tags = probed(path)["format"]["tags"]
        assert tags["title"] == tags["com.apple.quicktime.title"] == f"{TITLE} wave"
        assert tags["keywords"] == ", ".join(WORDS)
        assert said(path, "UserData:Title") == ""

    def test_the_same_selection_gives_the_same_bytes_and_originals_stay(
        self, desk, tools, tmp_path
    ):
        before = state_of(desk.originals)
        verdicts = [
            *desk.verdicts("cliff.jpg", "wave.mov"),
            desk.verdict("heath.heic", "heath.jpg", rendition=Rendition("transcode", "jpg")),
            desk.verdict("wind.mkv", "wind.mov", rendition=Rendition("transcode", "mov")),
        ]
        make_package(tools, AGENCY, verdicts, tmp_path / "first")
        time.sleep(1.1)  # a date in a file would differ
        make_package(tools, AGENCY, verdicts, tmp_path / "second")
        first, second = state_of(tmp_path / "first"), state_of(tmp_path / "second")
        assert len(first) == 4 + 4 + 3
        assert {n: s[0] for n, s in first.items()} == {n: s[0] for n, s in second.items()}
        assert state_of(desk.originals) == before

    def test_a_clip_becomes_prores_without_sound(self, desk, tools, tmp_path):
        wanted = Rendition("transcode", "mov", drop_audio=True)
        notes: list[str] = []
        make_package(
            tools,
            AGENCY,
            [desk.verdict("wind.mkv", "wind.mov", rendition=wanted)],
            tmp_path / "package",
            lambda _done, _total, note: notes.append(note),
        )
        path = tmp_path / "package" / "media" / "wind.mov"
        (stream,) = probed(path)["streams"]
        assert (stream["codec_name"], stream["profile"]) == ("prores", "HQ")
        assert int(stream["nb_frames"]) == 50
        assert said(path, "Keys:Title") == f"{TITLE} wind"
        assert "wind.mov 100%" in notes

    def test_a_new_container_keeps_the_streams(self, desk, tools, tmp_path):
        verdict = desk.verdict("wind.mkv", "wind.mov", rendition=Rendition("remux", "mov"))
        make_package(tools, AGENCY, [verdict], tmp_path / "package")
        streams = probed(tmp_path / "package" / "media" / "wind.mov")["streams"]
        assert [one["codec_name"] for one in streams] == ["h264", "aac"]

    def test_a_heic_becomes_a_jpeg_that_keeps_the_cameras_word(self, desk, tools, tmp_path):
        verdict = desk.verdict("heath.heic", "heath.jpg", rendition=Rendition("transcode", "jpg"))
        make_package(tools, AGENCY, [verdict], tmp_path / "package")
        path = tmp_path / "package" / "media" / "heath.jpg"
        with Image.open(path) as image:
            assert (image.format, image.size) == ("JPEG", (320, 180))
            assert image.info["icc_profile"]
        assert said(path, "Make") == "Maker"
        assert said(path, "DateTimeOriginal") == "2024:05:06 07:08:09"
        assert said(path, "XMP-dc:Title") == f"{TITLE} heath"

    def test_ten_thousand_keywords_are_in_file_and_table(self, desk, tools, tmp_path):
        words = tuple(f"a keyword of number {number} 😀" for number in range(10_000))
        verdicts = [desk.verdict(name, keywords=words) for name in ("cliff.jpg", "wave.mov")]
        csv.field_size_limit(131_072)  # Python's own: that of the process may be another by now
        manifest = make_package(tools, AGENCY, verdicts, tmp_path / "package")
        assert len(manifest.items) == 2
        for name in ("cliff_1.jpg", "wave_1.mov"):
            path = tmp_path / "package" / "media" / name
            tag = "IPTC:Keywords" if name.endswith("jpg") else "Keys:Keywords"
            assert said(path, tag).replace(", ", "\n").split("\n") == list(words)

    def test_without_a_table_the_checklist_has_all_that_is_copied_by_hand(
        self, desk, tools, tmp_path
    ):
        paper = tmp_path / "signed.pdf"
        paper.write_bytes(b"I agree")
        release = Release("model", str(paper), digest(paper), "Ann")
        verdicts = [desk.verdict("wave.mov", releases=(release,)), desk.verdict("cliff.jpg")]
        make_package(tools, agency(table=None), verdicts, tmp_path / "package")
        text = (tmp_path / "package" / "CHECKLIST.md").read_text()
        first, second = text.partition("## Items")[2].split("### ")[1:]
        assert first.startswith("1. `media/wave_1.mov`\n")
        assert f"\nTitle:\n\n    {TITLE} wave\n" in first
        assert "\nDescription:\n\n    Two\n    lines, one with “quotes”\n" in first
        assert f"\nKeywords:\n\n    {', '.join(WORDS)}\n" in first
        assert "`releases/signed.pdf` (Ann)" in first
        assert second.startswith("2. `media/cliff_1.jpg`\n")
        assert "elease" not in second.partition("\n## ")[0]

    def test_a_table_that_is_uploaded_has_a_name_of_its_own_for_each_package(
        self, desk, tools, tmp_path
    ):
        assert AGENCY.table
        uploading = agency(table=replace(AGENCY.table, goes_by="upload"))
        names = []
        for name in ("cliff.jpg", "harbour.jpg", "cliff.jpg"):
            folder = tmp_path / str(len(names))
            manifest = make_package(tools, uploading, desk.verdicts(name), folder)
            assert manifest.table
            names.append(manifest.table.file)
            assert verify_package(folder, manifest) == []
        assert names[0].startswith("metadata-")
        assert names[0].endswith(".csv")
        assert names[0] == names[2] != names[1]
        changed = [desk.verdict("cliff.jpg", title="Another")]
        again = make_package(tools, uploading, changed, tmp_path / "0")
        assert [one.name for one in (tmp_path / "0").glob("metadata*")] == [again.table.file]

    def test_an_agency_that_wants_nothing_inside_gets_the_masters_bytes(
        self, desk, tools, tmp_path
    ):
        manifest = make_package(
            tools, agency(embeds=False), desk.verdicts(), tmp_path / "package", link=True
        )
        for item in manifest.items:
            assert item.sha256 == item.master_sha256 == digest(tmp_path / "package" / item.file)

    def test_linking_never_writes_into_a_master(self, desk, tools, tmp_path):
        before = state_of(desk.originals)
        make_package(tools, AGENCY, desk.verdicts(), tmp_path / "package", link=True)
        assert said(tmp_path / "package" / "media" / "cliff_1.jpg", "XMP-dc:Title")
        assert state_of(desk.originals) == before

    def test_a_link_that_a_killed_run_left_is_not_written_into(self, desk, tools, tmp_path):
        verdict = desk.verdict("wave.mov", rendition=Rendition("transcode", "mov"))
        before, folder = state_of(desk.originals), tmp_path / "package"
        with pytest.raises(KeyboardInterrupt):
            make_package(tools, AGENCY, [verdict], folder, _interrupt)
        left = folder / "media" / f".{verdict.item.media.media_id}.mov"
        left.unlink(missing_ok=True)
        os.link(desk.originals / "wave.mov", left)
        manifest = make_package(tools, AGENCY, [verdict], folder)
        assert manifest.items[0].rendition["how"] == "transcode"
        assert state_of(desk.originals) == before

    def test_the_manifest_tells_what_made_the_words(self, desk, tools, tmp_path):
        manifest = make_package(tools, AGENCY, desk.verdicts("cliff.jpg"), tmp_path / "package")
        (item,) = manifest.items
        assert item.lineage["probe"]["run_id"] == "run-1"
        assert item.lineage["probe"]["code_version"]
        assert {"dam_pipeline", "exiftool", "ffmpeg", "python"} <= set(manifest.tools)
        assert item.master_sha256 == digest(desk.originals / "cliff.jpg")

    def test_releases_go_along_once_and_the_checklist_tells_of_whom(self, desk, tools, tmp_path):
        paper = tmp_path / "signed.pdf"
        paper.write_bytes(b"I agree")
        release = Release("model", str(paper), digest(paper), "Ann")
        verdicts = [
            desk.verdict(name, releases=(release,)) for name in ("cliff.jpg", "harbour.jpg")
        ]
        manifest = make_package(tools, AGENCY, verdicts, tmp_path / "package")
        assert [one.releases for one in manifest.items] == [("releases/signed.pdf",)] * 2
        assert (tmp_path / "package" / "releases" / "signed.pdf").read_bytes() == b"I agree"
        text = (tmp_path / "package" / "CHECKLIST.md").read_text()
        assert "`releases/signed.pdf`: cliff_1.jpg, harbour_1.jpg" in text
        assert "- [ ] Look at everything once more." in text


class TestLeftOut:
    def check(self, desk: Desk, verdicts: list[Verdict], folder: Path, words: str) -> None:
        """All but the first are packaged, and the manifest says why that one is not."""
        with desk.opened() as tools:
            manifest = make_package(tools, AGENCY, verdicts, folder)
        (left,) = manifest.left_out
        assert left.media_id == verdicts[0].item.media.media_id
        assert words in left.errors[0]["message"]
        assert len(manifest.items) == len(verdicts) - 1
        assert verify_package(folder, manifest) == []
        assert left.partition_key in (folder / "CHECKLIST.md").read_text()

    def test_an_item_with_an_error(self, desk, tmp_path):
        bad, *good = desk.verdicts("cliff.jpg", "harbour.jpg")
        bad = replace(bad, errors=(Finding("title", "There is no title.", "Write one."),))
        self.check(desk, [bad, *good], tmp_path / "package", "There is no title.")

    def test_a_master_that_is_gone(self, own_desk, tmp_path):
        (own_desk.originals / "cliff.jpg").unlink()
        verdicts = own_desk.verdicts("cliff.jpg", "harbour.jpg")
        self.check(own_desk, verdicts, tmp_path / "package", "is gone")

    def test_a_master_that_was_written_to(self, own_desk, tmp_path):
        with open(own_desk.originals / "cliff.jpg", "ab") as file:
            file.write(b"more")
        verdicts = own_desk.verdicts("cliff.jpg", "harbour.jpg")
        self.check(own_desk, verdicts, tmp_path / "package", "changed after it was found")

    def test_a_master_with_other_bytes_under_its_old_time_and_size(self, own_desk, tmp_path):
        path = own_desk.originals / "cliff.jpg"
        times, content = path.stat(), bytearray(path.read_bytes())
        content[-3] ^= 1
        path.write_bytes(bytes(content))
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        verdicts = own_desk.verdicts("cliff.jpg", "harbour.jpg")
        self.check(own_desk, verdicts, tmp_path / "package", "other bytes")

    def test_a_clip_that_ffmpeg_cannot_make(self, desk, tmp_path):
        wanted = Rendition("transcode", "mov", width=161, height=91, frame_rate=25)
        broken = desk.verdict("wave.mov", "wave.nonsense", rendition=wanted)
        verdicts = [broken, *desk.verdicts("harbour.jpg")]
        self.check(desk, verdicts, tmp_path / "package", "ffmpeg cannot make the deliverable")

    def test_a_text_that_no_file_can_hold(self, desk, tmp_path):
        verdicts = [desk.verdict("cliff.jpg", title="bell \x07"), desk.verdict("harbour.jpg")]
        self.check(desk, verdicts, tmp_path / "package", "XMP-dc:Title reads")

    def test_what_nobody_foresaw(self, desk, tmp_path, expected_error_logs):
        expected_error_logs.append("An item could not be packaged")
        verdicts = [desk.verdict("cliff.jpg", "half a letter \ud800.jpg")]
        verdicts += desk.verdicts("harbour.jpg")
        with desk.opened() as tools:
            manifest = make_package(tools, agency(table=None), verdicts, tmp_path / "package")
        (left,) = manifest.left_out
        assert left.errors[0]["message"].startswith("unexpected UnicodeEncodeError")
        assert [one.file for one in manifest.items] == ["media/harbour_1.jpg"]

    def test_a_keyword_that_the_table_cannot_hold(self, desk, tmp_path):
        verdicts = [desk.verdict("cliff.jpg", keywords=("a,b",)), desk.verdict("harbour.jpg")]
        self.check(desk, verdicts, tmp_path / "package", "its row cannot be written")

    def test_a_release_that_is_gone(self, desk, tmp_path):
        release = Release("model", str(tmp_path / "gone.pdf"), "0" * 64)
        verdicts = [desk.verdict("cliff.jpg", releases=(release,)), desk.verdict("harbour.jpg")]
        self.check(desk, verdicts, tmp_path / "package", "cannot be read")

    @pytest.mark.parametrize("name", ["../harbour.jpg", ".hidden.jpg", "a/b.jpg"])
    def test_a_name_that_leads_out_of_the_folder(self, desk, tmp_path, name):
        verdicts = [desk.verdict("cliff.jpg", name), desk.verdict("harbour.jpg")]
        self.check(desk, verdicts, tmp_path / "package", "cannot be the name of a file")

    def test_nothing_is_made_of_nothing(self, desk, tools, tmp_path):
        bad = desk.verdict("cliff.jpg", title="bell \x07")
        manifest = make_package(tools, AGENCY, [bad], tmp_path / "package")
        assert len(manifest.left_out) == 1
        assert not (tmp_path / "package").exists()


class TestFolder:
    def test_a_folder_with_other_files_is_refused(self, desk, tools, tmp_path):
        (tmp_path / "mine.txt").write_text("keep me")
        with pytest.raises(ConfigurationError, match="holds other files"):
            make_package(tools, AGENCY, desk.verdicts("cliff.jpg"), tmp_path)
        assert [one.name for one in tmp_path.iterdir()] == ["mine.txt"]

    def test_a_package_of_another_selection_is_refused(self, desk, tools, tmp_path):
        folder = tmp_path / "package"
        make_package(tools, AGENCY, desk.verdicts("cliff.jpg"), folder)
        before = state_of(folder)
        with pytest.raises(ConfigurationError, match="holds another package"):
            make_package(tools, AGENCY, desk.verdicts("harbour.jpg"), folder)
        assert state_of(folder) == before

    def test_the_same_package_again_makes_only_what_changed(self, desk, tools, tmp_path):
        folder = tmp_path / "package"
        make_package(tools, AGENCY, desk.verdicts("cliff.jpg", "harbour.jpg"), folder)
        before = state_of(folder / "media")
        verdicts = [desk.verdict("cliff.jpg", title="Another"), desk.verdict("harbour.jpg")]
        manifest = make_package(tools, AGENCY, verdicts, folder)
        after = state_of(folder / "media")
        assert said(folder / "media" / "cliff_1.jpg", "XMP-dc:Title") == "Another"
        assert after["harbour_1.jpg"] == before["harbour_1.jpg"]
        assert verify_package(folder, manifest) == []

    def test_a_file_that_was_damaged_is_made_anew(self, desk, tools, tmp_path):
        folder = tmp_path / "package"
        first = make_package(tools, AGENCY, desk.verdicts("cliff.jpg"), folder)
        (folder / "media" / "cliff_1.jpg").write_bytes(b"damaged")
        assert make_package(tools, AGENCY, desk.verdicts("cliff.jpg"), folder) == first
        assert verify_package(folder, first) == []

    def test_a_disk_without_room_is_told_before_anything_is_made(self, tmp_path):
        with pytest.raises(DiskFull, match=r"1000000000\.0 GB"):
            check_room(tmp_path / "package", 10**18)
        assert not (tmp_path / "package").exists()

    @pytest.mark.parametrize("place", ["/proc", "/dev/null", "mine.txt"])
    def test_a_place_that_cannot_be_written_is_wrong_use(self, desk, tools, tmp_path, place):
        (tmp_path / "mine.txt").write_text("keep me")
        folder = tmp_path / place / "package"
        with pytest.raises(ConfigurationError, match=r"cannot be written to .* another --out"):
            make_package(tools, AGENCY, desk.verdicts("cliff.jpg"), folder)

    def test_what_was_cut_off_is_no_package_and_the_same_call_goes_on(self, desk, tools, tmp_path):
        folder = tmp_path / "package"

        def stop(done: int, _total: int, _note: str) -> None:
            if done >= 2:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            make_package(tools, AGENCY, desk.verdicts(), folder, stop)
        with pytest.raises(PackageInvalid, match="run it again if it was cut off"):
            read_manifest(folder)
        finished = {n: s for n, s in state_of(folder / "media").items() if not n.startswith(".")}
        assert len(finished) >= 2
        manifest = make_package(tools, AGENCY, desk.verdicts(), folder)
        after = state_of(folder / "media")
        assert {name: after[name] for name in finished} == finished
        assert verify_package(folder, manifest) == []
        assert not list(folder.glob(".*"))


class TestVerified:
    @pytest.fixture
    def folder(self, desk, tools, tmp_path) -> Path:
        make_package(tools, AGENCY, desk.verdicts("cliff.jpg", "harbour.jpg"), tmp_path / "package")
        return tmp_path / "package"

    def problems(self, folder: Path) -> list[str]:
        return [str(one) for one in verify_package(folder, read_manifest(folder))]

    def test_a_changed_file_is_named(self, folder):
        path = folder / "media" / "cliff_1.jpg"
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(bytes(content))
        (found,) = self.problems(folder)
        assert found.startswith("media/cliff_1.jpg has other bytes")

    def test_a_missing_file_is_named(self, folder):
        (folder / "metadata.csv").unlink()
        assert self.problems(folder) == ["metadata.csv is missing. Package again."]

    def test_a_pipe_in_the_place_of_a_file_is_named_and_not_waited_for(self, folder):
        path = folder / "media" / "cliff_1.jpg"
        path.unlink()
        os.mkfifo(path)
        assert self.problems(folder) == ["media/cliff_1.jpg is no ordinary file. Package again."]

    def test_a_file_that_does_not_belong_is_named(self, folder):
        (folder / "media" / "stray.jpg").write_bytes(b"x")
        (found,) = self.problems(folder)
        assert found.startswith("media/stray.jpg does not belong")

    def test_a_manifest_that_leads_out_of_the_folder_is_found(self, folder, tmp_path):
        (tmp_path / "secret.txt").write_text("x")
        path = folder / MANIFEST_FILE
        path.write_text(path.read_text().replace('"metadata.csv"', '"../secret.txt"'))
        assert "../secret.txt lies outside of the package." in self.problems(folder)
