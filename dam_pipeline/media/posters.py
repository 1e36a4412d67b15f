"""One small upright picture of any file: a frame, the photograph reduced, or the sound drawn."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.error import FFmpegError
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from dam_pipeline.errors import UnreadableMedia, UnsupportedMedia
from dam_pipeline.media.candidates import Candidate, quality
from dam_pipeline.media.frames import FrameTaker, picture_stream
from dam_pipeline.media.photo import read_photo
from dam_pipeline.media.pictures import Picture, write_jpeg
from dam_pipeline.media.protocol import PosterRequest
from dam_pipeline.media.sound import audio_stream
from dam_pipeline.media.streams import StreamReader, open_container, origin_s
from dam_pipeline.records import MediaKind

Progress = Callable[[float], None]

GOOD = 0.5  # quality of a picture that is neither black nor blank
FRAMES_A_LOOK = 10
FRAMES_A_PLACE = 60  # looked at from one place before the next place is tried
PLACES = (0.0, 0.25, 0.5, 0.75)  # shares of the duration tried after the place asked for
COLUMNS = 512  # of the drawn sound
INK, PAPER = (64, 156, 190), (22, 26, 30)


def make_poster(request: PosterRequest, on_progress: Progress) -> tuple[int, int]:
    """Write an upright JPEG at most `px` on its long side; returns its width and height."""
    path, px, out_file = request.path, request.px, Path(request.out_file)
    if request.kind == MediaKind.IMAGE:
        return write_jpeg(read_photo(path, px, request.max_megapixels).image, out_file)
    if request.kind == MediaKind.VIDEO:
        return write_jpeg(_frame_near(request, on_progress), out_file)
    return write_jpeg(_drawn_sound(path, px, on_progress), out_file)


def _frame_near(request: PosterRequest, on_progress: Progress) -> Picture:
    """The first good frame near `at_s`, else the best of some tried elsewhere."""
    best: Candidate | None = None
    with open_container(request.path) as container:
        stream = picture_stream(container, request.max_megapixels)
        taker = FrameTaker(stream, request.px)
        total_s = (container.duration or 0) / 1e6
        places = [(request.at_s, True), *((total_s * share, False) for share in PLACES)]
        for place_s, at_sync in places:
            for time_s, frame in _frames_from(container, stream, place_s, at_sync):
                on_progress(0.0)
                candidate = taker.take(frame, time_s)
                if best is None or quality(candidate) > quality(best):
                    best = candidate
                if quality(best) >= GOOD:
                    return taker.finish(best.picture)
    if best is None:
        raise UnreadableMedia(
            "holds no picture that can be decoded. Copy it again from its source."
        )
    return taker.finish(best.picture)


def _frames_from(
    container: Any, stream: Any, place_s: float, at_sync: bool
) -> Iterator[tuple[float, Any]]:
    """A few frames at and after a place, with their times; none where nothing can be decoded.

    With `at_sync`, from the sync frame before it on: decoding up to the place itself may take
    longer than all the rest of a short film.
    """
    origin = origin_s(container)
    try:
        container.seek(round((place_s + origin) * 1e6), backward=True)
    except FFmpegError:
        if place_s > 0:
            return
    looked_at = 0
    try:
        for frame in container.decode(stream):
            time_s = float((frame.pts or 0) * stream.time_base) - origin
            if time_s < place_s - 1e-3 and not at_sync:
                continue
            if looked_at % FRAMES_A_LOOK == 0:
                yield time_s, frame
            looked_at += 1
            if looked_at >= FRAMES_A_PLACE:
                return
    except FFmpegError:
        return


def _drawn_sound(path: str, px: int, on_progress: Progress) -> Image.Image:
    """Loudest samples over time as bars, px wide and a quarter as high."""
    peaks = _peaks(path, on_progress)
    width, height = px, max(16, px // 4)
    image = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(image)
    top = max(float(peaks.max(initial=0.0)), 1e-3)
    for x in range(width):
        peak = float(peaks[min(len(peaks) - 1, x * len(peaks) // width)])
        half = max(1, round(peak / top * (height / 2 - 2)))
        draw.line([(x, height // 2 - half), (x, height // 2 + half)], fill=INK)
    return image


def _peaks(path: str, on_progress: Progress) -> NDArray[np.float32]:
    """Peak per column; the column's length doubles as the sound goes on."""
    peaks = np.zeros(2 * COLUMNS, dtype=np.float32)
    filled, per_column, held = 0, 64, np.zeros(0, dtype=np.float32)
    with open_container(path) as container:
        stream = audio_stream(container)
        if stream is None:
            raise UnsupportedMedia("has no audio stream to draw.")
        resampler = av.AudioResampler(format="flt", layout="mono", rate=8000)
        reader = StreamReader(container, stream, on_progress)
        for _, _, frame in reader.frames():
            frame.pts = None
            pieces = [p.to_ndarray().reshape(-1) for p in resampler.resample(frame)]
            held = np.abs(np.concatenate([held, *pieces]))
            while held.size >= per_column:
                if filled == 2 * COLUMNS:
                    peaks[:COLUMNS] = peaks.reshape(-1, 2).max(axis=1)
                    filled, per_column = COLUMNS, 2 * per_column
                    continue
                peaks[filled] = held[:per_column].max()
                held, filled = held[per_column:], filled + 1
        if not reader.frames_read:
            raise UnreadableMedia(
                f"holds no sound that can be decoded ({reader.trouble or 'no frame'}). "
                "Copy it again from its source."
            )
    return peaks[: max(filled, 1)]
