"""Pictures in general formats, by Pillow and pillow_heif: upright, in sRGB, 8 bits, reduced."""

import io
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
import pillow_heif
from PIL import Image, ImageCms, ImageFile, ImageOps, UnidentifiedImageError

from dam_pipeline.errors import UnreadableMedia
from dam_pipeline.media.access import AGAIN
from dam_pipeline.media.formats import PILLOW_FORMATS
from dam_pipeline.media.pictures import check_size, fit

DAMAGED = f"is damaged or is not a picture ({{}}). {AGAIN}"
SIDEWAYS = (5, 6, 7, 8)  # EXIF orientations that swap width and height
ORIENTATION_TAG = 0x0112

Image.init()
pillow_heif.register_heif_opener()
Image.MAX_IMAGE_PIXELS = None  # `check_size` has the say, and says what to do


@dataclass(frozen=True, slots=True)
class Photo:
    """A reduced, upright RGB picture, its full upright size, and what of it could not be read.

    `has_orientation`: the file itself said how it is to be turned.
    """

    image: Image.Image
    width: int
    height: int
    partial: str = ""
    has_orientation: bool = False


def read_raster(path: str, px: int, max_megapixels: float) -> Photo:
    """The picture at most `px` on its long side; raises UnreadableMedia, UnsupportedMedia and what
    the libraries raise."""
    try:
        return _read_whole_or_part(path, px, max_megapixels)
    except UnidentifiedImageError:
        return _read_opencv(path, px, max_megapixels)


def _read_whole_or_part(path: str, px: int, max_megapixels: float) -> Photo:
    """The picture, or what there is of one that was cut short (the rest is grey)."""
    with open(path, "rb") as file:
        try:
            return read_pillow(file, px, max_megapixels)
        except UnidentifiedImageError:
            raise
        except OSError as error:
            if error.errno:
                raise
            why = str(error)
        file.seek(0)
        ImageFile.LOAD_TRUNCATED_IMAGES = True
        try:
            part = read_pillow(file, px, max_megapixels)
        finally:
            ImageFile.LOAD_TRUNCATED_IMAGES = False
    if np.ptp(np.asarray(part.image), axis=(0, 1)).max() == 0:
        raise UnreadableMedia(DAMAGED.format(why))
    return replace(part, partial=f"read a part of the picture: {why}")


def read_pillow(file: Any, px: int, max_megapixels: float) -> Photo:
    """The picture in an open file; raises UnsupportedMedia and what Pillow raises."""
    with Image.open(file, formats=PILLOW_FORMATS) as image:
        check_size(*image.size, max_megapixels)
        if image.format == "TIFF":
            image.load()  # Pillow turns these upright itself, and says so only then
        width, height = image.size
        orientation = int(image.getexif().get(ORIENTATION_TAG, 1) or 1)
        image.draft("RGB", (px, px))
        profile = image.info.get("icc_profile")
        small = reduced(np.asarray(_to_rgb(image)), px)
        small = _turned(_to_srgb(small, profile), orientation)
    if orientation in SIDEWAYS:
        width, height = height, width
    return Photo(small, width, height, has_orientation=orientation != 1)


def _turned(image: Image.Image, orientation: int) -> Image.Image:
    """The picture as its EXIF orientation wants it seen, without any metadata."""
    image.info.clear()
    exif = image.getexif()
    exif[ORIENTATION_TAG] = orientation
    turned = ImageOps.exif_transpose(image)
    turned.info.clear()
    return turned


def _to_rgb(image: Image.Image) -> Image.Image:
    """8-bit RGB; 16-bit greys are scaled, transparency lies on white."""
    if image.mode.startswith("I") or image.mode == "F":
        grey = np.asarray(image, dtype=np.float32)
        top = 65535.0 if image.mode != "F" else max(float(grey.max()), 1e-9)
        eight = np.clip(grey / top * 255, 0, 255).astype(np.uint8)
        return Image.fromarray(eight).convert("RGB")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        layer = image.convert("RGBA")
        white = Image.new("RGBA", layer.size, "white")
        return Image.alpha_composite(white, layer).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def reduced(pixels: Any, px: int) -> Image.Image:
    """The picture at most `px` on its long side (by OpenCV: half of what Pillow takes)."""
    size = fit(pixels.shape[1], pixels.shape[0], px)
    if size != (pixels.shape[1], pixels.shape[0]):
        pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return Image.fromarray(pixels)


def _to_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Colours as an sRGB screen shows them; a broken profile is left aside."""
    if not profile:
        return image
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if source.profile.xcolor_space.strip() != "RGB":
            return image
        converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"))
    except (ImageCms.PyCMSError, OSError, ValueError):
        return image
    return converted or image


def _read_opencv(path: str, px: int, max_megapixels: float) -> Photo:
    """What Pillow has no decoder for: TIFF of 16 bits a channel."""
    data = np.fromfile(path, dtype=np.uint8)
    is_tiff = data[:4].tobytes() in (b"II*\0", b"MM\0*")
    pixels = cv2.imdecode(data, cv2.IMREAD_COLOR) if is_tiff else None
    if pixels is None:
        raise UnreadableMedia(DAMAGED.format("no known picture format"))
    height, width = pixels.shape[:2]
    check_size(width, height, max_megapixels)
    return Photo(reduced(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), px), width, height)
