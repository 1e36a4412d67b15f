"""Photographs of every format: upright, in sRGB, reduced, RAW by preview or development."""

import struct
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from clips import keep_head, place, write_deep_tiff, write_dng
from PIL import Image, ImageCms

from dam_pipeline.errors import UnreadableMedia
from dam_pipeline.media.decoder import Decoder, LookPlan
from dam_pipeline.media.probing import Prober
from dam_pipeline.records import Look, MediaKind, Probe, Shot
from dam_pipeline.settings import Settings

RED, GREEN, BLUE, WHITE = (200, 30, 30), (30, 200, 30), (30, 30, 200), (230, 230, 230)
PAPER = (255, 255, 255)


@pytest.fixture(scope="module")
def decoder(tmp_path_factory):
    with Decoder(Settings(home=tmp_path_factory.mktemp("home"))) as decoder:
        yield decoder


@pytest.fixture(scope="module")
def prober():
    with Prober() as prober:
        yield prober


@pytest.fixture
def read(decoder, prober, tmp_path):
    """The probe, the look, and the keyframe's pixels of a photograph."""

    def read(path: Path, **plan) -> tuple[Probe, Look, np.ndarray]:
        out_dir = tmp_path / "out"
        out_dir.mkdir(exist_ok=True)
        look = decoder.look(path, MediaKind.IMAGE, out_dir, LookPlan(**plan))
        with Image.open(out_dir / look.keyframes[0].path) as image:
            pixels = np.asarray(image)
        return prober.probe(path, MediaKind.IMAGE, ()), look, pixels

    return read


