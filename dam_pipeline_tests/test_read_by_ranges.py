"""Remote originals without a copy: what a probe fetches, decoding by ranges, a store that goes away."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from dam_pipeline.catalogue.discovery import discover
from dam_pipeline.errors import SourceChanged, SourceUnavailable, UnreadableMedia
from dam_pipeline.media.decoder import Decoder
from dam_pipeline.media.probing import Prober
from dam_pipeline.records import MediaKind, Probe, StageRow, State
from dam_pipeline.settings import Settings
from dam_pipeline.sources.listing import Listed
from dam_pipeline.sources.s3_listing import list_objects
from dam_pipeline.sources.window import Window
from dam_pipeline.stages.engine import run_stages
from dam_pipeline.stages.scratch import Room, make_scratch
from dam_pipeline.stages.work import Toolbox
from dam_pipeline_tests.clips import encode, shots, speech
from dam_pipeline_tests.s3_server import Bucket, CuttingProxy, ask_as

pytestmark = pytest.mark.s3

HOLE_BYTES = 300 << 20
DECODED = ("probe", "checksum", "poster", "shots", "keyframes")


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip with sound as QuickTime with its index at the end, and as other containers."""
    folder = tmp_path_factory.mktemp("clips")
    words = speech(folder / "words.wav", "The quick brown fox jumps over the lazy dog.")
    clip = encode(folder / "a.mov", shots([40, 41]), inputs=("-i", words))
    for name in ("a.mkv", "a.ts", "a.avi"):
        copy = ["ffmpeg", "-v", "error", "-i", clip, "-c", "copy", folder / name]
        subprocess.run(copy, check=True)
    return folder


@pytest.fixture
def window() -> Iterator[Window]:
    opened = Window()
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def prober() -> Iterator[Prober]:
    with Prober() as opened:
        yield opened


@pytest.fixture(scope="module")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Decoder]:
    with Decoder(Settings(home=tmp_path_factory.mktemp("home"))) as opened:
        yield opened


def only(bucket: Bucket) -> Listed:
    (file,) = list_objects(bucket.uri).files
    return file


def with_a_hole(clip: Path, path: Path) -> Path:
    """The clip with zeros between its pictures and its index, which take no room on the disk."""
    content = clip.read_bytes()
    at = content.index(b"mdat") - 4
    length = int.from_bytes(content[at : at + 4])
    with open(path, "wb") as file:
        file.write(content[:at] + (length + HOLE_BYTES).to_bytes(4))
        file.write(content[at + 4 : at + length])
        file.seek(HOLE_BYTES, 1)
        file.write(content[at + length :])
    return path


@pytest.mark.parametrize("name", ["a.mov", "a.mkv", "a.ts", "a.avi", "words.wav"])
def test_a_probe_by_ranges_says_what_a_probe_of_the_file_says(
    bucket: Bucket, clips: Path, window: Window, prober: Prober, tmp_path: Path, name: str
) -> None:
    bucket.put(name, clips / name)
    kind = MediaKind.AUDIO if name.endswith("wav") else MediaKind.VIDEO
    with window.open(only(bucket), tmp_path / name) as view:
        ranged = prober.probe(tmp_path / name, kind, (), view)
    assert ranged == prober.probe(clips / name, kind)
    assert "127.0.0.1" not in json.dumps(ranged.to_json())


