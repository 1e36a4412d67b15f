"""Files that are cut short, damaged, empty or not what they are called: what can be read is kept."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from clips import encode, flip_bytes, keep_head, shots, tone

from dam_pipeline.errors import MediaError, SourceUnavailable, UnreadableMedia
from dam_pipeline.media.access import readable_size
from dam_pipeline.media.decoder import Decoder, LookPlan
from dam_pipeline.media.probing import Prober
from dam_pipeline.records import MediaKind
from dam_pipeline.settings import Settings

FASTSTART = ("-movflags", "+faststart")


@pytest.fixture(scope="module")
def decoder(tmp_path_factory):
    with Decoder(Settings(home=tmp_path_factory.mktemp("home"))) as decoder:
        yield decoder


@pytest.fixture(scope="module")
def prober():
    with Prober() as prober:
        yield prober


def look(decoder, path: Path, **plan):
    return decoder.look(path, MediaKind.VIDEO, path.parent, LookPlan(**plan))


def test_a_truncated_file_keeps_what_was_there_and_says_how_much(decoder, tmp_path):
    clip = encode(tmp_path / "cut.mp4", shots((50, 50, 75)), *FASTSTART, "-g", "25")
    keep_head(clip, 0.5)
    seen = look(decoder, clip)
    assert seen.partial.startswith("read ")
    assert "of 7.0 s: " in seen.partial
    assert 1.0 < seen.duration_s < 6.0
    assert seen.shots[-1].end_s == seen.duration_s
    assert seen.keyframes


def test_a_truncated_matroska_is_partial_though_nothing_complains(decoder, tmp_path):
    clip = keep_head(encode(tmp_path / "cut.mkv", shots((50, 50, 75))), 0.5)
    assert "of 7.0 s" in look(decoder, clip).partial


def test_a_truncated_stream_with_sound_is_partial(decoder, tmp_path):
    sound = tone(tmp_path / "tone.wav", 7.0)
    clip = encode(tmp_path / "cut.mp4", shots((50, 50, 75)), *FASTSTART, inputs=("-i", sound))
    keep_head(clip, 0.5)
    assert look(decoder, clip).partial
    assert decoder.audio(clip, tmp_path / "sound.f32").partial


def test_sound_longer_than_the_pictures_is_no_truncation(decoder, tmp_path):
    sound = tone(tmp_path / "tone.wav", 6.0)
    for name in ("long.mp4", "long.mkv", "long.ts"):
        clip = encode(tmp_path / name, shots((50,)), inputs=("-i", sound))
        assert look(decoder, clip, duration_s=6.0).partial == ""


def test_a_broadcast_that_begins_between_key_frames_is_whole(decoder, tmp_path):
    clip = encode(
        tmp_path / "cast.ts", shots((100,)), "-g", "12", "-x264-params", "open-gop=1:bframes=3"
    )
    data = clip.read_bytes()
    clip.write_bytes(data[len(data) // 3 // 188 * 188 :])
    seen = look(decoder, clip)
    assert seen.partial == ""
    assert 40 < seen.frames < 75


def test_flipped_bytes_in_the_middle_do_not_cost_the_end(decoder, tmp_path):
    clip = encode(tmp_path / "flipped.mp4", shots((50, 50, 75)), "-g", "10")
    flip_bytes(clip, 300, 0.3, 0.4)
    seen = look(decoder, clip)
    assert seen.partial.startswith("read ")
    assert seen.duration_s > 6.5
    assert seen.frames > 100


@pytest.mark.parametrize("name", ["empty.mp4", "empty.jpg", "empty.wav"])
def test_an_empty_file_is_unreadable(decoder, prober, tmp_path, name):
    path = tmp_path / name
    path.touch()
    kind = {"mp4": MediaKind.VIDEO, "jpg": MediaKind.IMAGE, "wav": MediaKind.AUDIO}[name[-3:]]
    with pytest.raises(UnreadableMedia, match=rf"^{name} is empty \(0 bytes\)\. Copy it again"):
        prober.probe(path, kind, ())
    with pytest.raises(UnreadableMedia, match=name):
        decoder.poster(path, kind, tmp_path / "poster.jpg", 320, 0.0)


@pytest.mark.parametrize("name", ["notes.mp4", "notes.mov", "notes.mkv", "notes.mp3"])
def test_text_by_a_medias_name_is_unreadable(decoder, prober, tmp_path, name):
    path = tmp_path / name
    path.write_text("Dear diary, this is no film.\n" * 50)
    with pytest.raises(UnreadableMedia, match=f"{name} cannot be read .*what its name says"):
        prober.probe(path, MediaKind.VIDEO, ())
    with pytest.raises(UnreadableMedia, match=name):
        look(decoder, path)
    with pytest.raises(UnreadableMedia, match=name):
        decoder.audio(path, tmp_path / "sound.f32")


def test_text_by_a_pictures_name_is_unreadable(decoder, prober, tmp_path):
    path = tmp_path / "notes.jpg"
    path.write_text("Dear diary, this is no picture.\n")
    with pytest.raises(UnreadableMedia, match=r"notes\.jpg holds TXT, not a picture"):
        prober.probe(path, MediaKind.IMAGE, ())
    with pytest.raises(UnreadableMedia, match=r"notes\.jpg is damaged or is not a picture"):
        decoder.look(path, MediaKind.IMAGE, tmp_path, LookPlan())


def test_a_file_without_its_index_is_unreadable(decoder, prober, tmp_path):
    clip = keep_head(encode(tmp_path / "noindex.mp4", shots((50,))), 0.5)
    with pytest.raises(UnreadableMedia, match=r"noindex\.mp4 cannot be read"):
        prober.probe(clip, MediaKind.VIDEO, ())
    with pytest.raises(UnreadableMedia, match="Copy it again from its source"):
        look(decoder, clip)


def test_a_file_in_which_nothing_can_be_decoded_is_unreadable(decoder, tmp_path):
    clip = encode(tmp_path / "noise.mp4", shots((50,)), *FASTSTART)
    data = bytearray(clip.read_bytes())
    start = data.index(b"mdat") + 4
    data[start:] = os.urandom(len(data) - start)
    clip.write_bytes(bytes(data))
    with pytest.raises(UnreadableMedia, match="holds no picture that can be decoded"):
        look(decoder, clip)


@contextmanager
def as_nobody() -> Iterator[None]:
    """Give up root's right to read everything, where the tests run as root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_file_without_permission_says_so(prober, tmp_path):
    clip = encode(tmp_path / "secret.mp4", shots((5,)))
    clip.chmod(0)
    for ask in (lambda: prober.probe(clip, MediaKind.VIDEO, ()), lambda: readable_size(clip)):
        with as_nobody(), pytest.raises(UnreadableMedia, match="Give this user read permission"):
            ask()


def test_a_file_that_vanished_says_so(decoder, prober, tmp_path):
    for ask in (
        lambda path: prober.probe(path, MediaKind.VIDEO, ()),
        lambda path: look(decoder, path),
        lambda path: decoder.look(path, MediaKind.IMAGE, tmp_path, LookPlan()),
    ):
        with pytest.raises(SourceUnavailable, match=r"gone\.mp4 is not there now"):
            ask(tmp_path / "gone.mp4")


def test_a_pipe_is_not_waited_for(decoder, prober, tmp_path):
    path = tmp_path / "pipe.mp4"
    os.mkfifo(path)
    with pytest.raises(UnreadableMedia, match="no regular file"):
        prober.probe(path, MediaKind.VIDEO, ())
    with pytest.raises(UnreadableMedia, match="no regular file"):
        look(decoder, path)


def test_after_a_bad_file_the_next_one_is_read(decoder, tmp_path):
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(b"\0" * 1000)
    with pytest.raises(MediaError):
        look(decoder, bad)
    assert look(decoder, encode(tmp_path / "good.mp4", shots((10,)))).frames == 10
