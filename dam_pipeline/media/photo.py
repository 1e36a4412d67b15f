"""Photographs: decoded by Pillow, pillow_heif or LibRaw, upright, in sRGB, 8 bits.

A camera's RAW file is seen through the preview that the camera put into it, where that is large
enough, and developed otherwise.
"""

import io
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pillow_heif
import rawpy
from PIL import Image, ImageCms, ImageFile, ImageOps, UnidentifiedImageError

from dam_pipeline.errors import UnreadableMedia
from dam_pipeline.formats import RAW, suffix_of
from dam_pipeline.media.access import AGAIN
from dam_pipeline.media.formats import PILLOW_FORMATS
from dam_pipeline.media.pictures import check_size, fit, luma_of, measure, thumb_of, write_jpeg
from dam_pipeline.media.plan import LookPlan
from dam_pipeline.records import Keyframe, Look, Shot

DAMAGED = f"is damaged or is not a picture ({{}}). {AGAIN}"
SIDEWAYS = (5, 6, 7, 8)  # EXIF orientations that swap width and height
ORIENTATION_TAG = 0x0112


@dataclass(frozen=True, slots=True)
class Photo:
    """A reduced, upright RGB picture, its full upright size, and what of it could not be read."""

    image: Image.Image
    width: int
    height: int
    partial: str = ""


def look_at_photo(path: str, out_dir: Path, plan: LookPlan) -> Look:
    """One shot and one keyframe at 0.0; raises UnreadableMedia, UnsupportedMedia."""
    photo = read_photo(path, plan.keyframe_px, plan.max_megapixels)
    name = "keyframe-00000.jpg"
    width, height = write_jpeg(photo.image, out_dir / name)
    pixels = np.asarray(photo.image)
    measured = measure(luma_of(pixels), 0.0, thumb_of(pixels))
    keyframe = Keyframe(
        shot=0,
        time_s=0.0,
        start_s=0.0,
        end_s=0.0,
        path=name,
        width=width,
        height=height,
        sharpness=measured.sharpness,
        exposure=measured.exposure,
        is_hero=True,
        why="the photograph itself",
    )
    return Look(
        shots=(Shot(0.0, 0.0),),
        keyframes=(keyframe,),
        frames=1,
        width=photo.width,
        height=photo.height,
        duration_s=0.0,
        partial=photo.partial,
    )


def read_photo(path: str, px: int, max_megapixels: float) -> Photo:
    """The photograph, at most `px` on its long side; raises UnreadableMedia, UnsupportedMedia."""
    Image.init()
    pillow_heif.register_heif_opener()
    Image.MAX_IMAGE_PIXELS = None  # `check_size` has the say, and says what to do
    with _errors():
        if suffix_of(os.path.basename(path)) in RAW:
            return _read_raw(path, px, max_megapixels)
        try:
            return _read_whole_or_part(path, px, max_megapixels)
        except UnidentifiedImageError:
            return _read_opencv(path, px, max_megapixels)


@contextmanager
def _errors() -> Iterator[None]:
    """Turn what the libraries raise on bad files into our errors."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except rawpy.LibRawError as error:
        raise UnreadableMedia(DAMAGED.format(f"LibRaw: {error}")) from error
    except (OSError, SyntaxError, ValueError, EOFError, cv2.error) as error:
        if isinstance(error, OSError) and error.errno:
            raise
        raise UnreadableMedia(DAMAGED.format(error or type(error).__name__)) from error


def _read_whole_or_part(path: str, px: int, max_megapixels: float) -> Photo:
    """The picture, or what there is of one that was cut short (the rest is grey)."""
    with open(path, "rb") as file:
        try:
            return _read_pillow(file, px, max_megapixels)
        except UnidentifiedImageError:
            raise
        except OSError as error:
            if error.errno:
                raise
            why = str(error)
        file.seek(0)
        ImageFile.LOAD_TRUNCATED_IMAGES = True
        try:
            part = _read_pillow(file, px, max_megapixels)
        finally:
            ImageFile.LOAD_TRUNCATED_IMAGES = False
    if np.ptp(np.asarray(part.image), axis=(0, 1)).max() == 0:
        raise UnreadableMedia(DAMAGED.format(why))
    return replace(part, partial=f"read a part of the picture: {why}")


def _read_pillow(file: Any, px: int, max_megapixels: float) -> Photo:
    with Image.open(file, formats=PILLOW_FORMATS) as image:
        check_size(*image.size, max_megapixels)
        if image.format == "TIFF":
            image.load()  # Pillow turns these upright itself, and says so only then
        width, height = image.size
        orientation = int(image.getexif().get(ORIENTATION_TAG, 1) or 1)
        image.draft("RGB", (px, px))
        profile = image.info.get("icc_profile")
        small = _reduced(np.asarray(_to_rgb(image)), px)
        small = _turned(_to_srgb(small, profile), orientation)
    if orientation in SIDEWAYS:
        width, height = height, width
    return Photo(small, width, height)


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


def _reduced(pixels: Any, px: int) -> Image.Image:
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
    return Photo(_reduced(cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB), px), width, height)


def _read_raw(path: str, px: int, max_megapixels: float) -> Photo:
    with open(path, "rb") as file, rawpy.imread(file) as raw:
        sizes = raw.sizes
        check_size(sizes.raw_width, sizes.raw_height, max_megapixels)
        width, height = sizes.width, sizes.height
        if sizes.flip in (5, 6):
            width, height = height, width
        preview = _raw_preview(raw, px, max_megapixels)
        if preview is not None:
            return Photo(preview, width, height)
        pixels = raw.postprocess(
            use_camera_wb=True, half_size=max(width, height) >= 2 * px, output_bps=8
        )
    return Photo(_reduced(pixels, px), width, height)


def _raw_preview(raw: Any, px: int, max_megapixels: float) -> Image.Image | None:
    """The camera's own preview, upright, when it is large enough to stand for the picture."""
    try:
        thumb = raw.extract_thumb()
    except rawpy.LibRawError:
        return None
    if thumb.format != rawpy.ThumbFormat.JPEG:
        return None
    preview = _read_pillow(io.BytesIO(thumb.data), px, max_megapixels)
    full = max(raw.sizes.width, raw.sizes.height)
    if max(preview.width, preview.height) < min(px, full // 2):
        return None
    if raw.sizes.flip in (5, 6) and preview.width > preview.height:
        turn = Image.Transpose.ROTATE_270 if raw.sizes.flip == 6 else Image.Transpose.ROTATE_90
        return preview.image.transpose(turn)
    return preview.image
