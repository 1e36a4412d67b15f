"""Verifying originals: bit rot, losses and edits told apart, the whole library covered in the end."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from dam_pipeline.catalogue.catalogue import Catalogue
from dam_pipeline.catalogue.discovery import discover
from dam_pipeline.catalogue.fixity import (
    Fixity,
    FixityVerdict,
    Sample,
    fixity_of,
    known_bad,
    places_to_verify,
    sampled,
    verify,
)
from dam_pipeline.dagster_home import open_instance
from dam_pipeline.definitions import build_definitions
from dam_pipeline.settings import Settings
from dam_pipeline.stages.engine import run_stages
from dam_pipeline.stages.work import Toolbox
from dam_pipeline_tests.places import as_ordinary_user, write
from dam_pipeline_tests.processed import dam, dam_json
from dam_pipeline_tests.s3_server import Bucket
from resources.library import close_libraries

NAMES = ("a.mp4", "b.mp4", "c.mp4", "d.mp4")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number, name in enumerate(NAMES):
        write(tmp_path / "originals" / name, f"film {name}" + "x" * 1000 * (number + 1))
    return tmp_path / "originals"


def take_in(tools: Toolbox, place: Path | str) -> None:
    discover([place], tools.catalogue, tools.derived, tools.settings)
    ids = [media.media_id for media in tools.catalogue.all_media()]
    run_stages(tools, ids, ("checksum",), "run-1")


@pytest.fixture
def tools(settings: Settings, folder: Path) -> Iterator[Toolbox]:
    with Toolbox.open(settings) as opened:
        take_in(opened, folder)
        yield opened


def rot(path: Path, at: int = 500) -> None:
    """Flip one byte and nothing else: same size, same time."""
    before = path.stat()
    with open(path, "r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


ALL = Sample()


def verdicts(tools: Toolbox, sample: Sample = ALL) -> dict[str, Fixity]:
    """What one verification finds, by the file's name."""
    places = sampled(places_to_verify(tools.catalogue), sample)
    found = verify(tools.catalogue, tools.derived, places, sample.seconds)
    return {one.uri.rpartition("/")[2]: one for one in found}


def test_untouched_originals_are_ok(tools: Toolbox) -> None:
    found = verdicts(tools)
    assert {name: one.verdict for name, one in found.items()} == dict.fromkeys(
        NAMES, FixityVerdict.OK
    )
    assert known_bad(tools.catalogue) == []


def test_rot_loss_edit_and_refusal_are_told_apart(tools: Toolbox, folder: Path) -> None:
    rot(folder / "a.mp4")
    (folder / "b.mp4").unlink()
    write(folder / "c.mp4", "another film")
    (folder / "d.mp4").chmod(0)
    with as_ordinary_user():
        found = verdicts(tools)
    assert {name: one.verdict for name, one in found.items()} == {
        "a.mp4": FixityVerdict.CHANGED,
        "b.mp4": FixityVerdict.MISSING,
        "c.mp4": FixityVerdict.EDITED,
        "d.mp4": FixityVerdict.UNREADABLE,
    }
    assert "Bring back a good copy" in found["a.mp4"].reason
    assert "Permission denied" in found["d.mp4"].reason
    assert {Path(one.uri).name for one in known_bad(tools.catalogue)} == {"a.mp4", "b.mp4", "d.mp4"}


def test_rot_is_never_accepted_and_ends_with_the_good_bytes(tools: Toolbox, folder: Path) -> None:
    rot(folder / "a.mp4")
    for _ in range(2):
        assert verdicts(tools)["a.mp4"].verdict is FixityVerdict.CHANGED
        take_in(tools, folder)
    rot(folder / "a.mp4")
    assert verdicts(tools)["a.mp4"].verdict is FixityVerdict.OK
    assert known_bad(tools.catalogue) == []


def test_a_checksum_that_is_lost_is_no_rot(tools: Toolbox) -> None:
    lost = tools.catalogue.all_media()[0]
    tools.derived.forget(lost.media_id, ["checksum.json"])
    assert lost.first_name not in verdicts(tools)
    assert known_bad(tools.catalogue) == []


def test_a_disk_that_is_not_mounted_is_not_a_loss(tools: Toolbox, folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))
    found = verdicts(tools)
    assert {one.verdict for one in found.values()} == {FixityVerdict.UNREADABLE}
    assert "is its disk mounted?" in found["a.mp4"].reason


def test_samples_cover_the_library_the_longest_unverified_first(tools: Toolbox) -> None:
    weeks = [sorted(verdicts(tools, Sample(0.5))) for _ in range(3)]
    assert sorted(weeks[0] + weeks[1]) == sorted(NAMES)
    assert weeks[2] == weeks[0]


