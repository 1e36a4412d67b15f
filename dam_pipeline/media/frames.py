"""From a decoded video frame to a picture: reduced, upright, square pixels, HDR toned down.

`take` is cheap and done for every candidate, `finish` is done for those that are kept.
"""

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from av import VideoFrame
from numpy.typing import NDArray

from dam_pipeline.errors import UnsupportedMedia
from dam_pipeline.media.graphs import Shrink
from dam_pipeline.media.pictures import Picture, check_size, fit, turn
from dam_pipeline.media.streams import is_picture_track
from dam_pipeline.media.tone import HLG, PQ, tone_map

STRANGEST_ASPECT = 10  # of a pixel; beyond, the file's word is taken for an error


@dataclass(frozen=True, slots=True)
class Taken:
    """A reduced, upright frame; `deep` holds 16 bits a channel of HDR frames."""

    picture: Picture
    deep: NDArray[np.uint16] | None
    transfer: int

    def finish(self) -> Picture:
        """The picture as an SDR screen shows it."""
        return self.picture if self.deep is None else tone_map(self.deep, self.transfer)


class FrameTaker:
    """Takes reduced pictures from the frames of one stream, at most `px` on the long side."""

    def __init__(self, stream: Any, px: int) -> None:
        size = fit(*square_size(stream), px)
        self._plain = Shrink(stream.time_base, size, "rgb24", "bilinear")
        self._deep = Shrink(stream.time_base, size, "rgb48le", "bilinear")

    def take(self, frame: VideoFrame) -> Taken:
        """The frame's reduced picture."""
        if frame.color_trc not in (PQ, HLG):
            return Taken(upright(self._plain.one(frame), frame), None, 0)
        deep = upright(self._deep.one(frame), frame)
        return Taken((deep >> 8).astype(np.uint8), deep, frame.color_trc)


def picture_stream(container: Any, max_megapixels: float) -> Any:
    """The first video stream that is no cover art; raises UnsupportedMedia without a fit one."""
    for stream in container.streams.video:
        if is_picture_track(stream) and stream.codec_context is not None:
            check_size(stream.width, stream.height, max_megapixels)
            return stream
    raise UnsupportedMedia("has no video stream that can be decoded; treat it as sound.")


def square_size(stream: Any) -> tuple[int, int]:
    """Width and height of the stream's pictures with square pixels, before turning."""
    aspect = float(stream.sample_aspect_ratio or 1) or 1.0
    if not 1 / STRANGEST_ASPECT < aspect < STRANGEST_ASPECT:
        aspect = 1.0
    return max(1, round(stream.width * aspect)), max(1, stream.height)


def upright(picture: NDArray[Any], frame: VideoFrame) -> NDArray[Any]:
    """The picture as the frame's display matrix wants it to be seen."""
    turns, mirrored = turning(frame)
    return turn(picture, turns, mirrored) if turns or mirrored else picture


def turning(frame: VideoFrame) -> tuple[int, bool]:
    """Quarter turns counter-clockwise, and whether to mirror left to right before them."""
    matrix: Any = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return 0, False
    a, b, _, c, d = struct.unpack("=5i", bytes(matrix)[:20])
    mirrored = a * d - b * c < 0
    if mirrored:  # what is left to do once x has become -x
        a, b = -a, -b
    turns = {(1, 0): 0, (0, 1): 3, (-1, 0): 2, (0, -1): 1}
    return turns.get((_sign(a), _sign(b)), 0), mirrored


def _sign(value: int) -> int:
    return (value > 0) - (value < 0)
