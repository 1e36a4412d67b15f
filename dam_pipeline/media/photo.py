"""Photographs: one shot, one keyframe at 0.0, whatever the camera wrote."""

import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import rawpy

from dam_pipeline.errors import UnreadableMedia
from dam_pipeline.formats import RAW, suffix_of
from dam_pipeline.media.pictures import luma_of, measure, thumb_of, write_jpeg
from dam_pipeline.media.plan import LookPlan
from dam_pipeline.media.prints import print_of_photo
from dam_pipeline.media.rasters import DAMAGED, Photo, read_raster, reduced
from dam_pipeline.media.raw import read_raw
from dam_pipeline.records import Keyframe, Look, Shot


def look_at_photo(path: str, out_dir: Path, plan: LookPlan) -> Look:
    """One shot and one keyframe at 0.0; raises UnreadableMedia, UnsupportedMedia."""
    photo = read_photo(path, plan.keyframe_px, plan.max_megapixels)
    name = "keyframe-00000.jpg"
    width, height = write_jpeg(photo.image, out_dir / name)
    pixels = np.asarray(photo.image)
    if plan.poster_file:
        write_jpeg(reduced(pixels, plan.poster_px), Path(plan.poster_file))
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
        prints=(print_of_photo(pixels),),
    )


def read_photo(path: str, px: int, max_megapixels: float) -> Photo:
    """The photograph, at most `px` on its long side; raises UnreadableMedia, UnsupportedMedia."""
    is_raw = suffix_of(os.path.basename(path)) in RAW
    with photo_errors():
        return (read_raw if is_raw else read_raster)(path, px, max_megapixels)


@contextmanager
def photo_errors() -> Iterator[None]:
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
