"""Originals in a bucket of a real S3 server: listing, identity, refusals, copies, a whole ingest."""

import hashlib
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pytest
from PIL import Image

from dam_pipeline.catalogue.discovery import Discovery, discover
from dam_pipeline.errors import (
    ConfigurationError,
    DiskFull,
    SourceChanged,
    SourceUnavailable,
)
from dam_pipeline.identity import WHOLE_UP_TO_BYTES, fingerprint_file
from dam_pipeline.records import StageRow, State
from dam_pipeline.settings import Settings
from dam_pipeline.sources import s3
from dam_pipeline.sources.content import Content, address_identity
from dam_pipeline.sources.originals import bring
from dam_pipeline.stages.engine import run_stages
from dam_pipeline.stages.scratch import Copies, make_scratch
from dam_pipeline.stages.work import Toolbox
from dam_pipeline_tests.clips import encode, place, shots, speech
from dam_pipeline_tests.processed import DAM, dam, dam_json, run_dam

pytestmark = pytest.mark.s3

SCRIPT = Path(__file__).resolve().parents[1] / ".ci" / "s3.sh"
BUILT_WITHIN_S = 120
QUICK = ("probe", "checksum", "poster", "shots", "keyframes")


@dataclass(frozen=True)
class Server:
    """A running server: its folder, its address and the login that it knows."""

    folder: Path
    url: str
    key: str
    secret: str

    def environment(self) -> dict[str, str]:
        """The variables by which any S3 client finds it."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_REGION": "us-east-1",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "127.0.0.1",
        }


@dataclass(frozen=True)
class Bucket:
    """A bucket of the test's own."""

    name: str
    server: Server
    client: Any

    @property
    def uri(self) -> str:
        """Its address."""
        return f"s3://{self.name}"

    def put(self, key: str, content: bytes | Path) -> str:
        """Store an object; returns its address."""
        body = content.read_bytes() if isinstance(content, Path) else content
        self.client.put_object(Bucket=self.name, Key=key, Body=body)
        return f"{self.uri}/{key}"

    def delete(self, key: str) -> None:
        """Delete an object."""
        self.client.delete_object(Bucket=self.name, Key=key)


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """An S3 server of our own; what asks for it is skipped where none can be had."""
    try:
        built = subprocess.run(
            [SCRIPT, "build"], capture_output=True, text=True, timeout=BUILT_WITHIN_S, check=False
        )
    except subprocess.TimeoutExpired:
        pytest.skip(f"the S3 server takes over {BUILT_WITHIN_S} s to build: run `.ci/s3.sh build`")
    if built.returncode:
        pytest.skip(f"no S3 server: {built.stderr.strip()}")
    started = subprocess.run([SCRIPT, "start"], check=True, capture_output=True, text=True)
    folder, url, key, secret = started.stdout.split()
    yield Server(Path(folder), url, key, secret)
    subprocess.run([SCRIPT, "stop", folder], check=True)


