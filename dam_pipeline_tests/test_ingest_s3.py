"""A bucket's objects through the catalogue, the stages and `dam ingest`, on a real S3 server."""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image

from dam_pipeline.catalogue.discovery import Discovery, discover
from dam_pipeline.records import StageRow, State
from dam_pipeline.settings import Settings
from dam_pipeline.sources.content import address_identity
from dam_pipeline.stages.engine import run_stages
from dam_pipeline.stages.work import Toolbox
from dam_pipeline_tests.clips import encode, place, shots, speech
from dam_pipeline_tests.processed import DAM, dam, dam_json, run_dam
from dam_pipeline_tests.s3_server import Bucket, CuttingProxy, ask_as

pytestmark = pytest.mark.s3

QUICK = ("probe", "checksum", "poster", "shots", "keyframes")


@pytest.fixture
def tools(settings: Settings) -> Iterator[Toolbox]:
    with Toolbox.open(settings) as opened:
        yield opened


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two clips and a photograph."""
    folder = tmp_path_factory.mktemp("originals")
    words = speech(folder / "words.wav", "The quick brown fox jumps over the lazy dog.")
    encode(folder / "one.mp4", shots([40, 41]), inputs=("-i", words))
    words.unlink()
    encode(folder / "two.mp4", shots([20, 14]))
    Image.fromarray(place(7)).save(folder / "photo.jpg")
    return folder


def ingest(tools: Toolbox, *places: str | Path) -> Discovery:
    return discover(places, tools.catalogue, tools.derived, tools.settings)


def row(tools: Toolbox, name: str, stage: str) -> StageRow:
    media = next(one for one in tools.catalogue.all_media() if one.first_name == name)
    return tools.catalogue.states.of([media.media_id])[media.media_id][stage]


# Through the catalogue and the stages


def test_the_same_bytes_on_disk_and_in_a_bucket_are_one_media_with_two_places(
    tools: Toolbox, bucket: Bucket, originals: Path
) -> None:
    uri = bucket.put("films/first.mp4", originals / "one.mp4")
    ingest(tools, originals / "one.mp4")
    found = ingest(tools, f"{bucket.uri}/films")
    assert (found.discovered, len(found.new), len(found.returned)) == (1, 0, 1)
    (media,) = tools.catalogue.all_media()
    places = tools.catalogue.locations_of([media.media_id])[media.media_id]
    assert [one.uri for one in places] == [(originals / "one.mp4").as_uri(), uri]
    assert all(one.missing_since is None for one in places)
    again = ingest(tools, bucket.uri)
    assert (again.discovered, again.unchanged, again.returned) == (1, 1, ())


def test_a_key_renamed_in_the_bucket_has_moved(
    tools: Toolbox, bucket: Bucket, originals: Path
) -> None:
    old = bucket.put("a/photo.jpg", originals / "photo.jpg")
    for number in range(3):
        bucket.put(f"other/{number}.jpg", b"%d" % number)
    (media,) = ingest(tools, old).new
    ingest(tools, bucket.uri)
    new = bucket.put("b/photo.jpg", originals / "photo.jpg")
    bucket.delete("a/photo.jpg")
    ingest(tools, bucket.uri)
    places = tools.catalogue.locations_of([media.media_id])[media.media_id]
    assert [(one.uri, one.missing_since is None) for one in places] == [(new, True), (old, False)]


def test_an_object_that_vanishes_or_changes_before_its_turn_costs_only_itself(
    tools: Toolbox, bucket: Bucket, originals: Path
) -> None:
    for path in originals.iterdir():
        bucket.put(path.name, path)
    ids = [media.media_id for media in ingest(tools, bucket.uri).new]
    bucket.delete("one.mp4")
    bucket.put("two.mp4", (originals / "two.mp4").read_bytes()[::-1])
    run_stages(tools, ids, QUICK, "run-1")
    gone, changed = (row(tools, name, "probe") for name in ("one.mp4", "two.mp4"))
    assert (gone.state, gone.retryable) == (State.FAILED, True)
    assert gone.reason.startswith(f"{bucket.uri}/one.mp4 is gone. Bring it back")
    assert (changed.state, changed.retryable) == (State.FAILED, True)
    assert changed.reason.startswith(f"{bucket.uri}/two.mp4 changed after it was found.")
    assert {row(tools, "photo.jpg", stage).state for stage in QUICK} == {State.DONE}


def test_originals_pass_through_less_scratch_space_than_they_need_together(
    settings: Settings, bucket: Bucket, originals: Path
) -> None:
    sizes = {path.name: path.stat().st_size for path in originals.iterdir()}
    for name in sizes:
        bucket.put(name, originals / name)
    limit = max(sizes.values()) + 10
    with Toolbox.open(settings.model_copy(update={"scratch_bytes": limit})) as tools:
        ids = [media.media_id for media in ingest(tools, bucket.uri).new]
        run_stages(tools, ids, QUICK, "run-1")
        states = {row(tools, name, stage).state for name in sizes for stage in QUICK}
        assert states == {State.DONE}
        assert not [path for path in tools.scratch.rglob("*") if path.is_file()]


def test_an_object_is_copied_once_for_all_its_stages(
    tools: Toolbox, bucket: Bucket, originals: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.put("two.mp4", originals / "two.mp4")
    (media,) = ingest(tools, bucket.uri).new
    with CuttingProxy(bucket.server.url) as proxy:
        ask_as(monkeypatch, {"AWS_ENDPOINT_URL": proxy.url})
        run_stages(tools, [media.media_id], QUICK, "run-1")
    assert {row(tools, "two.mp4", stage).state for stage in QUICK} == {State.DONE}
    # A look whether it is as listed, by one byte, and the copy.
    assert proxy.ranges == ["bytes=0-0", f"bytes=0-{media.size_bytes - 1}"]


def test_an_object_that_may_not_be_read_is_a_media_that_fails_with_what_to_do(
    tools: Toolbox, bucket: Bucket, as_guest: None
) -> None:
    uri = bucket.put("a.mp4", b"secret")
    bucket.allow_guests("ListBucket")
    (media,) = ingest(tools, bucket.uri).new
    assert media.media_id == address_identity(uri, 6)
    run_stages(tools, [media.media_id], QUICK, "run-1")
    assert row(tools, "a.mp4", "probe").reason.startswith(f"{uri} may not be read (access denied)")


XMP = """<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF
 xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""
 xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="4"/></rdf:RDF></x:xmpmeta>"""


def test_the_rights_to_list_and_to_get_are_enough_for_all_stages_and_sidecars(
    tools: Toolbox,
    bucket: Bucket,
    as_guest: None,
    originals: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bucket.let_guests_read()
    bucket.put("rushes/two.mp4", originals / "two.mp4")
    bucket.put("rushes/two.xmp", XMP.encode())
    bucket.put("rushes/two.lrv", b"small film" * 1000)
    with CuttingProxy(bucket.server.url) as proxy:
        ask_as(monkeypatch, {"AWS_ENDPOINT_URL": proxy.url})
        (media,) = ingest(tools, f"{bucket.uri}/rushes").new
        run_stages(tools, [media.media_id], QUICK, "run-1")
    assert {row(tools, "two.mp4", stage).state for stage in QUICK} == {State.DONE}
    assert {asked.split()[0] for asked in proxy.asked} == {"GET"}
    assert not [asked for asked in proxy.asked if "two.lrv" in asked]
    probe = tools.derived.outcome(media.media_id, "probe").result
    assert probe["rating"] == 4
    beside = [(one["name"], one["size_bytes"]) for one in probe["raw"]["sidecars"]]
    assert beside == [("two.lrv", 10_000), ("two.xmp", len(XMP))]
    ask_as(monkeypatch, {"AWS_ENDPOINT_URL": bucket.server.url})
    (again,) = ingest(tools, f"{bucket.uri}/rushes/two.mp4").media
    assert again.media.sidecar_version == media.sidecar_version


def test_a_disk_that_is_away_is_no_matter_where_the_bucket_holds_the_same(
    tools: Toolbox, bucket: Bucket, originals: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    shutil.copy2(originals / "two.mp4", disk)
    bucket.put("two.mp4", originals / "two.mp4")
    (media,) = ingest(tools, disk, bucket.uri).new
    with CuttingProxy(bucket.server.url) as proxy:
        ask_as(monkeypatch, {"AWS_ENDPOINT_URL": proxy.url})
        run_stages(tools, [media.media_id], ("probe",), "run-1")
        assert proxy.asked == []  # the disk is nearer
        disk.rename(tmp_path / "unplugged")
        run_stages(tools, [media.media_id], QUICK, "run-2")
        assert proxy.asked
    assert {row(tools, "two.mp4", stage).state for stage in QUICK} == {State.DONE}


def test_a_checksum_alone_keeps_no_copy(
    tools: Toolbox, bucket: Bucket, originals: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.put("two.mp4", originals / "two.mp4")
    (media,) = ingest(tools, bucket.uri).new
    stages = (*QUICK, "transcript")
    run_stages(tools, [media.media_id], stages, "run-1")
    tools.catalogue.states.forget([media.media_id], ["checksum"])
    with monkeypatch.context() as watched:
        watched.setattr(tools.copies, "path", None)
        run_stages(tools, [media.media_id], ("checksum",), "run-2")
    stored = tools.derived.outcome(media.media_id, "checksum")
    whole = hashlib.sha256((originals / "two.mp4").read_bytes()).hexdigest()
    assert (stored.provenance.run_id, stored.result["sha256"]) == ("run-2", whole)


# The real command


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("AWS_SECRET_ACCESS_KEY", "wrong", r"the credentials were refused \(SignatureDoesNotMatch"),
        ("AWS_ACCESS_KEY_ID", "nobody", "the credentials were refused"),
        ("AWS_ACCESS_KEY_ID", "", "needs credentials, and there are none"),
        ("AWS_ENDPOINT_URL", "http://127.0.0.1:9", "cannot be reached"),
    ],
)
def test_ingest_says_why_the_store_cannot_be_used(
    bucket: Bucket,
    dam_home: Path,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    value: str,
    words: str,
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(dam_home / "dagster"))
    ask_as(monkeypatch, {variable: value})
    said = dam("ingest", bucket.uri)
    assert (said.exit_code, said.stdout) == (1, "")
    assert re.search(words, " ".join(said.stderr.split())), said.stderr


@pytest.mark.slow
@pytest.mark.weights
def test_ingest_processes_what_is_in_a_bucket(
    bucket: Bucket, dam_home: Path, originals: Path
) -> None:
    for path in originals.iterdir():
        bucket.put(f"rushes/{path.name}", path)
    said = run_dam({}, "ingest", f"{bucket.uri}/rushes", "--json")
    assert said.returncode == 0, said.stderr
    answer = json.loads(said.stdout)
    assert (answer["discovered"], answer["new"], answer["done"]) == (3, 3, 3)
    uris = {f"{bucket.uri}/rushes/{path.name}" for path in originals.iterdir()}
    assert {one["uri"] for one in answer["media"]} == uris
    assert not [path for path in (dam_home / "scratch").rglob("*") if path.is_file()]
    (media,) = dam_json("status", f"{bucket.uri}/rushes/one.mp4")["media"]
    assert {media["stages"][name]["state"] for name in ("shots", "transcript")} == {"done"}
    assert bucket.server.secret not in "".join(
        path.read_text(errors="replace") for path in dam_home.rglob("*") if path.is_file()
    )
    assert dam("show", media["partition_key"]).exit_code == 0


@pytest.mark.slow
@pytest.mark.weights
def test_ingests_that_are_killed_and_stopped_leave_no_copy_behind_after_the_next(
    bucket: Bucket, dam_home: Path, originals: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("DAM_SPEECH", "DAM_FACES"):
        monkeypatch.setenv(name, "0")
    for name in ("one.mp4", "photo.jpg"):
        bucket.put(name, originals / name)
    killed = interrupt_at_a_copy(bucket, dam_home, signal.SIGKILL)
    assert killed.exists()
    assert not interrupt_at_a_copy(bucket, dam_home, signal.SIGINT, left=killed).exists()
    said = run_dam({}, "ingest", bucket.uri)
    assert said.returncode == 0, said.stderr
    assert not killed.exists()
    assert not [path for path in (dam_home / "scratch").rglob("*") if path.is_file()]


def interrupt_at_a_copy(
    bucket: Bucket, home: Path, how: signal.Signals, left: Path | None = None
) -> Path:
    """Ingest, and send the signal when there is a new copy of an original; returns the copy."""
    command = subprocess.Popen([DAM, "ingest", bucket.uri], process_group=0)
    while not (copies := set((home / "scratch").glob("*/*/original/*")) - {left}):
        assert command.poll() is None
        time.sleep(0.01)
    os.killpg(command.pid, how)  # as a terminal does on Ctrl-C
    command.wait(timeout=120)
    return copies.pop()
