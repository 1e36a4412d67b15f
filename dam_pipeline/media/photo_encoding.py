"""Photographs made into JPEGs as agencies take them: whole, upright, in sRGB, with its profile.

Used in the decoder child only. The same picture gives the same bytes.
"""

from pathlib import Path

import numpy as np
import rawpy
from PIL import Image, ImageCms

from dam_pipeline.errors import UnreadableMedia, UnsupportedMedia
from dam_pipeline.formats import RAW, suffix_of
from dam_pipeline.media.photo import photo_errors
from dam_pipeline.media.pictures import check_size
from dam_pipeline.media.protocol import PhotoRequest
from dam_pipeline.media.rasters import read_raster

JPEG_QUALITY = 95
WHOLE_PX = 1 << 30  # no picture is reduced to this
ICC_DATE = slice(24, 36)  # of the header, ICC.1:2022 §7.2: lcms writes the present moment


def encode_photo(request: PhotoRequest) -> tuple[int, int]:
    """Write the JPEG, and read it again; returns its width and height.

    Raises UnreadableMedia also for a picture of which only a part can be read, UnsupportedMedia.
    """
    target = Path(request.out_file)
    if suffix_of(target.name) not in ("jpg", "jpeg"):
        raise UnsupportedMedia(f"can be made into a JPEG, not into .{suffix_of(target.name)}.")
    with photo_errors():
        image = _whole(request.path, request.max_megapixels)
    image = _fitted(image, request.width or image.width, request.height or image.height)
    image.save(
        target, "JPEG", quality=JPEG_QUALITY, subsampling=0, optimize=True, icc_profile=srgb()
    )
    with photo_errors(), Image.open(target, formats=("JPEG",)) as made:
        made.load()
        return made.size


def _fitted(image: Image.Image, width: int, height: int) -> Image.Image:
    """The picture in another size; one line too many is cut off, which keeps the others sharp."""
    if image.size == (width, height):
        return image
    if width <= image.width <= width + 1 and height <= image.height <= height + 1:
        return image.crop((0, 0, width, height))
    return image.resize((width, height), Image.Resampling.LANCZOS)


def srgb() -> bytes:
    """The ICC profile of sRGB, without the date of its making."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[ICC_DATE] = bytes((7, 208, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0))  # 1 January 2000
    return bytes(profile)


def _whole(path: str, max_megapixels: float) -> Image.Image:
    if suffix_of(path) in RAW:
        return _developed(path, max_megapixels)
    photo = read_raster(path, WHOLE_PX, max_megapixels)
    if photo.partial:
        raise UnreadableMedia(f"is damaged: one could only {photo.partial}")
    return photo.image


def _developed(path: str, max_megapixels: float) -> Image.Image:
    """The sensor's picture in full size; what the camera put in as a preview is not enough."""
    with open(path, "rb") as file, rawpy.imread(file) as raw:
        check_size(raw.sizes.raw_width, raw.sizes.raw_height, max_megapixels)
        return Image.fromarray(np.asarray(raw.postprocess(use_camera_wb=True, output_bps=8)))