@pytest.fixture
def bucket(
    server: Server, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Bucket]:
    """An empty bucket, with the server as the S3 of this process."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    s3._client.cache_clear()
    client = boto3.client("s3")
    name = "t-" + hashlib.sha256(request.node.nodeid.encode()).hexdigest()[:20]
    client.create_bucket(Bucket=name)
    yield Bucket(name, server, client)
    s3._client.cache_clear()


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


# What a bucket holds


def test_a_folder_of_keys_is_listed_with_what_was_passed_over(bucket: Bucket) -> None:
    for key in ("day/a b+c%20é.mp4", "day/.b.mp4", "day/deep/c.jpg", "day/notes.txt", "day2/d.mp4"):
        bucket.put(key, key.encode())
    bucket.put("day/empty/", b"")
    listing = s3.list_objects(f"{bucket.uri}/day/", ["*.jpg"])
    assert listing.root == f"{bucket.uri}/day"
    assert [file.uri for file in listing.files] == [f"{bucket.uri}/day/a b+c%20é.mp4"]
    skipped = listing.skipped
    assert (skipped.hidden, skipped.excluded, skipped.other, skipped.total) == (1, 1, 1, 3)


def test_one_object_can_be_named(bucket: Bucket) -> None:
    uri = bucket.put("a.mp4", b"a")
    bucket.put("a.mp4.mp4", b"b")
    assert [file.uri for file in s3.list_objects(uri).files] == [uri]


def test_more_objects_than_a_page_holds_are_all_listed(bucket: Bucket) -> None:
    folder = bucket.server.folder / "data" / bucket.name
    for number in range(1203):  # straight onto the server's disk: such objects have no ETag either
        (folder / f"{number:04}.jpg").write_bytes(b"%d" % number)
    files = s3.list_objects(bucket.uri).files
    assert [file.uri[-8:] for file in files] == [f"{number:04}.jpg" for number in range(1203)]
    assert s3.read_content(files[1202]) is not None


@pytest.mark.parametrize("size_bytes", [1, 5 << 20, WHOLE_UP_TO_BYTES + 4321])
def test_an_object_is_the_same_media_as_the_file_it_was_made_from(
    bucket: Bucket, tmp_path: Path, size_bytes: int
) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(np.random.default_rng(size_bytes).bytes(size_bytes))
    bucket.put("a.mp4", path)
    (file,) = s3.list_objects(bucket.uri).files
    assert s3.read_content(file) == Content(fingerprint_file(path))
    assert s3.whole_sha256(file) == hashlib.sha256(path.read_bytes()).hexdigest()
    bring(file, fingerprint_file(path), tmp_path / "copy.mp4", lambda _bytes: None)
    assert (tmp_path / "copy.mp4").read_bytes() == path.read_bytes()


def test_an_empty_object_is_known_by_its_address(bucket: Bucket) -> None:
    uri = bucket.put("a.mp4", b"")
    (file,) = s3.list_objects(bucket.uri).files
    s3.check(file)
    assert s3.read_content(file) == Content(address_identity(uri, 0), is_readable=False)


def test_other_bytes_of_the_same_size_in_the_same_second_are_seen(bucket: Bucket) -> None:
    bucket.put("a.mp4", b"before")
    (before,) = s3.list_objects(bucket.uri).files
    bucket.put("a.mp4", b"behind")
    (after,) = s3.list_objects(bucket.uri).files
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
    (file,) = s3.list_objects(bucket.uri).files
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
    (file,) = s3.list_objects(bucket.uri).files
    with pytest.raises(SourceChanged, match="holds other bytes"):
        bring(file, "0" * 32, tmp_path / "copy.mp4", lambda _bytes: None)


# What cannot be reached


def test_a_bucket_that_is_not_there_is_named(bucket: Bucket) -> None:
    with pytest.raises(SourceUnavailable, match=r"There is no bucket nowhere-at-all\. Check"):
        s3.list_objects("s3://nowhere-at-all/films")


def test_a_folder_that_is_not_there_is_named(bucket: Bucket) -> None:
    with pytest.raises(ConfigurationError, match=rf"There is nothing at {bucket.uri}/films\."):
        s3.list_objects(f"{bucket.uri}/films/")


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
    monkeypatch.setenv(variable, value)
    if not value:
        monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    said = dam("ingest", bucket.uri)
    assert (said.exit_code, said.stdout) == (1, "")
    assert re.search(words, " ".join(said.stderr.split())), said.stderr


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


# Copies


def test_a_copy_makes_room_for_the_next_when_no_thread_is_at_work_on_it(
    bucket: Bucket, tmp_path: Path
) -> None:
    for name in "abc":
        bucket.put(f"{name}.mp4", name.encode() * 60)
    files = {file.uri[-5]: file for file in s3.list_objects(bucket.uri).files}
    ids = {name: s3.read_content(file).media_id for name, file in files.items()}
    copies = Copies(150, lambda: None)
    paths = {name: copies.path(ids[name], files[name], tmp_path / name) for name in "abab"}
    assert paths["a"].read_bytes() == b"a" * 60
    copies.path(ids["c"], files["c"], tmp_path / "c")
    assert [copies.has(ids[name]) for name in "abc"] == [False, True, True]
    assert copies.path(ids["a"], files["a"], tmp_path / "a").read_bytes() == b"a" * 60
    for name in "abc":
        copies.drop(ids[name])
    assert list(tmp_path.iterdir()) == []


def test_an_object_over_the_limit_is_refused_with_the_setting(
    bucket: Bucket, tmp_path: Path
) -> None:
    bucket.put("a.mp4", b"12345")
    (file,) = s3.list_objects(bucket.uri).files
    with pytest.raises(DiskFull, match=r"has 5 bytes.*Raise DAM_SCRATCH_BYTES"):
        Copies(4, lambda: None).path("0" * 32, file, tmp_path / "a")


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


# The real command


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