def quarters(width: int = 160, height: int = 120) -> np.ndarray:
    """Red and green above, white and blue below."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[: height // 2, : width // 2], picture[: height // 2, width // 2 :] = RED, GREEN
    picture[height // 2 :, : width // 2], picture[height // 2 :, width // 2 :] = WHITE, BLUE
    return picture


def corners(pixels: np.ndarray) -> list[str]:
    """Colours of the quarters: top left, top right, bottom right, bottom left."""
    h, w = pixels.shape[:2]
    spots = [(h // 4, w // 4), (h // 4, 3 * w // 4), (3 * h // 4, 3 * w // 4), (3 * h // 4, w // 4)]
    names = {"red": RED, "green": GREEN, "blue": BLUE, "white": WHITE}
    return [
        min(names, key=lambda name: np.abs(pixels[y, x].astype(int) - names[name]).sum())
        for y, x in spots
    ]


UPRIGHT = ["red", "green", "blue", "white"]


def save_heif(path: Path, pixels: np.ndarray) -> None:
    pillow_heif.from_pillow(Image.fromarray(pixels)).save(path, quality=90)


WRITERS = {
    "photo.jpg": lambda path, pixels: Image.fromarray(pixels).save(path, quality=92),
    "photo.jpeg": lambda path, pixels: Image.fromarray(pixels).save(path, quality=92),
    "photo.png": lambda path, pixels: Image.fromarray(pixels).save(path),
    "photo.webp": lambda path, pixels: Image.fromarray(pixels).save(path, quality=92),
    "photo.tif": lambda path, pixels: Image.fromarray(pixels).save(path),
    "photo.tiff": lambda path, pixels: Image.fromarray(pixels).save(path, compression="tiff_lzw"),
    "photo.heic": save_heif,
    "photo.heif": save_heif,
    "photo.avif": lambda path, pixels: Image.fromarray(pixels).save(path, quality=80),
    "sixteen.tif": write_deep_tiff,
    "palette.png": lambda path, pixels: Image.fromarray(pixels).quantize(16).save(path),
    "CAPITALS.JPG": lambda path, pixels: Image.fromarray(pixels).save(path, quality=92),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_photograph_is_one_shot_with_one_keyframe_at_zero(read, tmp_path, name):
    WRITERS[name](tmp_path / name, quarters())
    probe, look, pixels = read(tmp_path / name)
    assert (probe.kind, probe.width, probe.height) == (MediaKind.IMAGE, 160, 120)
    assert (look.width, look.height, look.duration_s) == (160, 120, 0.0)
    assert look.shots == (Shot(0.0, 0.0),)
    assert [(k.time_s, k.start_s, k.end_s, k.is_hero) for k in look.keyframes] == [
        (0.0, 0.0, 0.0, True)
    ]
    assert corners(pixels) == UPRIGHT


# How a picture must be stored for EXIF orientation n to show it upright (rows of the standard).
STORED = {
    1: lambda p: p,
    2: np.fliplr,
    3: lambda p: np.rot90(p, 2),
    4: np.flipud,
    5: lambda p: np.transpose(p, (1, 0, 2)),
    6: lambda p: np.rot90(p, 1),
    7: lambda p: np.rot90(np.transpose(p, (1, 0, 2)), 2),
    8: lambda p: np.rot90(p, 3),
}


@pytest.mark.parametrize("orientation", STORED)
def test_every_exif_orientation_is_seen_upright(read, tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](quarters())))
    stored.save(tmp_path / "turned.jpg", exif=exif, quality=92)
    probe, look, pixels = read(tmp_path / "turned.jpg")
    assert corners(pixels) == UPRIGHT
    assert probe.orientation == orientation
    assert (look.width, look.height) == (probe.width, probe.height) == (160, 120)


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize("form", ["heic", "avif", "png", "webp", "tif"])
def test_other_formats_are_seen_upright(read, tmp_path, form, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](quarters())))
    path = tmp_path / f"turned.{form}"
    pillow_heif.register_heif_opener()
    stored.save(path, exif=exif.tobytes(), quality=90)
    probe, look, pixels = read(path)
    assert corners(pixels) == UPRIGHT
    assert (look.width, look.height) == (probe.width, probe.height) == (160, 120)


def test_a_large_photograph_is_reduced_and_its_size_remembered(read, tmp_path):
    Image.fromarray(place(1, 4000, 3000)).save(tmp_path / "large.jpg")
    _, look, pixels = read(tmp_path / "large.jpg", keyframe_px=1280)
    assert (look.width, look.height) == (4000, 3000)
    assert pixels.shape == (960, 1280, 3)


def test_what_is_transparent_lies_on_white(read, tmp_path):
    picture = Image.fromarray(quarters()).convert("RGBA")
    picture.putalpha(Image.fromarray(np.where(quarters()[..., 0] == 200, 0, 255).astype(np.uint8)))
    picture.save(tmp_path / "clear.png")
    _, _, pixels = read(tmp_path / "clear.png")
    assert pixels[20, 20] == pytest.approx(PAPER, abs=6)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "CMYK", "I;16"])
def test_every_mode_becomes_rgb(read, tmp_path, mode):
    grey = np.tile(np.linspace(0, 255, 160).astype(np.uint8), (120, 1))
    if mode == "I;16":
        Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "mode.png")
        name = "mode.png"
    else:
        name = "mode.jpg" if mode == "CMYK" else "mode.png"
        Image.fromarray(grey).convert("RGB").convert(mode).save(tmp_path / name)
    _, _, pixels = read(tmp_path / name)
    assert pixels.shape == (120, 160, 3)
    assert pixels[60, 10].mean() < 60
    assert pixels[60, 150].mean() > 195


def test_colours_of_a_wide_profile_are_brought_to_srgb(read, tmp_path):
    """A profile with the same curve but swapped primaries makes red of what is stored as green."""
    picture = Image.new("RGB", (64, 64), (120, 120, 120))
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture.save(tmp_path / "srgb.jpg", icc_profile=lab)
    _, _, pixels = read(tmp_path / "srgb.jpg")
    assert pixels.mean() == pytest.approx(120, abs=2)


def test_a_broken_profile_does_not_matter(read, tmp_path):
    Image.fromarray(quarters()).save(tmp_path / "odd.jpg", icc_profile=b"nonsense" * 20)
    assert corners(read(tmp_path / "odd.jpg")[2]) == UPRIGHT


def test_a_truncated_photograph_keeps_what_was_there(read, tmp_path):
    Image.fromarray(place(2, 800, 600)).save(tmp_path / "cut.jpg", quality=90)
    keep_head(tmp_path / "cut.jpg", 0.6)
    _, look, pixels = read(tmp_path / "cut.jpg")
    assert look.partial.startswith("read a part of the picture: ")
    original = place(2, 800, 600)
    assert np.abs(pixels[:200].astype(int) - original[:200]).mean() < 6


def test_a_photograph_that_is_only_a_header_is_unreadable(decoder, tmp_path):
    Image.fromarray(place(2, 800, 600)).save(tmp_path / "head.png")
    (tmp_path / "head.png").write_bytes((tmp_path / "head.png").read_bytes()[:60])
    with pytest.raises(UnreadableMedia, match=r"head\.png is damaged or is not a picture"):
        decoder.look(tmp_path / "head.png", MediaKind.IMAGE, tmp_path, LookPlan())


@pytest.mark.parametrize(("orientation", "size"), [(1, (320, 240)), (6, (240, 320))])
def test_a_raw_without_preview_is_developed(read, tmp_path, orientation, size):
    path = write_dng(tmp_path / "raw.dng", quarters(320, 240), orientation)
    probe, look, pixels = read(path)
    assert (look.width, look.height) == (probe.width, probe.height) == size
    assert probe.camera == "Maker One"
    assert pixels.shape == (size[1], size[0], 3)
    assert corners(pixels) == (UPRIGHT if orientation == 1 else ["white", "red", "green", "blue"])


@pytest.mark.parametrize(("orientation", "size"), [(1, (320, 240)), (6, (240, 320))])
def test_a_raw_with_a_preview_is_seen_through_it(read, tmp_path, orientation, size):
    grey = np.full((240, 320, 3), 90, np.uint8)
    path = write_dng(tmp_path / "raw.dng", grey, orientation, preview=quarters(320, 240))
    probe, look, pixels = read(path)
    assert (look.width, look.height) == (probe.width, probe.height) == size
    assert corners(pixels) == (UPRIGHT if orientation == 1 else ["white", "red", "green", "blue"])


def test_a_preview_too_small_to_stand_for_the_picture_is_passed_over(read, tmp_path):
    grey = np.full((480, 640, 3), 90, np.uint8)
    path = write_dng(tmp_path / "raw.dng", quarters(640, 480), preview=grey[:60, :80])
    _, look, pixels = read(path)
    assert (look.width, look.height) == (640, 480)
    assert corners(pixels) == UPRIGHT


def test_a_raw_that_libraw_does_not_know_is_seen_through_what_exiftool_finds(read, tmp_path):
    """A DNG whose raw data are of a compression that nobody decodes, with a preview in front."""
    grey = np.full((240, 320, 3), 90, np.uint8)
    path = write_dng(tmp_path / "raw.dng", grey, preview=quarters(320, 240))
    damage_raw(path)
    _, look, pixels = read(path)
    assert corners(pixels) == UPRIGHT
    assert (look.width, look.height) == (320, 240)


def damage_raw(path: Path) -> None:
    data = bytearray(path.read_bytes())
    at = data.index(struct.pack("<HHII", 262, 3, 1, 32803))
    data[at : at + 12] = struct.pack("<HHII", 262, 3, 1, 51177)
    path.write_bytes(bytes(data))


def test_a_broken_raw_is_unreadable(decoder, prober, tmp_path):
    path = tmp_path / "raw.nef"
    path.write_bytes(b"MM\0*" + bytes(500))
    with pytest.raises(UnreadableMedia, match=r"raw\.nef"):
        decoder.look(path, MediaKind.IMAGE, tmp_path, LookPlan())
    with pytest.raises(UnreadableMedia, match=r"raw\.nef"):
        prober.probe(path, MediaKind.IMAGE, ())
