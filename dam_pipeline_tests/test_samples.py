"""The sample library holds what it says, to the frame, and is the same each time."""

import json
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageOps

from dam_pipeline.errors import ConfigurationError
from dam_pipeline.samples.contents import CONTENTS, SampleFile
from dam_pipeline.samples.drawing import COLOURS
from dam_pipeline.samples.library import MADE_AT, list_library, make_library
from dam_pipeline.samples.photographs import HEAD_BOX

CUT_CLIPS = [s.name for s in CONTENTS if s.cuts_s and s.is_readable]
SPEECH = [s.name for s in CONTENTS if s.said]
PHOTOGRAPHS = [s.name for s in CONTENTS if s.taken]
PORTRAITS = [s.name for s in CONTENTS if s.person]
PLAYABLE = [s.name for s in CONTENTS if s.duration_s]

Library = dict[str, SampleFile]


def frames_of(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Times in seconds, and frames as uint8 (frames, 90, 160, 3)."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    small = [frame.to_ndarray(format="rgb24", width=160, height=90) for frame in frames]
    return np.array([frame.time for frame in frames]), np.stack(small)


def sound_of(path: Path) -> tuple[np.ndarray, int]:
    """Samples of the first channel as float, and their rate in Hz."""
    with av.open(str(path)) as container:
        rate = container.streams.audio[0].rate
        frames = [frame.to_ndarray() for frame in container.decode(audio=0)]
    samples = np.concatenate([f[0] for f in frames]).astype(float)
    return samples / (32768 if np.issubdtype(frames[0].dtype, np.integer) else 1), rate


def colour_share(frame: np.ndarray, colour: str) -> float:
    """Share of a frame's pixels that are close to a named colour."""
    distance = np.abs(frame.astype(int) - np.array(COLOURS[colour])).max(-1)
    return float((distance < 45).mean())


def test_every_file_is_there_and_the_library_stays_small(sample_library: Library) -> None:
    sizes = {name: sample.path.stat().st_size for name, sample in sample_library.items()}
    assert [name for name, size in sizes.items() if size == 0] == ["broken/empty.mp4"]
    assert sum(sizes.values()) < 5_000_000


@pytest.mark.parametrize("name", CUT_CLIPS)
def test_a_cut_is_where_it_is_said_to_be_and_nowhere_else(
    sample_library: Library, name: str
) -> None:
    sample = sample_library[name]
    times, frames = frames_of(sample.path)
    change = np.abs(np.diff(frames.astype(int), axis=0)).mean((1, 2, 3))
    assert times[1:][change > 20] == pytest.approx(sample.cuts_s, abs=0.005)


@pytest.mark.parametrize("name", CUT_CLIPS)
def test_each_shot_shows_the_colours_of_its_scene(sample_library: Library, name: str) -> None:
    sample = sample_library[name]
    times, frames = frames_of(sample.path)
    for shown in sample.shown:
        middle = frames[np.searchsorted(times, (shown.start_s + shown.end_s) / 2)]
        assert colour_share(middle, shown.scene.background) > 0.5, shown
        assert colour_share(middle, shown.scene.colour) > 0.01, shown


@pytest.mark.parametrize("name", PLAYABLE)
def test_duration_and_streams_are_as_said(sample_library: Library, name: str) -> None:
    sample = sample_library[name]
    with av.open(str(sample.path)) as container:
        assert container.duration / av.time_base == pytest.approx(sample.duration_s, abs=0.1)
        assert bool(container.streams.audio) == sample.has_audio
        assert bool(container.streams.video) == (sample.kind == "video")


def test_the_visitor_of_the_long_clip_comes_and_goes_without_a_cut(sample_library: Library) -> None:
    sample = sample_library["clips/watch.mp4"]
    times, frames = frames_of(sample.path)
    yellow = np.array([colour_share(frame, "yellow") for frame in frames])
    assert np.abs(np.diff(frames.astype(int), axis=0)).mean((1, 2, 3)).max() < 5
    in_view = np.zeros(len(times), bool)
    for shown in sample.shown:
        in_view |= (times >= shown.start_s) & (times < shown.end_s)
        fully = (times > shown.start_s + 1.5) & (times < shown.end_s - 1.5)
        assert yellow[fully].min() > 0.02
    assert yellow[~in_view].max() == 0


def test_the_silent_track_is_silent(sample_library: Library) -> None:
    samples, _ = sound_of(sample_library["clips/silent.mp4"].path)
    assert np.abs(samples).max() < 1e-4


def test_the_reel_sounds_a_tone_of_220_hz(sample_library: Library) -> None:
    samples, rate = sound_of(sample_library["clips/reel.mp4"].path)
    spectrum = np.abs(np.fft.rfft(samples[:rate]))
    assert spectrum.argmax() == pytest.approx(220, abs=1)


@pytest.mark.parametrize("name", SPEECH)
def test_a_sentence_begins_when_it_is_said_to(sample_library: Library, name: str) -> None:
    sample = sample_library[name]
    samples, rate = sound_of(sample.path)
    for said in sample.said:
        start = round(said.start_s * rate)
        before, after = samples[start - rate // 4 : start], samples[start : start + rate]
        assert np.abs(before).max() < 0.01 < 0.1 < np.abs(after).max(), said


def test_the_web_copy_is_the_reel_cropped_and_smaller(sample_library: Library) -> None:
    with av.open(str(sample_library["clips/reel-for-web.mp4"].path)) as container:
        assert (container.streams.video[0].width, container.streams.video[0].height) == (480, 270)
    _, copy = frames_of(sample_library["clips/reel-for-web.mp4"].path)
    with av.open(str(sample_library["clips/reel.mp4"].path)) as container:
        first = next(container.decode(video=0)).to_image().crop((32, 18, 608, 342))
    expected = np.asarray(first.resize((160, 90)), int)
    assert np.abs(copy[0] - expected).mean() < 4


def test_photographs_carry_what_their_camera_knew(sample_library: Library) -> None:
    samples = [sample_library[name] for name in PHOTOGRAPHS]
    tags = ("-Model", "-LensModel", "-DateTimeOriginal", "-OffsetTimeOriginal", "-GPSLatitude")
    more = ("-GPSLongitude", "-Title", "-Subject", "-Rating")
    command = ["exiftool", "-json", "-n", *tags, *more, *(str(s.path) for s in samples)]
    found = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    for sample, exif in zip(samples, found, strict=True):
        taken = sample.taken
        date, time = exif["DateTimeOriginal"].split()
        assert f"{date.replace(':', '-')}T{time}{exif['OffsetTimeOriginal']}" == taken.at
        assert (exif["Model"], exif["LensModel"]) == (taken.camera, taken.lens)
        assert (exif["GPSLatitude"], exif["GPSLongitude"]) == pytest.approx(taken.gps, abs=1e-5)
        assert exif.get("Title", "") == taken.title
        assert tuple(exif.get("Subject", ())) == taken.keywords
        assert exif.get("Rating", 0) == taken.rating


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_a_photograph_shows_its_scene_upright(sample_library: Library, name: str) -> None:
    sample = sample_library[name]
    pillow_heif.register_heif_opener()
    with Image.open(sample.path) as picture:
        upright = np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))
    is_tall = upright.shape[0] > upright.shape[1]
    assert is_tall == (sample.taken.orientation == 6)
    assert colour_share(upright, sample.shown[0].scene.background) > 0.5


