"""Files that refer to other files or addresses open nothing; strange names are just names."""

import ctypes
import os
import shutil
import socket
import struct
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from clips import encode, shots
from PIL import Image

from dam_pipeline.errors import MediaError, UnreadableMedia, UnsupportedMedia
from dam_pipeline.media.decoder import Decoder, LookPlan
from dam_pipeline.media.probing import Prober
from dam_pipeline.records import MediaKind
from dam_pipeline.settings import Settings

IN_OPEN = 0x20  # linux/inotify.h


@pytest.fixture(scope="module")
def decoder(tmp_path_factory):
    with Decoder(Settings(home=tmp_path_factory.mktemp("home"))) as decoder:
        yield decoder


@pytest.fixture(scope="module")
def prober():
    with Prober() as prober:
        yield prober


@contextmanager
def watched(path: Path) -> Iterator[list[str]]:
    """What happened to a file meanwhile: each time it is opened adds a word to the list."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.inotify_init1(os.O_NONBLOCK)
    libc.inotify_add_watch(descriptor, os.fsencode(path), IN_OPEN)
    opened: list[str] = []
    try:
        yield opened
        try:
            while os.read(descriptor, 4096):
                opened.append("opened")
        except BlockingIOError:
            pass
    finally:
        os.close(descriptor)


@contextmanager
def listening() -> Iterator[tuple[int, list[str]]]:
    """A port of this machine and who called it."""
    calls: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            while True:
                try:
                    connection, address = server.accept()
                except OSError:
                    return
                calls.append(str(address))
                connection.close()

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        yield server.getsockname()[1], calls


@pytest.fixture
def target(tmp_path) -> Path:
    (tmp_path / "other").mkdir()
    return encode(tmp_path / "other" / "target.ts", shots((10,)))


def everything(prober, decoder, path: Path, out_dir: Path) -> None:
    """Ask all there is to ask; each must refuse."""
    asks = [
        lambda: prober.probe(path, MediaKind.VIDEO, ()),
        lambda: prober.probe(path, MediaKind.IMAGE, ()),
        lambda: decoder.look(path, MediaKind.VIDEO, out_dir, LookPlan()),
        lambda: decoder.look(path, MediaKind.IMAGE, out_dir, LookPlan()),
        lambda: decoder.poster(path, MediaKind.VIDEO, out_dir / "p.jpg", 320, 0.0),
        lambda: decoder.poster(path, MediaKind.AUDIO, out_dir / "p.jpg", 320, 0.0),
        lambda: decoder.audio(path, out_dir / "a.f32"),
    ]
    for ask in asks:
        with pytest.raises(MediaError):
            ask()


TEXTS = {
    "hls": "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{}\n#EXT-X-ENDLIST\n",
    "concat": "ffconcat version 1.0\nfile '{}'\n",
    "svg": '<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg" '
    'xmlns:xlink="http://www.w3.org/1999/xlink" width="64" height="64">'
    '<image xlink:href="{}" width="64" height="64"/></svg>\n',
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n"
    "a=rtpmap:96 H264/90000\na=x:{}\n",
    "dash": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
    'mediaPresentationDuration="PT1S" profiles="urn:mpeg:dash:profile:isoff-on-demand:2011">'
    '<Period><AdaptationSet mimeType="video/mp2t"><Representation id="1" bandwidth="1">'
    "<BaseURL>{}</BaseURL></Representation></AdaptationSet></Period></MPD>\n",
}


@pytest.mark.parametrize("form", TEXTS)
@pytest.mark.parametrize("name", ["trap.mp4", "trap.ts", "trap.jpg"])
def test_a_file_that_names_another_file_does_not_open_it(
    prober, decoder, tmp_path, target, form, name
):
    trap = tmp_path / name
    trap.write_text(TEXTS[form].format(target))
    with watched(target) as opened:
        everything(prober, decoder, trap, tmp_path)
    assert opened == []


@pytest.mark.parametrize("form", TEXTS)
def test_a_file_that_names_an_address_does_not_call_it(prober, decoder, tmp_path, form):
    with listening() as (port, calls):
        trap = tmp_path / "trap.mp4"
        trap.write_text(TEXTS[form].format(f"http://127.0.0.1:{port}/target.ts"))
        everything(prober, decoder, trap, tmp_path)
    assert calls == []


def test_a_mov_whose_pictures_lie_in_another_file_does_not_open_it(
    prober, decoder, tmp_path, target
):
    trap = encode(tmp_path / "trap.mov", shots((10,)))
    refer_elsewhere(trap, target)
    allowed = ["-enable_drefs", "1", "-use_absolute_path", "1"]
    with watched(target) as opened_if_allowed:
        subprocess.run(["ffprobe", "-v", "error", *allowed, trap], check=False, capture_output=True)
    assert opened_if_allowed
    with watched(target) as opened:
        prober.probe(trap, MediaKind.VIDEO, ())
        try:
            decoder.look(trap, MediaKind.VIDEO, tmp_path, LookPlan())
        except MediaError as error:
            assert "trap.mov" in str(error)
    assert opened == []


def refer_elsewhere(mov: Path, target: Path) -> None:
    """Replace the data reference of a MOV (index at the end) by an alias to an absolute path."""
    odd = len(os.fsencode(target)) % 2
    path = b"/" * odd + os.fsencode(target)  # of even length, as alias records want it
    alias = bytes(10) + bytes([4]) + b"disk".ljust(27, b"\0") + bytes(12)
    name = os.fsencode(target.name)
    alias += bytes([len(name)]) + name.ljust(63, b"\0") + bytes(16) + struct.pack(">hh", 1, 2)
    alias += bytes(16) + struct.pack(">hH", 2, len(path)) + path + struct.pack(">hH", -1, 0)
    entry = struct.pack(">I4sI", 12 + len(alias), b"alis", 0) + alias
    data = mov.read_bytes()
    mov.write_bytes(_with_reference(data, entry))


def _with_reference(data: bytes, entry: bytes) -> bytes:
    """The boxes in `data` with the entry of every `dref` replaced, sizes mended."""
    out, at = b"", 0
    while at + 8 <= len(data):
        size, form = struct.unpack(">I4s", data[at : at + 8])
        body = data[at + 8 : at + size]
        if form in (b"moov", b"trak", b"mdia", b"minf", b"dinf"):
            body = _with_reference(body, entry)
        elif form == b"dref":
            body = body[:8] + entry
        out += struct.pack(">I4s", 8 + len(body), form) + body
        at += size
    return out + data[at:]


def test_a_huge_picture_is_refused_before_it_is_decoded(prober, decoder, tmp_path):
    bomb = tmp_path / "bomb.png"
    Image.MAX_IMAGE_PIXELS = None
    Image.new("1", (30_000, 30_000)).save(bomb)
    assert prober.probe(bomb, MediaKind.IMAGE, ()).width == 30_000
    with pytest.raises(UnsupportedMedia, match=r"bomb\.png .*900 megapixels.*DAM_MAX_MEGAPIXELS"):
        decoder.look(bomb, MediaKind.IMAGE, tmp_path, LookPlan())
    with pytest.raises(UnsupportedMedia, match="900 megapixels"):
        decoder.poster(bomb, MediaKind.IMAGE, tmp_path / "p.jpg", 320, 0.0)


def test_a_postscript_by_a_pictures_name_is_not_run(decoder, tmp_path):
    trap = tmp_path / "trap.jpg"
    trap.write_text("%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n")
    with pytest.raises(UnreadableMedia):
        decoder.look(trap, MediaKind.IMAGE, tmp_path, LookPlan())


NAMES = [
    b"with spaces and 'quotes' \"double\".mp4",
    b"two\nlines.mp4",
    "emoji 🎬 ünïcode.mp4".encode(),
    "decomposed u\u0308.mp4".encode(),
    b"not \xff\xfe utf-8.mp4",
    b"-y.mp4",
    b"--help -i x.mp4",
    b"@argfile.mp4",
    b"#comment.mp4",
    b"percent %d %05d.mp4",
    b"http:127.0.0.1 x.mp4",
    b"concat:a|b.mp4",
    b"back\\slash $HOME `id`.mp4",
    b"x" * 251 + b".mp4",
    b"UPPER.MP4",
]


@pytest.fixture(scope="module")
def plain(tmp_path_factory) -> Path:
    return encode(tmp_path_factory.mktemp("plain") / "plain.mp4", shots((10,)))


@pytest.mark.parametrize("name", NAMES, ids=[f"{n[:20]!r}" for n in NAMES])
def test_any_name_is_just_a_name(prober, decoder, tmp_path, plain, name):
    path = tmp_path / os.fsdecode(name)
    shutil.copy(plain, path)
    probe = prober.probe(path, MediaKind.VIDEO, ())
    assert (probe.width, probe.codecs) == (320, ("h264",))
    assert probe.raw["exiftool"]["File:FileType"] == "MP4"
    out_dir = tmp_path / "out"
    out_dir.mkdir()
    assert decoder.look(path, MediaKind.VIDEO, out_dir, LookPlan()).frames == 10
    assert decoder.audio(path, out_dir / "a.f32") is None
    assert sorted(os.listdir(os.fsencode(tmp_path))) == sorted([name, b"out"])


def test_a_relative_path_with_a_leading_dash_is_read(prober, decoder, tmp_path, plain, monkeypatch):
    shutil.copy(plain, tmp_path / "-i.mp4")
    monkeypatch.chdir(tmp_path)
    assert prober.probe(Path("-i.mp4"), MediaKind.VIDEO, ()).width == 320
    assert decoder.look(Path("-i.mp4"), MediaKind.VIDEO, Path(), LookPlan()).frames == 10


def test_an_error_shows_a_strange_name_as_printable_text(prober, tmp_path):
    path = tmp_path / os.fsdecode(b"bad \xff\nname.mp4")
    path.write_bytes(b"nonsense" * 100)
    with pytest.raises(UnreadableMedia) as caught:
        prober.probe(path, MediaKind.VIDEO, ())
    assert str(caught.value).startswith("bad \\xff\\nname.mp4 cannot be read")