def test_a_sample_keeps_to_its_bytes_and_its_time(tools: Toolbox) -> None:
    places = places_to_verify(tools.catalogue)
    some = sampled(places, Sample(size_bytes=sum(one.size_bytes for one in places[:2])))
    assert some == places[:2]
    assert len(sampled(places, Sample(size_bytes=1))) == 1
    assert sampled([], Sample()) == []
    assert list(verify(tools.catalogue, tools.derived, places, seconds=1e-9)) == []


def test_both_copies_of_one_content_are_verified(tools: Toolbox, folder: Path) -> None:
    copy = write(folder / "copy" / "a.mp4", (folder / "a.mp4").read_bytes())
    take_in(tools, folder)
    rot(copy)
    list(verify(tools.catalogue, tools.derived, places_to_verify(tools.catalogue)))
    media = tools.catalogue.find(str(folder / "a.mp4"))
    found = fixity_of(tools.catalogue, [media.media_id])[media.media_id]
    assert [one.verdict for one in found] == [FixityVerdict.OK, FixityVerdict.CHANGED]


@pytest.mark.s3
def test_an_object_on_s3_is_read_as_a_stream(settings: Settings, bucket: Bucket) -> None:
    bucket.put("a.mp4", b"film on s3" * 1000)
    with Toolbox.open(settings) as tools:
        take_in(tools, f"s3://{bucket.name}")
        assert verdicts(tools)["a.mp4"].verdict is FixityVerdict.OK
        bucket.client.delete_object(Bucket=bucket.name, Key="a.mp4")
        assert verdicts(tools)["a.mp4"].verdict is FixityVerdict.MISSING


# The command


def test_dam_verify_ends_with_three_and_names_the_bad_file(tools: Toolbox, folder: Path) -> None:
    assert dam_json("verify")["ok"] == 4
    rot(folder / "b.mp4")
    result = dam("verify", str(folder))
    assert result.exit_code == 3
    assert "b.mp4 changed: its bytes are not those that were taken in" in result.stderr
    (shown,) = dam_json("show", str(folder / "b.mp4"))["fixity"]
    assert shown["verdict"] == "changed"


def test_dam_verify_takes_a_share_and_a_folder(tools: Toolbox, folder: Path) -> None:
    assert dam_json("verify", "--sample", "25%")["verified"] == 1
    assert dam_json("verify", str(folder / "c.mp4"))["verified"] == 1
    assert json.loads(dam("verify", "--minutes", "5", "--json").stdout)["verified"] == 4


@pytest.mark.parametrize("share", ["5", "0%", "101%", "all"])
def test_a_share_that_is_none_is_wrong_use(settings: Settings, share: str) -> None:
    assert dam("verify", "--sample", share).exit_code == 2


# The asset


@pytest.fixture
def instance(settings: Settings, tools: Toolbox) -> Iterator[dg.DagsterInstance]:
    with open_instance(settings) as opened:
        yield opened
    close_libraries()


def verify_in_dagster(settings: Settings, instance: dg.DagsterInstance) -> dg.AssetCheckEvaluation:
    job = build_definitions(settings).resolve_job_def("verify_originals")
    config = {"ops": {"originals_verified": {"config": {"share": 1.0}}}}
    result = job.execute_in_process(instance=instance, run_config=config)
    assert result.success
    return result.get_asset_check_evaluations()[0]


def test_the_asset_says_what_was_verified_and_its_check_names_bad_files(
    settings: Settings, instance: dg.DagsterInstance, folder: Path
) -> None:
    assert verify_in_dagster(settings, instance).passed
    (folder / "c.mp4").unlink()
    lost = verify_in_dagster(settings, instance)
    assert (lost.passed, lost.severity) == (False, dg.AssetCheckSeverity.WARN)
    rot(folder / "a.mp4")
    rotten = verify_in_dagster(settings, instance)
    assert (rotten.passed, rotten.severity) == (False, dg.AssetCheckSeverity.ERROR)
    assert "a.mp4 changed" in (rotten.description or "")
    event = instance.get_latest_materialization_event(dg.AssetKey("originals_verified"))
    assert event is not None
    assert event.asset_materialization is not None
    metadata = event.asset_materialization.metadata
    counts = {name: metadata[name].value for name in ("verified", "ok", "changed", "missing")}
    assert counts == {"verified": 4, "ok": 2, "changed": 1, "missing": 1}
    bad = [record.data["verdict"] for record in metadata["bad"].records]
    assert sorted(bad) == ["changed", "missing"]


def test_places_without_a_checksum_are_not_verified(settings: Settings, folder: Path) -> None:
    with Toolbox.open(settings) as tools:
        discover([folder], tools.catalogue, tools.derived, tools.settings)
        assert isinstance(tools.catalogue, Catalogue)
        assert places_to_verify(tools.catalogue) == []
