"""The probe on files made by ffmpeg: streams, times, rotation, colour, and what is no media at all."""

import os
import signal

import pytest
from clips import X264_ANY_SIZE, encode, exiftool, ffmpeg, place, shots, tone
from PIL import Image
from test_media_look import write_matrix

from dam_pipeline.errors import UnreadableMedia, UnsupportedMedia
from dam_pipeline.media.probing import Prober
from dam_pipeline.records import MediaKind, Probe


@pytest.fixture(scope="module")
def prober():
    with Prober() as prober:
        yield prober


@pytest.fixture
def probe(prober):
    return lambda path, *sidecars, kind=MediaKind.VIDEO: prober.probe(path, kind, sidecars)


def test_a_film_with_sound(probe, tmp_path):
    sound = tone(tmp_path / "tone.wav", 4.0)
    codec = ("-c:a", "aac", "-ac", "2")
    clip = encode(tmp_path / "clip.mp4", shots((100,)), *codec, inputs=("-i", sound))
    found = probe(clip)
    assert (found.kind, found.has_video, found.has_audio) == (MediaKind.VIDEO, True, True)
    assert found.container == "mov,mp4,m4a,3gp,3g2,mj2"
    assert found.duration_s == pytest.approx(4.0, abs=0.05)
    assert (found.width, found.height, found.rotation_deg) == (320, 180, 0)
    assert (found.frame_rate, found.is_variable_frame_rate) == (25.0, False)
    assert found.codecs == ("h264", "aac")
    assert (found.pixel_format, found.bit_depth) == ("yuv420p", 8)
    assert (found.video_streams, found.audio_streams) == (1, 1)
    assert (found.audio_channels, found.sample_rate_hz) == (2, 48_000)
    assert found.size_bytes == clip.stat().st_size
    assert (found.created_at, found.camera, found.gps) == (None, None, None)
    assert not (found.is_hdr or found.is_interlaced)


def test_a_probe_survives_the_way_to_json_and_back(probe, tmp_path):
    clip = encode(tmp_path / "clip.mp4", shots((10,)), "-metadata", "title=Harbour")
    found = probe(clip)
    assert Probe.from_json(found.to_json()) == found
    assert found.title == "Harbour"


def test_the_raw_answers_do_not_hold_the_place_or_blobs(probe, tmp_path):
    Image.fromarray(place(1)).save(tmp_path / "photo.jpg")
    exiftool(f"-XMP-dc:Description={'long ' * 1000}", tmp_path / "photo.jpg")
    found = probe(tmp_path / "photo.jpg", kind=MediaKind.IMAGE)
    assert "File:FileType" in found.raw["exiftool"]
    assert str(tmp_path) not in str(found.raw)
    assert "long long" not in str(found.raw)
    clip = encode(tmp_path / "clip.mp4", shots((10,)))
    raw = probe(clip).raw
    assert raw["ffprobe"]["streams"][0]["codec_name"] == "h264"
    assert str(tmp_path) not in str(raw)


@pytest.mark.parametrize("clockwise_deg", [0, 90, 180, 270])
def test_the_size_of_a_rotated_film_is_the_upright_one(probe, tmp_path, clockwise_deg):
    clip = encode(tmp_path / "turned.mp4", shots((5,)))
    write_matrix(clip, clockwise_deg)
    found = probe(clip)
    assert found.rotation_deg == clockwise_deg
    assert (found.width, found.height) == ((180, 320) if clockwise_deg % 180 else (320, 180))


@pytest.mark.parametrize("name", ["vfr.mkv", "vfr.mp4"])
def test_a_variable_frame_rate_is_told_from_a_constant_one(probe, tmp_path, name):
    times = "setpts='(N*0.04+0.03*mod(floor(N/7),2))/TB'"
    passed = ("-vf", times, "-vsync", "passthrough", "-enc_time_base", "1:1000")
    assert probe(encode(tmp_path / name, shots((80,)), *passed)).is_variable_frame_rate


@pytest.mark.parametrize("rate", ["24000/1001", "25", "30000/1001", "60"])
@pytest.mark.parametrize("name", ["cfr.mkv", "cfr.mp4", "cfr.ts", "cfr.avi"])
def test_a_constant_frame_rate_is_no_variable_one(probe, tmp_path, name, rate):
    found = probe(encode(tmp_path / name, shots((80,)), "-bf", "2", rate=rate))
    assert not found.is_variable_frame_rate
    top, _, bottom = rate.partition("/")
    assert found.frame_rate == pytest.approx(int(top) / int(bottom or 1), rel=0.01)


@pytest.mark.parametrize("transfer", ["smpte2084", "arib-std-b67"])
def test_hdr_and_ten_bits(probe, tmp_path, transfer):
    codec = (
        "-c:v", "libx265", "-x265-params", "log-level=error", "-pix_fmt", "yuv420p10le",
        "-color_primaries", "bt2020", "-color_trc", transfer, "-colorspace", "bt2020nc",
    )  # fmt: skip
    found = probe(encode(tmp_path / "hdr.mp4", shots((5,)), codec=codec))
    assert (found.is_hdr, found.bit_depth) == (True, 10)
    assert (found.colour_transfer, found.colour_primaries) == (transfer, "bt2020")


