"""The pass over a video's pictures, on clips made by ffmpeg: cuts, times, uprightness, colours."""

from pathlib import Path

import numpy as np
import pytest
from clips import (
    X264_ANY_SIZE,
    counted,
    encode,
    ffmpeg,
    place,
    read_counter,
    shots,
    tone,
)
from PIL import Image

from dam_pipeline.errors import UnsupportedMedia
from dam_pipeline.media.decoder import Decoder, LookPlan
from dam_pipeline.records import Look, MediaKind, Shot
from dam_pipeline.settings import Settings

LENGTHS = (30, 20, 45, 25)  # frames of the shots of `cut_clip`
CUTS_S = (1.2, 2.0, 3.8)


@pytest.fixture(scope="module")
def decoder(tmp_path_factory):
    with Decoder(Settings(home=tmp_path_factory.mktemp("home"))) as decoder:
        yield decoder


@pytest.fixture
def look(decoder, tmp_path):
    def look(path: Path, **plan) -> Look:
        return decoder.look(path, MediaKind.VIDEO, tmp_path, LookPlan(**plan))

    return look


def picture_of(folder: Path, keyframe) -> np.ndarray:
    with Image.open(folder / keyframe.path) as image:
        assert image.size == (keyframe.width, keyframe.height)
        return np.asarray(image.convert("RGB"))


def starts(look: Look) -> list[float]:
    return [shot.start_s for shot in look.shots]


@pytest.mark.parametrize("name", ["cut.mp4", "cut.mkv", "cut.mov", "cut.ts", "cut.avi", "cut.webm"])
def test_cuts_are_found_to_the_frame_in_every_container(look, tmp_path, name):
    codec = ("-c:v", "libvpx", "-deadline", "realtime") if name.endswith("webm") else None
    options = {"codec": codec} if codec else {}
    sound = tone(tmp_path / "tone.wav", 4.8)
    clip = encode(tmp_path / name, shots(LENGTHS), inputs=("-i", sound), **options)
    seen = look(clip)
    assert starts(seen) == pytest.approx([0.0, *CUTS_S], abs=0.04)
    assert seen.shots[-1].end_s == seen.duration_s == pytest.approx(4.8, abs=0.05)
    assert seen.frames == sum(LENGTHS)
    assert seen.partial == ""


def test_a_keyframes_time_is_that_of_the_picture_it_shows(look, tmp_path):
    clip = encode(tmp_path / "clip.mp4", shots(LENGTHS))
    for keyframe in look(clip).keyframes:
        shown = read_counter(picture_of(tmp_path, keyframe))
        assert keyframe.time_s == pytest.approx(shown / 25, abs=0.001)


def test_times_of_a_variable_frame_rate_come_from_the_file(look, tmp_path):
    clip = tmp_path / "vfr.mkv"
    # Frames of the first shot stand for 80 ms, those of the second for 20 ms.
    times = "setpts='if(lt(N,40),N*0.08,3.2+(N-40)*0.02)/TB'"
    encode(
        clip, shots((40, 100)), "-vf", times, "-vsync", "passthrough", "-enc_time_base", "1:1000"
    )
    seen = look(clip)
    assert starts(seen) == pytest.approx([0.0, 3.2], abs=0.021)
    assert seen.duration_s == pytest.approx(5.2, abs=0.03)
    for keyframe in seen.keyframes:
        shown = read_counter(picture_of(tmp_path, keyframe))
        expected_s = shown * 0.08 if shown < 40 else 3.2 + (shown - 40) * 0.02
        assert keyframe.time_s == pytest.approx(expected_s, abs=0.002)


def test_a_clip_without_a_cut_is_one_shot(look, tmp_path):
    clip = encode(tmp_path / "clip.mp4", shots((60,)))
    seen = look(clip)
    assert seen.shots == (Shot(0.0, pytest.approx(2.4)),)
    assert len(seen.keyframes) == 1


@pytest.mark.parametrize("frames", [1, 2])
def test_a_flash_is_no_cut(look, tmp_path, frames):
    pictures = [place(3)] * 75
    pictures[40 : 40 + frames] = [np.full((180, 320, 3), 250, np.uint8)] * frames
    assert starts(look(encode(tmp_path / "flash.mp4", pictures))) == [0.0]


def test_a_clip_of_one_frame_has_a_shot_and_a_keyframe(look, tmp_path):
    seen = look(encode(tmp_path / "one.mp4", shots((1,))))
    assert len(seen.shots) == len(seen.keyframes) == seen.frames == 1
    assert seen.keyframes[0].is_hero
    assert seen.keyframes[0].time_s == 0.0
    assert seen.shots[0].end_s == pytest.approx(0.04)


def test_exactly_one_keyframe_is_the_hero(look, tmp_path):
    seen = look(encode(tmp_path / "clip.mp4", shots(LENGTHS)))
    heroes = [keyframe for keyframe in seen.keyframes if keyframe.is_hero]
    assert len(heroes) == 1
    assert "hero: sharpness" in heroes[0].why


