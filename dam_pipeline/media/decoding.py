"""What the decoder child does with a request; imports the codecs, so only the child imports it."""

from collections.abc import Callable
from pathlib import Path

import av.logging
import cv2

from dam_pipeline.errors import UnsupportedMedia
from dam_pipeline.media.access import is_window, readable_size
from dam_pipeline.media.photo import look_at_photo
from dam_pipeline.media.photo_encoding import encode_photo
from dam_pipeline.media.posters import make_poster
from dam_pipeline.media.protocol import (
    AudioRequest,
    LookRequest,
    PhotoRequest,
    PosterRequest,
    Request,
    Result,
)
from dam_pipeline.media.sound import read_audio
from dam_pipeline.media.video import look_at_video
from dam_pipeline.records import MediaKind

av.logging.set_level(None)
cv2.setNumThreads(1)


def answer(request: Request, progress: Callable[[float], None]) -> Result:
    """The request's result; raises MediaError, SourceUnavailable, MemoryError and OSError."""
    if not is_window(request.path):
        readable_size(request.path)
    match request:
        case AudioRequest():
            return read_audio(request.path, Path(request.out_file), progress)
        case PhotoRequest():
            return encode_photo(request)
        case PosterRequest():
            return make_poster(request, progress)
        case LookRequest(kind=MediaKind.IMAGE):
            return look_at_photo(request.path, Path(request.out_dir), request.plan)
        case LookRequest(kind=MediaKind.VIDEO):
            return look_at_video(request.path, Path(request.out_dir), request.plan, progress)
    raise UnsupportedMedia("has no pictures; it is sound.")
