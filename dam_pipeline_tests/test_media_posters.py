"""Posters: one small upright picture of any file."""

from pathlib import Path

import numpy as np
import pytest
from clips import encode, ffmpeg, place, read_counter, shots, tone
from PIL import Image

from dam_pipeline.errors import UnreadableMedia
from dam_pipeline.media.decoder import Decoder
from dam_pipeline.records import MediaKind
from dam_pipeline.settings import Settings


@pytest.fixture(scope="module")
def decoder(tmp_path_factory):
    with Decoder(Settings(home=tmp_path_factory.mktemp("home"))) as decoder:
        yield decoder


@pytest.fixture
def poster(decoder, tmp_path):
    def poster(path: Path, kind: MediaKind, px: int = 320, at_s: float = 0.0) -> np.ndarray:
        size = decoder.poster(path, kind, tmp_path / "poster.jpg", px, at_s)
        with Image.open(tmp_path / "poster.jpg") as image:
            assert image.format == "JPEG"
            assert image.size == size
            return np.asarray(image)

    return poster


def test_a_videos_poster_is_the_sync_frame_before_the_time_asked_for(poster, tmp_path):
    clip = encode(tmp_path / "clip.mp4", shots((100, 100)), "-g", "50")
    assert read_counter(poster(clip, MediaKind.VIDEO, at_s=0.0)) == 0
    assert read_counter(poster(clip, MediaKind.VIDEO, at_s=5.2)) == 100


def test_a_time_beyond_the_end_gives_a_frame_all_the_same(poster, tmp_path):
    clip = encode(tmp_path / "clip.mp4", shots((30,)))
    assert poster(clip, MediaKind.VIDEO, at_s=60.0).shape == (180, 320, 3)


def test_black_at_the_beginning_is_passed_over(poster, tmp_path):
    black = [np.zeros((180, 320, 3), np.uint8)] * 40
    clip = encode(tmp_path / "fade.mp4", [*black, *shots((60,))])
    assert poster(clip, MediaKind.VIDEO).mean() > 50


def test_a_long_black_beginning_is_jumped_over(poster, tmp_path):
    black = [np.zeros((180, 320, 3), np.uint8)] * 150
    clip = encode(tmp_path / "late.mp4", [*black, *shots((150,))])
    assert poster(clip, MediaKind.VIDEO).mean() > 50


def test_a_film_that_is_black_throughout_has_a_black_poster(poster, tmp_path):
    clip = encode(tmp_path / "black.mp4", [np.zeros((180, 320, 3), np.uint8)] * 30)
    assert poster(clip, MediaKind.VIDEO).max() < 10


def test_a_poster_is_no_larger_than_asked_for_and_never_enlarged(poster, tmp_path):
    clip = encode(tmp_path / "tall.mp4", shots((5,), 360, 640))
    assert poster(clip, MediaKind.VIDEO, px=320).shape == (320, 180, 3)
    assert poster(clip, MediaKind.VIDEO, px=700).shape == (640, 360, 3)


def test_a_photographs_poster_is_the_photograph_reduced(poster, tmp_path):
    Image.fromarray(place(2, 1200, 800)).save(tmp_path / "photo.jpg", quality=95)
    small = poster(tmp_path / "photo.jpg", MediaKind.IMAGE, px=300)
    assert small.shape == (200, 300, 3)
    expected = np.asarray(Image.fromarray(place(2, 1200, 800)).resize((300, 200)))
    assert np.abs(small.astype(int) - expected).mean() < 8


def test_the_poster_of_a_sound_shows_where_it_is_loud(poster, tmp_path):
    loud = tone(tmp_path / "tone.wav", 4.0, start_s=2.0)
    picture = poster(loud, MediaKind.AUDIO).astype(int)
    assert picture.shape == (80, 320, 3)
    paper = picture[0, 0]
    inked = (np.abs(picture - paper).sum(axis=2) > 60).sum(axis=0)
    assert inked[20:140].max() <= 4
    assert inked[180:300].min() >= 60


@pytest.mark.parametrize("seconds", [0.01, 0.5, 90.0])
def test_sounds_of_any_length_are_drawn_over_the_whole_width(poster, tmp_path, seconds):
    picture = poster(tone(tmp_path / "tone.wav", seconds), MediaKind.AUDIO).astype(int)
    inked = (np.abs(picture - picture[0, 0]).sum(axis=2) > 60).sum(axis=0)
    assert (inked > 40).mean() > 0.9


def test_a_truncated_film_has_a_poster(poster, tmp_path):
    clip = encode(tmp_path / "cut.mp4", shots((100,)), "-movflags", "+faststart")
    data = clip.read_bytes()
    clip.write_bytes(data[: len(data) // 2])
    assert poster(clip, MediaKind.VIDEO, at_s=3.9).shape == (180, 320, 3)


def test_a_sound_without_any_sound_is_unreadable(decoder, tmp_path):
    path = tmp_path / "none.wav"
    ffmpeg("-f", "lavfi", "-i", "anullsrc=r=8000:cl=mono", "-t", "0", path)
    with pytest.raises(UnreadableMedia, match=r"none\.wav"):
        decoder.poster(path, MediaKind.AUDIO, tmp_path / "poster.jpg", 320, 0.0)