def test_a_triangle_on_a_turned_photograph_points_up(sample_library: Library) -> None:
    with Image.open(sample_library["photos/IMG_1003.jpg"].path) as picture:
        upright = np.asarray(ImageOps.exif_transpose(picture).convert("RGB")).astype(int)
    rows = np.flatnonzero((upright[..., 1] - upright[..., 0] > 60).any(1))
    green = upright[..., 1] - upright[..., 0] > 60
    top, bottom = green[rows[: len(rows) // 2]].sum(), green[rows[len(rows) // 2 :]].sum()
    assert bottom > 1.5 * top


def test_the_edits_of_the_portrait_are_what_their_names_say(sample_library: Library) -> None:
    pictures = {}
    for name in PORTRAITS:
        with Image.open(sample_library[name].path) as picture:
            pictures[Path(name).stem.removeprefix("astronaut")] = picture.convert("RGB")
    original = pictures.pop("")
    expected = {
        "-mirrored": ImageOps.mirror(original),
        "-cropped": original.crop(HEAD_BOX),
        "-small": original.resize((256, 256), Image.Resampling.BOX),
    }
    brighter = pictures.pop("-brighter")
    assert np.asarray(brighter).mean() > 1.15 * np.asarray(original).mean()
    for edit, picture in pictures.items():
        assert picture.size == expected[edit].size
        difference = np.asarray(picture, int) - np.asarray(expected[edit], int)
        assert np.abs(difference).mean() < 4, edit


def test_the_truncated_file_cannot_be_opened(sample_library: Library) -> None:
    with pytest.raises(av.error.InvalidDataError):
        av.open(str(sample_library["broken/truncated.mp4"].path))


def test_files_are_long_settled(sample_library: Library) -> None:
    assert {s.path.stat().st_mtime for s in sample_library.values()} == {MADE_AT.timestamp()}


def test_making_it_again_makes_only_what_is_missing(
    tmp_path: Path, sample_library: Library
) -> None:
    for sample in list_library(tmp_path):
        sample.path.parent.mkdir(exist_ok=True)
        sample.path.symlink_to(sample_library[sample.name].path)
    for name in ("clips/mute.mp4", "photos/IMG_1001.jpg", "sound/memo.flac"):
        (tmp_path / name).unlink()
    made: list[str] = []
    for sample in make_library(tmp_path, lambda sample: made.append(sample.name)):
        assert sample.path.read_bytes() == sample_library[sample.name].path.read_bytes()
    assert sorted(made) == ["clips/mute.mp4", "photos/IMG_1001.jpg", "sound/memo.flac"]


def test_without_ffmpeg_it_says_what_to_do_and_leaves_nothing_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    with pytest.raises(ConfigurationError, match=r"ffmpeg is not installed.*make setup"):
        make_library(tmp_path / "library")
    assert [path for path in (tmp_path / "library").rglob("*") if path.is_file()] == []


def test_run_without_a_folder_it_tells_its_usage() -> None:
    command = [sys.executable, "-m", "dam_pipeline.samples.library"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "library FOLDER" in result.stderr
