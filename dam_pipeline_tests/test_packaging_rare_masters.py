"""Masters that are seldom met: what is made of them looks, sounds and lasts as they do."""

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dam_pipeline.agencies.agency import Agency, MediaRules, Transcode
from dam_pipeline.packaging.package import make_package
from dam_pipeline.records import MediaKind
from dam_pipeline.settings import Settings
from dam_pipeline.stock.record import Rendition
from dam_pipeline_tests.clips import ffmpeg
from dam_pipeline_tests.stock_desk import AGENCY, Desk, desk_of
from dam_pipeline_tests.test_packaging import probed

H264 = Transcode("mov", "libx264", "yuv420p", ("-crf", "10"), "aac")
PRORES = Transcode("mov", "prores_ks", "yuv422p10le")
X264 = ("-c:v", "libx264", "-pix_fmt", "yuv420p")
X265 = ("-c:v", "libx265", "-x265-params", "log-level=error", "-pix_fmt", "yuv420p")
COLOUR = (0x20, 0xC0, 0x40)
Made = Callable[..., Path]


def clip(path: Path, *options: str, source: str = "testsrc2=s=320x180:r=25:d=1") -> None:
    ffmpeg("-f", "lavfi", "-i", source, *options, path)


def with_sound(path: Path, *seconds: int) -> None:
    """A clip of 2 s, and a sound track for each of these lengths."""
    tracks = [word for one in seconds for word in ("-f", "lavfi", "-i", f"sine=d={one}")]
    maps = [word for at in range(len(seconds) + 1) for word in ("-map", str(at))]
    clip(path, *tracks, *maps, *X264, "-c:a", "aac", source="testsrc2=s=320x180:r=25:d=2")


def with_a_codec_that_nobody_knows(path: Path) -> None:
    """As telephones of today write a second sound track, of Apple's positional audio."""
    with_sound(path, 2, 2)
    content = bytearray(path.read_bytes())
    table = content.rfind(b"stsd")
    assert content[table + 16 : table + 20] == b"mp4a"
    content[table + 16 : table + 20] = b"apac"
    esds = content.find(b"esds", table)
    content[esds : esds + 4] = b"dapa"
    path.write_bytes(content)


def without_a_declared_rate(path: Path) -> None:
    """As browsers record: 30 frames a second, at times of their own, and nothing that says so."""
    times = "settb=1/1000,setpts=PTS+floor(random(1)*20)"
    coder = ("-vsync", "passthrough", "-enc_time_base", "1/1000", "-c:v", "libvpx", "-b:v", "300k")
    clip(path, "-vf", times, *coder, source="testsrc2=s=320x180:r=30:d=4")
    content = bytearray(path.read_bytes())
    at = content.find(b"\x23\xe3\x83")  # Matroska's DefaultDuration
    if at > 0:
        length = 4 + (content[at + 3] & 0x7F)
        content[at : at + length] = bytes([0xEC, 0x80 | (length - 2)]) + bytes(length - 2)  # Void
    path.write_bytes(content)


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    folder = tmp_path_factory.mktemp("rare")
    originals = folder / "originals"
    originals.mkdir()
    clip(originals / "wide.mp4", "-vf", "setsar=4/3", *X264)
    turned = ("-c", "copy", "-metadata:s:v", "rotate=90")
    ffmpeg("-i", originals / "wide.mp4", *turned, originals / "turned.mp4")
    odd = ("-vf", "setsar=4/3", "-c:v", "libx264", "-pix_fmt", "yuv444p")
    clip(originals / "odd.mp4", *odd, source="testsrc=s=321x181:r=25:d=1")
    colour = f"color=0x{bytes(COLOUR).hex()}:s=320x180:r=25:d=1"
    clip(originals / "rgb.mov", "-c:v", "qtrle", "-pix_fmt", "rgb24", source=colour)
    fields = ("-vf", "interlace=lowpass=0", "-c:v", "dvvideo", "-pix_fmt", "yuv420p")
    clip(originals / "tape.avi", *fields, source="testsrc2=s=720x576:r=50:d=1")
    clip(originals / "hevc.mkv", *X265)
    with_sound(originals / "loud.mov", 3)
    with_a_codec_that_nobody_knows(originals / "spatial.mov")
    without_a_declared_rate(originals / "browser.webm")
    return desk_of(Settings(home=folder / "home"), originals)


