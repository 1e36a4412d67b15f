"""Camera RAW: by the preview that the camera put in, where that is large enough, or developed.

LibRaw (rawpy) knows most cameras; of those that it does not, exiftool still finds the preview.
"""

import io
import subprocess
from typing import Any

import rawpy
from PIL import Image

from dam_pipeline.media.pictures import check_size
from dam_pipeline.media.rasters import Photo, read_pillow, reduced

PREVIEW_TAGS = ("JpgFromRaw", "PreviewImage", "OtherImage")
EXIFTOOL_S = 30.0
TURNS = {  # LibRaw's flip
    3: Image.Transpose.ROTATE_180,
    5: Image.Transpose.ROTATE_90,
    6: Image.Transpose.ROTATE_270,
}


def read_raw(path: str, px: int, max_megapixels: float) -> Photo:
    """The photograph at most `px` on its long side; raises UnsupportedMedia and what LibRaw does."""
    try:
        return _read_libraw(path, px, max_megapixels)
    except rawpy.LibRawError:
        preview = _exiftool_preview(path, px, max_megapixels)
        if preview is None:
            raise
        return preview


def _read_libraw(path: str, px: int, max_megapixels: float) -> Photo:
    with open(path, "rb") as file, rawpy.imread(file) as raw:
        sizes = raw.sizes
        check_size(sizes.raw_width, sizes.raw_height, max_megapixels)
        width, height = sizes.width, sizes.height
        if sizes.flip in (5, 6):
            width, height = height, width
        preview = _camera_preview(raw, px, max_megapixels)
        if preview is not None:
            return Photo(preview, width, height)
        is_half_enough = max(width, height) >= 2 * px
        pixels = raw.postprocess(use_camera_wb=True, half_size=is_half_enough, output_bps=8)
    return Photo(reduced(pixels, px), width, height)


def _camera_preview(raw: Any, px: int, max_megapixels: float) -> Image.Image | None:
    """The camera's own JPEG, upright, when it is large enough to stand for the picture."""
    try:
        thumb = raw.extract_thumb()
    except rawpy.LibRawError:
        return None
    if thumb.format != rawpy.ThumbFormat.JPEG:
        return None
    preview = read_pillow(io.BytesIO(thumb.data), px, max_megapixels)
    full = max(raw.sizes.width, raw.sizes.height)
    if max(preview.width, preview.height) < min(px, full // 2):
        return None
    return _turned(preview, raw.sizes.flip)


def _turned(preview: Photo, flip: int) -> Image.Image:
    """The preview upright; one that says its own orientation is so already."""
    if flip not in TURNS or preview.has_orientation:
        return preview.image
    return preview.image.transpose(TURNS[flip])


def _exiftool_preview(path: str, px: int, max_megapixels: float) -> Photo | None:
    """The first preview that exiftool can take out of the file."""
    for tag in PREVIEW_TAGS:
        found = subprocess.run(
            ["exiftool", "-config", "", "-b", f"-{tag}", path],
            capture_output=True,
            timeout=EXIFTOOL_S,
            check=False,
        )
        if found.stdout:
            return read_pillow(io.BytesIO(found.stdout), px, max_megapixels)
    return None
