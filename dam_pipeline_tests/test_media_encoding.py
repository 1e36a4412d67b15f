"""Recordings and photographs made anew: what was wanted comes out, the same bytes every time."""

import hashlib
import io
import json
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageCms

from dam_pipeline.errors import UnreadableMedia, UnsupportedMedia
from dam_pipeline.media.decoder import Decoder
from dam_pipeline.media.encoding import Encoding, decode_whole, encode, rate_text
from dam_pipeline.settings import Settings
from dam_pipeline_tests import clips
from dam_pipeline_tests.clips import counted, ffmpeg, place, read_counter, shots, write_dng

PRORES = Encoding(
    "prores_ks", "yuv422p10le", ("-profile:v", "3", "-vendor", "apl0"), drop_audio=True
)
H264 = Encoding("libx264", "yuv420p", ("-crf", "18"), "aac")


@pytest.fixture(scope="module")
def master(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """75 counted frames at 25 a second, with a tone."""
    folder = tmp_path_factory.mktemp("masters")
    sound = clips.tone(folder / "tone.wav", 3.0)
    return clips.encode(
        folder / "master.mov",
        shots([40, 35]),
        *("-c:a", "aac", "-timecode", "01:02:03:04", "-metadata", "title=é", "-shortest"),
        inputs=("-i", sound),
    )


@pytest.fixture(scope="module")
def decoder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Decoder]:
    with Decoder(Settings(home=tmp_path_factory.mktemp("home"))) as opened:
        yield opened


def make(master: Path, target: Path, wanted: Encoding) -> list[float]:
    """Encode; the shares that were told."""
    shares: list[float] = []
    encode(master, target, wanted, duration_s=3.0, stall_s=60, on_share=shares.append)
    return shares


def probed(path: Path) -> dict[str, Any]:
    done = subprocess.run(
        ["ffprobe", "-v", "error", "-show_streams", "-show_format", "-of", "json", path],
        capture_output=True,
        check=True,
    )
    return json.loads(done.stdout)


def streams(path: Path, kind: str) -> list[dict[str, Any]]:
    return [one for one in probed(path)["streams"] if one["codec_type"] == kind]