@pytest.fixture
def made(desk: Desk, tmp_path: Path) -> Made:
    """Package one master for an agency that takes H.264; returns the file."""

    def make(name: str, how: Any = "transcode", coder: Transcode = H264, **wanted: Any) -> Path:
        rules = MediaRules(MediaKind.VIDEO, transcode=coder)
        agency: Agency = replace(AGENCY, media={MediaKind.VIDEO: rules})
        verdict = desk.verdict(name, "made.mov", rendition=Rendition(how, "mov", **wanted))
        with desk.opened() as tools:
            manifest = make_package(tools, agency, [verdict], tmp_path / "package")
        assert not manifest.left_out, manifest.left_out[0].errors
        return tmp_path / "package" / "media" / "made.mov"

    return make


def video(path: Path) -> dict[str, Any]:
    return next(one for one in probed(path)["streams"] if one["codec_type"] == "video")


def shown(path: Path) -> np.ndarray:
    """All frames as RGB, n x h x w x 3, in the matrix that the file names."""
    stream = video(path)
    raw = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-")
    done = subprocess.run(
        ["ffmpeg", "-v", "error", "-i", path, *raw], capture_output=True, check=True
    )
    size = (stream["height"], stream["width"])
    return np.frombuffer(done.stdout, np.uint8).reshape(-1, *size, 3).astype(int)


@pytest.mark.parametrize(
    ("name", "size", "aspect"),
    [("wide.mp4", (160, 90), "4:3"), ("turned.mp4", (90, 160), "3:4"), ("wide.mp4", (0, 0), "4:3")],
)
def test_pixels_that_are_not_square_keep_their_form(made, name, size, aspect):
    stream = video(made(name, width=size[0], height=size[1]))
    assert stream["sample_aspect_ratio"] == aspect
    assert (stream["width"], stream["height"]) == (size if size[0] else (320, 180))


def test_an_odd_line_is_cut_where_pixels_are_coded_in_pairs(made):
    stream = video(made("odd.mp4"))
    assert (stream["width"], stream["height"]) == (320, 180)
    assert stream["sample_aspect_ratio"] == "4:3"


@pytest.mark.parametrize("coder", [H264, PRORES])
def test_red_green_and_blue_become_rec_709_and_are_called_so(made, coder):
    path = made("rgb.mov", coder=coder)
    stream = video(path)
    names = [stream.get(f"color_{one}") for one in ("space", "primaries", "transfer", "range")]
    assert names == ["bt709", "bt709", "bt709", "tv"]
    assert np.abs(shown(path)[0].mean(axis=(0, 1)) - COLOUR).max() < 6  # in BT.601: 19


def test_fields_on_tape_become_whole_pictures(desk, made):
    assert desk.items["tape.avi"].probe.is_interlaced
    combs = []
    for is_deinterlaced in (False, True):
        frame = shown(made("tape.avi", is_deinterlaced=is_deinterlaced))[12]
        combs.append(np.abs(frame[2:-2:2] - frame[3:-1:2]).mean())
    assert combs[1] < combs[0] / 2


def test_frames_without_a_declared_rate_stay_as_many_as_they_are(desk, made):
    probe = desk.items["browser.webm"].probe
    assert probe.is_variable_frame_rate
    assert probe.frame_rate == pytest.approx(30, abs=0.5)
    stream = video(made("browser.webm"))
    assert int(stream["nb_frames"]) == 120
    assert float(stream["duration"]) == pytest.approx(4.0, abs=0.1)


@pytest.mark.parametrize("how", ["remux", "transcode"])
def test_pictures_end_where_they_end_when_longer_sound_is_left_out(made, how):
    stream = probed(made("loud.mov", how, drop_audio=True))["format"]
    assert float(stream["duration"]) == pytest.approx(2.0, abs=0.01)


@pytest.mark.parametrize("how", ["remux", "transcode"])
def test_sound_that_nobody_can_decode_is_left_behind_and_the_other_goes_along(made, how):
    codecs = [one["codec_name"] for one in probed(made("spatial.mov", how))["streams"]]
    assert codecs == ["h264", "aac"]


def test_hevc_in_quicktime_has_the_name_that_apples_players_know(made):
    assert video(made("hevc.mkv", "remux"))["codec_tag_string"] == "hvc1"
