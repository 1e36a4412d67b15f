"""Decoded sound: on the file's own time axis, 16 kHz mono, from the right one of several streams."""

from pathlib import Path

import numpy as np
import pytest
from clips import encode, ffmpeg, keep_head, shots, speech, tone

from dam_pipeline.errors import UnreadableMedia
from dam_pipeline.media.decoder import Decoder
from dam_pipeline.settings import Settings

RATE_HZ = 16_000


@pytest.fixture(scope="module")
def decoder(tmp_path_factory):
    with Decoder(Settings(home=tmp_path_factory.mktemp("home"))) as decoder:
        yield decoder


@pytest.fixture
def samples(decoder, tmp_path):
    def samples(path: Path) -> np.ndarray:
        track = decoder.audio(path, tmp_path / "sound.f32")
        assert track.sample_rate_hz == RATE_HZ
        found = np.fromfile(track.path, dtype="<f4")
        assert found.size == track.samples
        return found

    return samples


def onset_s(samples: np.ndarray) -> float:
    """When the sound first rises above silence."""
    return float(np.argmax(np.abs(samples) > 0.02)) / RATE_HZ


def pitch_hz(samples: np.ndarray) -> float:
    spectrum = np.abs(np.fft.rfft(samples))
    return float(np.argmax(spectrum) * RATE_HZ / samples.size)


@pytest.mark.parametrize(
    ("name", "codec"),
    [
        ("a.wav", "pcm_s16le"),
        ("a.flac", "flac"),
        ("a.mp3", "libmp3lame"),
        ("a.m4a", "aac"),
        ("a.aac", "aac"),
        ("a.ogg", "libvorbis"),
        ("a.opus", "libopus"),
        ("a.aiff", "pcm_s16be"),
        ("a.wma", "wmav2"),
        ("a.mka", "pcm_s24le"),
    ],
)
def test_a_tone_at_two_seconds_is_heard_at_two_seconds(samples, tmp_path, name, codec):
    tone(tmp_path / "tone.wav", 4.0, hertz=1000, start_s=2.0)
    ffmpeg("-i", tmp_path / "tone.wav", "-c:a", codec, tmp_path / name)
    found = samples(tmp_path / name)
    assert found.size / RATE_HZ == pytest.approx(4.0, abs=0.08)
    assert onset_s(found) == pytest.approx(2.0, abs=0.05)
    assert pitch_hz(found[-RATE_HZ:]) == pytest.approx(1000, abs=5)


@pytest.mark.parametrize("name", ["late.mp4", "late.mkv", "late.mov", "late.ts"])
def test_sound_that_begins_late_is_heard_late(samples, tmp_path, name):
    sound = tone(tmp_path / "tone.wav", 3.0)
    clip = encode(tmp_path / name, shots((125,)), inputs=("-itsoffset", "1.5", "-i", sound))
    assert onset_s(samples(clip)) == pytest.approx(1.5, abs=0.05)


@pytest.mark.parametrize("name", ["sync.mp4", "sync.mkv", "sync.ts", "sync.avi"])
def test_sound_and_pictures_share_one_axis(samples, tmp_path, name):
    sound = tone(tmp_path / "tone.wav", 4.0, start_s=2.0)
    clip = encode(tmp_path / name, shots((50, 50)), inputs=("-i", sound))
    assert onset_s(samples(clip)) == pytest.approx(2.0, abs=0.05)


def test_a_hole_in_the_sound_is_silence(samples, tmp_path):
    """Two tones, the second stamped two seconds after the first has ended."""
    sound = tone(tmp_path / "tone.wav", 2.0)
    shift = "asetpts='PTS+if(gte(T,1),2/TB,0)'"
    ffmpeg("-i", sound, "-af", shift, "-c:a", "flac", tmp_path / "hole.mkv")
    found = samples(tmp_path / "hole.mkv")
    assert found.size / RATE_HZ == pytest.approx(4.0, abs=0.15)
    assert np.abs(found[int(1.3 * RATE_HZ) : int(2.7 * RATE_HZ)]).max() == 0
    assert np.abs(found[int(3.3 * RATE_HZ) :]).max() > 0.05


def test_the_default_of_several_streams_is_heard(samples, tmp_path):
    low = tone(tmp_path / "low.wav", 1.0, hertz=300)
    high = tone(tmp_path / "high.wav", 1.0, hertz=2000)
    inputs = ("-i", low, "-i", high)
    maps = ("-map", "0", "-map", "1", "-map", "2")
    first = encode(tmp_path / "first.mkv", shots((25,)), *maps, inputs=inputs)
    assert pitch_hz(samples(first)) == pytest.approx(300, abs=5)
    default = ("-disposition:a:0", "0", "-disposition:a:1", "default")
    second = encode(tmp_path / "second.mkv", shots((25,)), *maps, *default, inputs=inputs)
    assert pitch_hz(samples(second)) == pytest.approx(2000, abs=5)


@pytest.mark.parametrize("channels", [1, 2, 3, 6, 8])
def test_any_number_of_channels_becomes_one(samples, tmp_path, channels):
    merge = f"[0:a]aformat=channel_layouts=mono,asplit={channels}"
    merge += "".join(f"[c{i}]" for i in range(channels)) + ";"
    merge += "".join(f"[c{i}]" for i in range(channels)) + f"amerge=inputs={channels}[out]"
    path = tmp_path / "many.wav"
    if channels == 1:
        tone(path, 1.0, hertz=500)
    else:
        tone(tmp_path / "one.wav", 1.0, hertz=500)
        ffmpeg("-i", tmp_path / "one.wav", "-filter_complex", merge, "-map", "[out]", path)
    assert pitch_hz(samples(path)) == pytest.approx(500, abs=5)


def test_speech_is_decoded_whole(samples, tmp_path):
    path = speech(tmp_path / "speech.wav", "One small step for a person.")
    found = samples(path)
    assert found.size / RATE_HZ > 1.0
    assert np.abs(found).max() > 0.1


def test_a_file_without_sound_gives_none(decoder, tmp_path):
    clip = encode(tmp_path / "mute.mp4", shots((10,)))
    assert decoder.audio(clip, tmp_path / "sound.f32") is None


def test_a_truncated_sound_keeps_what_was_there(decoder, tmp_path):
    sound = tone(tmp_path / "tone.wav", 10.0)
    ffmpeg("-i", sound, "-c:a", "aac", "-movflags", "+faststart", tmp_path / "cut.m4a")
    track = decoder.audio(keep_head(tmp_path / "cut.m4a", 0.5), tmp_path / "sound.f32")
    assert track.partial.startswith("read ")
    assert "of 10.0 s" in track.partial
    assert 3.0 < track.samples / RATE_HZ < 7.0


def test_sound_of_which_nothing_can_be_decoded_is_unreadable(decoder, tmp_path):
    sound = tone(tmp_path / "tone.wav", 3.0)
    path = tmp_path / "noise.m4a"
    ffmpeg("-i", sound, "-c:a", "alac", "-movflags", "+faststart", path)
    data = bytearray(path.read_bytes())
    start = data.index(b"mdat") + 4
    data[start:] = b"\xff" * (len(data) - start)
    path.write_bytes(bytes(data))
    with pytest.raises(UnreadableMedia, match="holds no sound that can be decoded"):
        decoder.audio(path, tmp_path / "sound.f32")