def test_interlacing_and_timecode(probe, tmp_path):
    clip = encode(
        tmp_path / "broadcast.mov", shots((25,)), "-vf", "setfield=tff", "-flags", "+ildct+ilme",
        "-timecode", "10:20:30:00", codec=("-c:v", "mpeg2video", "-pix_fmt", "yuv420p", "-b:v", "2M"),
    )  # fmt: skip
    found = probe(clip)
    assert found.is_interlaced
    assert found.timecode == "10:20:30:00"


def test_an_odd_size(probe, tmp_path):
    clip = encode(tmp_path / "odd.mkv", shots((5,), 321, 181), codec=X264_ANY_SIZE)
    assert (probe(clip).width, probe(clip).height) == (321, 181)


def test_several_sound_streams_are_counted(probe, tmp_path):
    sound = tone(tmp_path / "tone.wav", 1.0)
    maps = ("-map", "0", "-map", "1", "-map", "1", "-map", "1")
    clip = encode(tmp_path / "many.mkv", shots((25,)), *maps, inputs=("-i", sound))
    assert probe(clip).audio_streams == 3


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.mp3", "a.m4a", "a.ogg", "a.opus", "a.aiff"])
def test_sound_is_sound_by_whatever_name(probe, tmp_path, name):
    tone(tmp_path / "tone.wav", 2.0)
    ffmpeg("-i", tmp_path / "tone.wav", tmp_path / name)
    found = probe(tmp_path / name, kind=MediaKind.VIDEO)
    assert (found.kind, found.has_video, found.has_audio) == (MediaKind.AUDIO, False, True)
    assert (found.width, found.height, found.frame_rate) == (0, 0, 0.0)
    assert found.duration_s == pytest.approx(2.0, abs=0.1)


def test_a_song_with_cover_art_is_sound(probe, tmp_path):
    Image.fromarray(place(1)).save(tmp_path / "cover.jpg")
    ffmpeg(
        "-f", "lavfi", "-i", "sine=d=1", "-i", tmp_path / "cover.jpg", "-map", "0", "-map", "1",
        "-c:v", "copy", "-disposition:v", "attached_pic", tmp_path / "song.mp3",
    )  # fmt: skip
    found = probe(tmp_path / "song.mp3", kind=MediaKind.AUDIO)
    assert (found.kind, found.codecs, found.video_streams) == (MediaKind.AUDIO, ("mp3",), 0)


def test_an_mp4_with_sound_only_is_sound(probe, tmp_path):
    ffmpeg("-f", "lavfi", "-i", "sine=d=1", tmp_path / "voice.mp4")
    assert probe(tmp_path / "voice.mp4").kind == MediaKind.AUDIO


def test_a_file_of_subtitles_alone_is_unsupported(probe, tmp_path):
    (tmp_path / "words.srt").write_text("1\n00:00:00,000 --> 00:00:02,000\nHello\n")
    ffmpeg("-i", tmp_path / "words.srt", "-c:s", "srt", tmp_path / "words.mkv")
    with pytest.raises(UnsupportedMedia, match=r"words\.mkv has neither pictures nor sound"):
        probe(tmp_path / "words.mkv")


def test_a_picture_by_a_films_name_is_unreadable(probe, tmp_path):
    Image.fromarray(place(1)).save(tmp_path / "film.mp4", format="JPEG")
    with pytest.raises(UnreadableMedia, match=r"film\.mp4 cannot be read"):
        probe(tmp_path / "film.mp4")


def test_a_film_by_a_pictures_name_is_unreadable(probe, tmp_path):
    encode(tmp_path / "film.mp4", shots((5,))).rename(tmp_path / "film.jpg")
    with pytest.raises(UnreadableMedia, match=r"film\.jpg holds MP4, not a picture"):
        probe(tmp_path / "film.jpg", kind=MediaKind.IMAGE)


def test_exiftool_is_replaced_when_it_dies(tmp_path):
    Image.fromarray(place(1)).save(tmp_path / "photo.jpg")
    with Prober() as prober:
        for _ in range(2):
            assert prober.probe(tmp_path / "photo.jpg", MediaKind.IMAGE, ()).width == 320
            os.kill(prober.exiftool_pid, signal.SIGKILL)


def test_a_closed_prober_leaves_nothing_behind(tmp_path):
    Image.fromarray(place(1)).save(tmp_path / "photo.jpg")
    prober = Prober()
    prober.probe(tmp_path / "photo.jpg", MediaKind.IMAGE, ())
    pid = prober.exiftool_pid
    prober.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert os.listdir(tmp_path) == ["photo.jpg"]