def test_an_odd_size_is_read(look, tmp_path):
    clip = encode(tmp_path / "odd.mkv", shots((12,), 321, 181), codec=X264_ANY_SIZE)
    seen = look(clip)
    assert (seen.width, seen.height) == (321, 181)
    assert picture_of(tmp_path, seen.keyframes[0]).shape == (181, 321, 3)


def test_a_large_frame_is_kept_at_the_size_asked_for(look, tmp_path):
    clip = encode(tmp_path / "large.mp4", shots((12,), 1600, 900))
    seen = look(clip, keyframe_px=800)
    assert (seen.width, seen.height) == (1600, 900)
    assert (seen.keyframes[0].width, seen.keyframes[0].height) == (800, 450)


def corners(picture: np.ndarray) -> list[str]:
    """Colours of the corners: top left, top right, bottom right, bottom left."""
    names = {(1, 0, 0): "red", (0, 1, 0): "green", (0, 0, 1): "blue", (1, 1, 1): "white"}
    h, w = picture.shape[:2]
    spots = [(h // 4, w // 4), (h // 4, 3 * w // 4), (3 * h // 4, 3 * w // 4), (3 * h // 4, w // 4)]
    return [names[tuple(int(v > 127) for v in picture[y, x])] for y, x in spots]


def four_corners() -> np.ndarray:
    picture = np.zeros((120, 160, 3), np.uint8)
    picture[:60, :80, 0] = 255
    picture[:60, 80:, 1] = 255
    picture[60:, 80:, 2] = 255
    picture[60:, :80] = 255
    return picture


@pytest.mark.parametrize(
    ("clockwise_deg", "upright"),
    [
        (0, ["red", "green", "blue", "white"]),
        (90, ["white", "red", "green", "blue"]),
        (180, ["blue", "white", "red", "green"]),
        (270, ["green", "blue", "white", "red"]),
    ],
)
def test_a_rotated_clip_is_seen_upright(look, tmp_path, clockwise_deg, upright):
    plain = encode(tmp_path / "plain.mp4", [four_corners()] * 5)
    clip = tmp_path / "turned.mp4"
    ffmpeg("-i", plain, "-c", "copy", clip)
    write_matrix(clip, clockwise_deg)
    seen = look(clip)
    assert corners(picture_of(tmp_path, seen.keyframes[0])) == upright
    assert (seen.width, seen.height) == ((120, 160) if clockwise_deg % 180 else (160, 120))


def test_a_mirrored_clip_is_seen_as_its_matrix_says(look, tmp_path):
    clip = encode(tmp_path / "plain.mp4", [four_corners()] * 5)
    write_matrix(clip, 0, mirrored=True)
    seen = look(clip)
    upright = ["green", "red", "white", "blue"]
    assert corners(picture_of(tmp_path, seen.keyframes[0])) == upright


def write_matrix(path: Path, clockwise_deg: int, mirrored: bool = False) -> None:
    """Put a display matrix into the track header of an MP4."""
    matrices = {0: (1, 0, 0, 1), 90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}
    a, b, c, d = matrices[clockwise_deg]
    if mirrored:
        a, b = -a, -b
    matrix = [a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30]
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 4 + 8 + 4 + 4 + 4 + 8 + 2 + 2 + 2 + 2
    data[at : at + 36] = b"".join(v.to_bytes(4, "big", signed=True) for v in matrix)
    path.write_bytes(bytes(data))


def test_pixels_that_are_not_square_are_made_square(look, tmp_path):
    clip = encode(tmp_path / "dv.mp4", shots((10,), 180, 144), "-vf", "setsar=16/11")
    seen = look(clip)
    assert (seen.keyframes[0].width, seen.keyframes[0].height) == (262, 144)


@pytest.mark.parametrize(
    "codec",
    [
        ("-c:v", "libx265", "-x265-params", "log-level=error", "-pix_fmt", "yuv420p10le"),
        ("-c:v", "prores_ks", "-profile:v", "3", "-pix_fmt", "yuv422p10le"),
    ],
)
def test_ten_bits_are_read(look, tmp_path, codec):
    clip = encode(tmp_path / "ten.mov", shots((8, 10)), codec=codec)
    seen = look(clip)
    assert starts(seen) == pytest.approx([0.0, 0.32], abs=0.04)
    shown = picture_of(tmp_path, seen.keyframes[0]).astype(int)
    assert np.abs(shown - counted(place(0), read_counter(shown))).mean() < 6


@pytest.mark.parametrize("transfer", ["smpte2084", "arib-std-b67"])
def test_hdr_is_shown_as_it_would_look_without(look, tmp_path, transfer):
    to_hdr = (
        "format=yuv444p,zscale=min=709:tin=709:pin=709:rin=limited:m=2020_ncl:p=2020:"
        f"t={transfer}:r=limited:npl=203,format=yuv420p10le"
    )
    colours = ("-color_primaries", "bt2020", "-color_trc", transfer, "-colorspace", "bt2020nc")
    codec = ("-c:v", "libx265", "-x265-params", "log-level=error:crf=12", *colours)
    clip = encode(tmp_path / "hdr.mp4", shots((12, 12), 640, 360), "-vf", to_hdr, codec=codec)
    seen = look(clip, is_hdr=True)
    assert starts(seen) == pytest.approx([0.0, 0.48], abs=0.04)
    shown = picture_of(tmp_path, seen.keyframes[0]).astype(int)
    original = counted(place(0, 640, 360), read_counter(shown)).astype(int)
    assert np.abs(shown - original)[:320].mean() < 12
    assert abs(shown.mean() - original.mean()) < 8


def test_combs_of_interlaced_pictures_are_gone(look, tmp_path):
    """A bar moves between the fields: a woven frame has alternating lines at its edge."""

    def field(number: int) -> np.ndarray:
        picture = place(3)
        picture[:, (number * 8) % 300 : (number * 8) % 300 + 20] = 255
        return picture

    clip = encode(
        tmp_path / "interlaced.mp4",
        (field(n) for n in range(100)),
        "-vf",
        "interlace=scan=tff:lowpass=0",
        "-flags",
        "+ildct+ilme",
        rate="50",
    )
    seen = look(clip, is_interlaced=True)
    assert seen.frames == 50
    assert seen.duration_s == pytest.approx(2.0, abs=0.05)
    clean = picture_of(tmp_path, seen.keyframes[0])
    combed = picture_of(tmp_path, look(clip, is_interlaced=False).keyframes[0])
    assert comb(clean) < 0.5 * comb(combed)


def comb(picture: np.ndarray) -> float:
    """How much each line differs from the mean of its neighbours."""
    grey = picture.astype(float).mean(axis=2)
    return float(np.abs(grey[1:-1] - (grey[:-2] + grey[2:]) / 2).mean())


def test_known_shots_are_kept_instead_of_detected(look, tmp_path):
    clip = encode(tmp_path / "clip.mp4", shots(LENGTHS))
    known = (Shot(0.0, 2.5), Shot(2.5, 4.8))
    seen = look(clip, shots=known)
    assert starts(seen) == [0.0, 2.5]
    assert {keyframe.shot for keyframe in seen.keyframes} == {0, 1}


def test_known_shots_give_the_same_keyframes_as_detected_ones(look, tmp_path):
    clip = encode(tmp_path / "clip.mp4", shots(LENGTHS))
    detected = look(clip)
    assert look(clip, shots=detected.shots) == detected


def test_something_that_comes_into_a_still_shot_is_in_a_keyframe(look, tmp_path):
    def frame(number: int) -> np.ndarray:
        picture = place(1)
        if 100 <= number < 200:  # 10 to 20 s
            picture[60:120, 130:190] = (250, 240, 40)
        return picture

    clip = encode(tmp_path / "visit.mp4", (frame(n) for n in range(300)), rate="10")
    seen = look(clip)
    during = [k for k in seen.keyframes if k.start_s >= 9.9 and k.end_s <= 20.4]
    assert during[0].start_s == pytest.approx(10, abs=0.4)
    assert during[-1].end_s == pytest.approx(20, abs=0.4)
    assert during[0].time_s <= 13
    for keyframe in seen.keyframes:
        shown = picture_of(tmp_path, keyframe)[90, 160]
        is_visitor = np.abs(shown.astype(int) - (250, 240, 40)).max() < 40
        assert is_visitor == (keyframe in during)


def test_the_same_file_gives_the_same_bytes(decoder, tmp_path):
    clip = encode(tmp_path / "clip.mp4", shots(LENGTHS))
    seen = []
    for name in ("first", "second"):
        folder = tmp_path / name
        folder.mkdir()
        look = decoder.look(clip, MediaKind.VIDEO, folder, LookPlan())
        seen.append((look, [(folder / k.path).read_bytes() for k in look.keyframes]))
    assert seen[0] == seen[1]


def test_progress_grows_to_the_end(decoder, tmp_path):
    clip = encode(tmp_path / "clip.mp4", shots((500,), 640, 360))
    shares: list[float] = []
    decoder.look(clip, MediaKind.VIDEO, tmp_path, LookPlan(), shares.append)
    assert shares == sorted(shares)
    assert 0 <= shares[0] <= shares[-1] <= 1


def test_sound_alone_has_no_pictures(decoder, tmp_path):
    sound = tone(tmp_path / "tone.wav", 1.0)
    with pytest.raises(UnsupportedMedia, match="no video stream"):
        decoder.look(sound, MediaKind.VIDEO, tmp_path, LookPlan())


def test_cover_art_is_no_video(decoder, tmp_path):
    Image.fromarray(place(1)).save(tmp_path / "cover.jpg")
    song = tmp_path / "song.mp3"
    ffmpeg(
        "-f", "lavfi", "-i", "sine=d=1", "-i", tmp_path / "cover.jpg", "-map", "0", "-map", "1",
        "-c:v", "copy", "-disposition:v", "attached_pic", song,
    )  # fmt: skip
    with pytest.raises(UnsupportedMedia, match="no video stream"):
        decoder.look(song, MediaKind.VIDEO, tmp_path, LookPlan())