def pictures(path: Path) -> np.ndarray:
    """All frames as RGB, n x h x w x 3."""
    (stream,) = streams(path, "video")
    done = subprocess.run(
        ["ffmpeg", "-v", "error", "-i", path, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"],
        capture_output=True,
        check=True,
    )
    shape = (-1, stream["height"], stream["width"], 3)
    return np.frombuffer(done.stdout, np.uint8).reshape(shape)


def frames(path: Path) -> list[int]:
    """The numbers on all frames, in their order."""
    return [read_counter(one) for one in pictures(path)]


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_prores_without_sound_has_every_frame(master, tmp_path):
    target = tmp_path / "made.mov"
    shares = make(master, target, PRORES)
    (video,) = streams(target, "video")
    assert (video["codec_name"], video["profile"], video["pix_fmt"]) == (
        "prores",
        "HQ",
        "yuv422p10le",
    )
    assert streams(target, "audio") == []
    assert frames(target) == list(range(75))
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("wanted", [PRORES, H264])
@pytest.mark.parametrize(
    ("transfer", "number"), [("smpte2084", None), ("arib-std-b67", None), ("smpte2084", 16)]
)
def test_hdr_becomes_what_it_was_graded_from(tmp_path, transfer, number, wanted):
    """Also where only the transfer is named, by its number."""
    to_hdr = (
        "format=yuv444p,zscale=min=709:tin=709:pin=709:rin=limited:m=2020_ncl:p=2020:"
        f"t={transfer}:r=limited:npl=203,format=yuv420p10le"
    )
    colours = ("-color_primaries", "bt2020", "-color_trc", transfer, "-colorspace", "bt2020nc")
    codec = ("-c:v", "libx265", "-x265-params", "log-level=error:crf=12", *colours)
    master = clips.encode(tmp_path / "hdr.mp4", shots([12], 640, 360), "-vf", to_hdr, codec=codec)
    if number:
        unnamed = f"hevc_metadata=colour_primaries=2:transfer_characteristics={number}"
        unnamed += ":matrix_coefficients=2"
        ffmpeg("-i", master, "-c", "copy", "-bsf:v", unnamed, tmp_path / "unnamed.mp4")
        master = tmp_path / "unnamed.mp4"
        assert "color_primaries" not in streams(master, "video")[0]
    target = tmp_path / "made.mov"
    assert make(master, target, replace(wanted, hdr=transfer))
    (video,) = streams(target, "video")
    named = {video[f"color_{one}"] for one in ("space", "transfer", "primaries")}
    assert (named, video["pix_fmt"]) == ({"bt709"}, wanted.pixel_format)
    shown = pictures(target)[0].astype(int)
    original = counted(place(0, 640, 360), 0).astype(int)
    assert np.abs(shown - original).mean() < 7
    assert frames(target) == list(range(12))


def test_fields_become_whole_pictures(tmp_path):
    """A bar moves between the fields: every other line of a woven frame shows it elsewhere."""

    def field(number: int) -> np.ndarray:
        picture = np.full((180, 320, 3), 60, np.uint8)
        picture[:, (number * 8) % 300 : (number * 8) % 300 + 20] = 230
        return picture

    master = clips.encode(
        tmp_path / "fields.mp4",
        (field(number) for number in range(24)),
        *("-vf", "interlace=scan=tff:lowpass=0", "-flags", "+ildct+ilme"),
    )
    combs = []
    for is_interlaced in (False, True):
        target = tmp_path / f"made-{is_interlaced}.mov"
        make(master, target, replace(H264, is_interlaced=is_interlaced))
        shown = pictures(target)[0].astype(int)
        combs.append(np.abs(shown[2:-2:2] - shown[3:-1:2]).mean())
        assert len(probed(target)["streams"]) == 1
        assert int(streams(target, "video")[0]["nb_frames"]) == 12
    assert combs[1] < combs[0] / 4


@pytest.mark.parametrize("wanted", [PRORES, H264, Encoding(drop_audio=True)])
def test_the_same_master_gives_the_same_bytes_later(master, tmp_path, wanted):
    make(master, tmp_path / "first.mov", wanted)
    time.sleep(1.1)  # a date in the file would differ
    make(master, tmp_path / "second.mov", wanted)
    assert digest(tmp_path / "first.mov") == digest(tmp_path / "second.mov")


def test_a_new_container_keeps_the_streams_and_drops_titles(master, tmp_path):
    target = tmp_path / "made.mp4"
    make(master, target, Encoding(timecode="01:02:03:04"))

    def packets(path: Path) -> str:
        done = subprocess.run(
            [
                "ffmpeg",
                "-v",
                "error",
                "-i",
                path,
                "-map",
                "0:v",
                "-map",
                "0:a",
                "-c",
                "copy",
                "-f",
                "streamhash",
                "-",
            ],
            capture_output=True,
            check=True,
        )
        return done.stdout.decode()

    assert packets(target) == packets(master)
    tags = probed(target)["format"]["tags"]
    assert "title" not in tags
    assert "creation_time" not in tags
    assert streams(target, "video")[0]["tags"]["timecode"] == "01:02:03:04"


def test_size_and_frame_rate_are_those_asked_for(master, tmp_path):
    target = tmp_path / "made.mp4"
    wanted = Encoding("libx264", "yuv420p", (), "aac", width=160, height=90, frame_rate=29.97)
    make(master, target, wanted)
    (video,) = streams(target, "video")
    assert (video["width"], video["height"]) == (160, 90)
    assert video["avg_frame_rate"] == "30000/1001"
    assert float(video["duration"]) == pytest.approx(3.0, abs=0.05)


def test_a_line_too_many_is_cut_off_and_the_others_stay(tmp_path):
    picture = place(3, 65, 49)
    lossless = ("-c:v", "ffv1", "-pix_fmt", "bgr0")
    odd = clips.encode(tmp_path / "odd.mkv", [picture] * 5, codec=lossless)
    wanted = Encoding("ffv1", "bgr0", width=64, height=48, is_cut=True)
    make(odd, tmp_path / "even.mkv", wanted)
    ffmpeg("-i", tmp_path / "even.mkv", "-frames:v", "1", tmp_path / "frame.png")
    frame = np.asarray(Image.open(tmp_path / "frame.png").convert("RGB"))
    assert np.array_equal(frame, picture[:48, :64])


@pytest.mark.parametrize(
    ("rate", "text"),
    [
        (29.97, "30000/1001"),
        (23.976, "24000/1001"),
        (23.98, "24000/1001"),
        (59.94, "60000/1001"),
        (25.0, "25"),
        (24.0, "24"),
        (12.5, "12.5"),
    ],
)
def test_broadcast_rates_are_exact_fractions(rate, text):
    assert rate_text(rate) == text


def test_an_encoder_that_is_none_is_told_in_ffmpegs_words(master, tmp_path):
    with pytest.raises(UnreadableMedia, match="Unknown encoder 'nonsense'"):
        make(master, tmp_path / "made.mov", Encoding("nonsense"))


def test_who_stops_ends_ffmpeg_at_once(tmp_path):
    long = tmp_path / "long.mp4"
    source = "testsrc2=size=640x360:rate=50:duration=20"
    ffmpeg("-f", "lavfi", "-i", source, "-c:v", "libx264", "-preset", "ultrafast", long)

    def stop(share: float) -> None:
        raise KeyboardInterrupt

    slow = Encoding("libx264", "yuv420p", ("-preset", "veryslow"))
    children = Path(f"/proc/self/task/{threading.get_native_id()}/children")
    before = children.read_text().split()  # servers of other tests
    with pytest.raises(KeyboardInterrupt):
        encode(long, tmp_path / "made.mp4", slow, duration_s=20, stall_s=60, on_share=stop)
    assert children.read_text().split() == before


def test_a_damaged_file_does_not_pass_the_whole_decode(master, tmp_path):
    def decode(path: Path) -> None:
        decode_whole(path, duration_s=3.0, stall_s=60, on_share=lambda share: None)

    good = tmp_path / "good.mp4"
    make(master, good, H264)
    decode(good)
    clips.flip_bytes(good, 60)
    with pytest.raises(UnreadableMedia):
        decode(good)


@pytest.mark.parametrize("suffix", ["heic", "png", "tif", "webp"])
def test_a_photograph_becomes_a_jpeg_in_srgb(decoder, tmp_path, suffix):
    pillow_heif.register_heif_opener()
    picture = counted(place(4, 321, 180), 1234)
    Image.fromarray(picture).save(tmp_path / f"photo.{suffix}", quality=95)
    made = [tmp_path / "first.jpg", tmp_path / "second.jpg"]
    for target in made:
        assert decoder.photo(tmp_path / f"photo.{suffix}", target) == (321, 180)
        time.sleep(0.5)
    with Image.open(made[0]) as image:
        assert image.format == "JPEG"
        profile = ImageCms.ImageCmsProfile(io.BytesIO(image.info["icc_profile"]))
        assert "sRGB" in ImageCms.getProfileDescription(profile)
        assert read_counter(np.asarray(image)) == 1234
    assert digest(made[0]) == digest(made[1])


def test_a_photograph_on_its_side_comes_out_upright(decoder, tmp_path):
    picture = counted(place(5, 320, 180), 77)
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = Image.fromarray(np.ascontiguousarray(np.rot90(picture)))
    turned.save(tmp_path / "turned.jpg", exif=exif, quality=95)
    assert decoder.photo(tmp_path / "turned.jpg", tmp_path / "made.jpg") == (320, 180)
    with Image.open(tmp_path / "made.jpg") as image:
        assert read_counter(np.asarray(image)) == 77
        assert image.getexif().get(0x0112, 1) == 1


def test_a_photograph_is_reduced_or_cut_to_the_size_asked_for(decoder, tmp_path):
    Image.fromarray(place(6, 401, 301)).save(tmp_path / "photo.png")
    for size in ((400, 300), (200, 150)):
        assert decoder.photo(tmp_path / "photo.png", tmp_path / "made.jpg", *size) == size


def test_camera_raw_is_developed_and_not_taken_from_its_preview(decoder, tmp_path):
    picture = place(7, 320, 240)
    write_dng(tmp_path / "photo.dng", picture, preview=picture[::2, ::2])
    assert decoder.photo(tmp_path / "photo.dng", tmp_path / "made.jpg") == (320, 240)


def test_a_photograph_that_was_cut_short_is_refused(decoder, tmp_path):
    Image.fromarray(place(8, 640, 480)).save(tmp_path / "photo.jpg", quality=95)
    clips.keep_head(tmp_path / "photo.jpg", 0.5)
    with pytest.raises(UnreadableMedia, match="read a part"):
        decoder.photo(tmp_path / "photo.jpg", tmp_path / "made.jpg")


def test_a_photograph_becomes_nothing_but_a_jpeg(decoder, tmp_path):
    Image.fromarray(place(8, 64, 48)).save(tmp_path / "photo.png")
    with pytest.raises(UnsupportedMedia, match="into a JPEG"):
        decoder.photo(tmp_path / "photo.png", tmp_path / "made.tif")


def test_sound_that_begins_before_the_pictures_shows_no_frame_twice(master, tmp_path):
    behind = tmp_path / "behind.mkv"  # by the coder's delay of 21 ms
    ffmpeg("-i", master, "-c", "copy", behind)
    lag_s = float(streams(behind, "video")[0]["start_time"])
    assert lag_s == pytest.approx(0.021, abs=0.001)
    make(behind, tmp_path / "silent.mov", replace(PRORES, lag_s=lag_s))
    make(behind, tmp_path / "made.mov", replace(H264, audio_codec="pcm_s16le", lag_s=lag_s))
    assert frames(tmp_path / "silent.mov") == list(range(75))
    assert frames(tmp_path / "made.mov") == list(range(75))
    (sound,) = streams(tmp_path / "made.mov", "audio")
    assert float(sound["start_time"]) == 0.0
    assert float(sound["duration"]) == pytest.approx(3.0, abs=0.03)
