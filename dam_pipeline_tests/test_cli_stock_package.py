"""`dam stock package`: what it prints, what it leaves alone, and how it goes on after a kill."""

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from PIL import Image

from dam_pipeline.packaging.manifest import MANIFEST_FILE, read_manifest
from dam_pipeline.packaging.unfinished import NOTE_FILE
from dam_pipeline.packaging.verification import verify_package
from dam_pipeline.records import Media
from dam_pipeline.settings import Settings, load_settings
from dam_pipeline.stages.work import Toolbox
from dam_pipeline.stock import shortlist
from dam_pipeline.stock.people import Edit, edit_records
from dam_pipeline_tests.clips import place
from dam_pipeline_tests.drawings import add
from dam_pipeline_tests.processed import DAM, dam, dam_json
from dam_pipeline_tests.s3_server import Bucket
from dam_pipeline_tests.stock_desk import digest, said, state_of

STAGES = ("checksum", "probe", "poster")
GENERIC = ("stock", "package", "--agency", "generic")


def put_on_shortlist(settings: Settings, media: list[Media]) -> None:
    """The media on the shortlist, with all that an agency asks for."""
    edits = [
        Edit(
            [one.asset_id],
            {
                "title": f"The sea at noon, number {number}",
                "description": f"The sea at noon on a calm day, number {number}",
                "keywords": ["sea", "noon", "coast", "water", "sky", "calm", "light"],
                "usage": "commercial",
            },
        )
        for number, one in enumerate(media)
    ]
    edit_records(settings, edits)
    shortlist.add(settings, [one.asset_id for one in media])


@pytest.fixture
def originals(tmp_path: Path, dam_home: Path) -> Path:
    """Three photographs on the shortlist, the last of which has gone since."""
    folder = tmp_path / "originals"
    folder.mkdir()
    for seed, name in enumerate(("cliff", "harbour", "wreck")):
        Image.fromarray(place(seed, 320, 180)).save(folder / f"{name}.jpg")
    settings = load_settings()
    with Toolbox.open(settings) as tools:
        found = sorted(add(tools, folder, STAGES), key=lambda one: one.first_name)
    put_on_shortlist(settings, found)
    (folder / "wreck.jpg").unlink()
    return folder


def packaged(*words: str) -> tuple[int, dict]:
    """Exit code and document."""
    result = dam(*GENERIC, *words, "--json")
    return result.exit_code, json.loads(result.stdout)


def test_json_has_the_documented_keys_and_names_what_was_left_out(originals, tmp_path):
    code, found = packaged("--out", str(tmp_path / "spring"))
    folder = tmp_path / "spring"
    assert code == 3
    assert found["agency"] == "generic"
    assert found["folder"] == str(folder)
    assert Path(found["csv"]).parent == folder
    assert Path(found["csv"]).name.startswith("metadata-")
    assert found["manifest"] == str(folder / MANIFEST_FILE)
    assert found["checklist"] == str(folder / "CHECKLIST.md")
    first, second = found["items"]
    master = originals / "cliff.jpg"
    assert set(first) == {
        *("media_id", "file", "sha256", "master_sha256", "title", "keywords", "warnings")
    }
    assert first["master_sha256"] == digest(master)
    assert first["sha256"] == digest(Path(first["file"]))
    assert (
        first["title"] == said(Path(first["file"]), "XMP-dc:Title") == "The sea at noon, number 0"
    )
    assert second["keywords"] == ["sea", "noon", "coast", "water", "sky", "calm", "light"]
    (left,) = found["left_out"]
    assert {"rule", "message", "fix"} == set(left["errors"][0])
    assert verify_package(folder, read_manifest(folder)) == []


def test_named_media_are_packaged_into_the_home_without_out(originals, dam_home):
    code, found = packaged(str(originals / "cliff.jpg"))
    assert code == 0
    assert len(found["items"]) == 1
    assert Path(found["folder"]).parent == dam_home / "packages"
    assert packaged(str(originals / "cliff.jpg"))[1] == found


def test_a_dry_run_says_what_would_be_made_and_changes_nothing(originals, dam_home, tmp_path):
    before = state_of(tmp_path)
    code, found = packaged("--dry-run")
    assert code == 3
    assert [Path(one["file"]).name[:5] for one in found["items"]] == ["cliff", "harbo"]
    assert len(found["left_out"]) == 1
    assert not Path(found["folder"]).exists()
    words = dam(*GENERIC, "--dry-run")
    assert "2 would be packaged" in words.stderr
    assert state_of(tmp_path) == before