def test_a_probe_of_a_large_recording_fetches_a_few_megabytes(
    settings: Settings,
    bucket: Bucket,
    clips: Path,
    prober: Prober,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    film = with_a_hole(clips / "a.mov", tmp_path / "film.mov")
    with_a_hole(clips / "a.mov", bucket.drop("film.mov", b""))
    with Toolbox.open(settings) as tools:
        (media,) = discover([bucket.uri], tools.catalogue, tools.derived, settings).new
        with CuttingProxy(bucket.server.url) as proxy:
            ask_as(monkeypatch, {"AWS_ENDPOINT_URL": proxy.url})
            run_stages(tools, [media.media_id], ("probe",), "run-1")
        stored = tools.derived.outcome(media.media_id, "probe")
    assert Probe.from_json(stored.result) == prober.probe(film, MediaKind.VIDEO)
    assert proxy.answered_bytes < 4 << 20
    assert len(proxy.ranges) < 30


def test_a_recording_over_the_scratch_limit_is_decoded_without_a_copy(
    settings: Settings, bucket: Bucket, clips: Path, tmp_path: Path
) -> None:
    small = settings.model_copy(update={"scratch_bytes": 1000})
    bucket.put("a.mov", clips / "a.mov")
    bucket.put("photo.jpg", b"\xff\xd8\xff" * 1000)
    rows: dict[str, dict[str, StageRow]] = {}
    with Toolbox.open(small) as tools:
        found = discover([bucket.uri], tools.catalogue, tools.derived, small)
        ids = {media.first_name: media.media_id for media in found.new}
        run_stages(tools, list(ids.values()), DECODED, "run-1")
        rows = {name: tools.catalogue.states.of([one])[one] for name, one in ids.items()}
        by_ranges = {stage: tools.derived.outcome(ids["a.mov"], stage) for stage in DECODED}
    assert {rows["a.mov"][stage].state for stage in DECODED} == {State.DONE}
    assert rows["photo.jpg"]["probe"].state is State.BLOCKED
    assert "Raise DAM_SCRATCH_BYTES" in rows["photo.jpg"]["probe"].reason
    other = settings.model_copy(update={"home": tmp_path / "other"})
    with Toolbox.open(other) as tools:
        discover([clips / "a.mov"], tools.catalogue, tools.derived, other)
        run_stages(tools, [ids["a.mov"]], DECODED, "run-1")
        for stage in DECODED:
            there = tools.derived.outcome(ids["a.mov"], stage)
            assert there.data_version == by_ranges[stage].data_version, stage
    left = [path for path in settings.home.rglob("*") if path.is_file()]
    assert not [path for path in left if "127.0.0.1" in path.read_text(errors="replace")]


def test_sound_is_decoded_by_ranges(
    bucket: Bucket, clips: Path, window: Window, decoder: Decoder, tmp_path: Path
) -> None:
    bucket.put("a.ts", clips / "a.ts")
    with window.open(only(bucket)) as view:
        ranged = decoder.audio(view.url, tmp_path / "ranged")
    local = decoder.audio(clips / "a.ts", tmp_path / "local")
    assert ranged.samples == local.samples > 16000
    assert (tmp_path / "ranged").read_bytes() == (tmp_path / "local").read_bytes()


# Trouble


def test_a_store_that_goes_away_is_not_the_fault_of_the_file(
    bucket: Bucket,
    clips: Path,
    window: Window,
    decoder: Decoder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bucket.put("a.mov", clips / "a.mov")
    file = only(bucket)
    ask_as(monkeypatch, {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"})
    with (
        pytest.raises(SourceUnavailable, match=r"a\.mov cannot be reached"),
        window.open(file) as view,
    ):
        decoder.audio(view.url, tmp_path / "sound")


def test_an_original_that_changes_while_it_is_read_is_told(
    bucket: Bucket, clips: Path, window: Window, decoder: Decoder, tmp_path: Path
) -> None:
    bucket.put("a.mov", clips / "a.mov")
    file = only(bucket)
    bucket.put("a.mov", (clips / "a.mov").read_bytes()[::-1])
    with (
        pytest.raises(SourceChanged, match="changed after it was found"),
        window.open(file) as view,
    ):
        decoder.audio(view.url, tmp_path / "sound")


def test_a_connection_that_is_cut_is_taken_up(
    bucket: Bucket,
    clips: Path,
    window: Window,
    decoder: Decoder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bucket.put("a.mov", clips / "a.mov")
    file = only(bucket)
    with CuttingProxy(bucket.server.url, cut_after_bytes=50_000) as proxy:
        ask_as(monkeypatch, {"AWS_ENDPOINT_URL": proxy.url})
        with window.open(file) as view:
            ranged = decoder.audio(view.url, tmp_path / "sound")
    assert ranged.samples == decoder.audio(clips / "a.mov", tmp_path / "local").samples


def test_what_is_damaged_is_still_the_fault_of_the_file(
    bucket: Bucket, window: Window, decoder: Decoder, tmp_path: Path
) -> None:
    bucket.put("a.mov", b"\0" * 10_000)
    with (
        pytest.raises(UnreadableMedia, match=r"a\.mov cannot be read"),
        window.open(only(bucket)) as view,
    ):
        decoder.audio(view.url, tmp_path / "sound")


def test_a_window_opens_nothing_but_its_own_views(
    bucket: Bucket, clips: Path, window: Window, decoder: Decoder, tmp_path: Path
) -> None:
    bucket.put("a.mov", clips / "a.mov")
    with window.open(only(bucket)) as view:
        guessed = view.url.replace(view.url.split("/")[3], "0" * 32)
        with pytest.raises(UnreadableMedia):
            decoder.audio(guessed, tmp_path / "sound")
        closed = view.url
    with pytest.raises(UnreadableMedia):
        decoder.audio(closed, tmp_path / "sound")


# Room


def test_all_processes_of_a_home_share_the_room_for_copies(tmp_path: Path) -> None:
    own = make_scratch(tmp_path)
    sleeper = subprocess.Popen(["sleep", "60"])
    born = Path(f"/proc/{sleeper.pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
    host = own.name.split("-", 2)[2].rpartition("-")[0]
    other = own.with_name(f"{sleeper.pid}-{born}-{host}-x")
    other.mkdir()
    try:
        theirs = Room(100, lambda: other)
        ours = Room(100, lambda: own)
        assert theirs.take("a" * 32, 60)
        assert not ours.take("b" * 32, 60)
        assert ours.take("c" * 32, 40)
        theirs.give_back("a" * 32)
        assert ours.take("b" * 32, 60)
        ours.give_back("b" * 32)
        assert theirs.take("a" * 32, 60)
    finally:
        sleeper.kill()
        sleeper.wait()
    assert ours.take("b" * 32, 60)  # what a killed process held is free again
    assert not other.exists()