def test_where_nothing_can_be_packaged_no_folder_is_made(originals, tmp_path):
    code, found = packaged(str(originals / "wreck.jpg"), "--out", str(tmp_path / "none"))
    assert code == 3
    assert found["items"] == []
    assert found["folder"] is found["csv"] is found["manifest"] is found["checklist"] is None
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--agency", "nonsense"), "adobe-stock"),
        ((), "--agency ID"),
        (("--agency", "pond5"), "dam stock agencies import"),
        (("--agency", "generic", "no-such-media"), "no-such-media"),
    ],
)
def test_wrong_use_is_told_with_what_to_do(originals, words, told):
    result = dam("stock", "package", *words)
    assert result.exit_code == 2
    assert told in result.stderr


def test_a_roundabout_place_is_named_by_the_straight_way(originals, tmp_path):
    roundabout = tmp_path / "no-such-folder" / ".." / "spring"
    for words in (("--dry-run",), ()):
        _, found = packaged("--out", str(roundabout), *words)
        assert found["folder"] == str(tmp_path / "spring")
        assert Path(found["items"][0]["file"]).parent == tmp_path / "spring" / "media"
    assert ".." not in (tmp_path / "spring" / MANIFEST_FILE).read_text()


def test_a_folder_in_a_watched_source_is_refused(originals):
    assert dam("source", "add", str(originals)).exit_code == 0
    result = dam(*GENERIC, "--out", str(originals / "package"))
    assert result.exit_code == 2
    assert "would be taken in as new originals" in result.stderr
    assert not (originals / "package").exists()


def test_after_a_kill_the_same_command_goes_on(tmp_path, dam_home):
    originals = tmp_path / "originals"
    originals.mkdir()
    for seed in range(60):
        Image.fromarray(place(seed, 96, 64)).save(originals / f"photo-{seed:02}.jpg")
    settings = load_settings()
    with Toolbox.open(settings) as tools:
        put_on_shortlist(settings, add(tools, originals, STAGES))
    before, folder = state_of(originals), tmp_path / "package"
    command = [DAM, *GENERIC, "--out", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        while _lines(folder / NOTE_FILE) < 12:
            assert process.poll() is None, "it ended before it could be killed"
            time.sleep(0.005)
        os.kill(process.pid, signal.SIGKILL)
    assert not (folder / MANIFEST_FILE).exists()
    finished = {
        name: state
        for name, state in state_of(folder / "media").items()
        if not name.startswith(".")
    }
    assert 11 <= len(finished) < 60
    assert dam("stock", "publish", str(folder), "--to", str(tmp_path / "there")).exit_code == 1
    code, found = packaged("--out", str(folder))
    assert code == 0
    assert len(found["items"]) == 60
    after = state_of(folder / "media")
    kept = sum(after[name] == state for name, state in finished.items())
    assert kept >= len(finished) - 4  # those that were renamed and not yet noted are made anew
    assert verify_package(folder, read_manifest(folder)) == []
    whole = dam_json(*GENERIC, "--out", str(tmp_path / "whole"))
    assert [one["sha256"] for one in whole["items"]] == [one["sha256"] for one in found["items"]]
    assert state_of(originals) == before


def _lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


@pytest.mark.s3
def test_masters_in_a_bucket_are_brought_and_their_copies_go_again(bucket: Bucket, dam_home):
    source = dam_home.parent / "source"
    source.mkdir()
    Image.fromarray(place(1, 320, 180)).save(source / "cliff.jpg")
    bucket.put("shoot/cliff.jpg", source / "cliff.jpg")
    settings = load_settings()
    with Toolbox.open(settings) as tools:
        put_on_shortlist(settings, add(tools, f"{bucket.uri}/shoot", STAGES))
    code, found = packaged()
    assert code == 0
    (item,) = found["items"]
    assert item["master_sha256"] == digest(source / "cliff.jpg")
    assert said(Path(item["file"]), "XMP-dc:Title") == "The sea at noon, number 0"
    assert not list((dam_home / "scratch").rglob("*.jpg"))


def test_a_link_never_leads_to_a_master_that_is_written_into(originals, tmp_path):
    shutil.copy(originals / "cliff.jpg", tmp_path / "as-it-was.jpg")
    code, found = packaged(str(originals / "cliff.jpg"), "--link")
    assert code == 0
    made = Path(found["items"][0]["file"])
    assert made.stat().st_ino != (originals / "cliff.jpg").stat().st_ino
    assert digest(originals / "cliff.jpg") == digest(tmp_path / "as-it-was.jpg")
