"""From a decoded video frame to a picture: reduced, upright, square pixels, HDR toned down.

`take` is cheap and done for every candidate: it measures a reduced luma and keeps the frame as
decoded (0.3 ms against 3 ms to reduce one of 1080 lines well). `finish` is done for those that are
kept.
"""

import struct
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from av import VideoFrame
from numpy.typing import NDArray

from dam_pipeline.errors import UnsupportedMedia
from dam_pipeline.media.candidates import Candidate
from dam_pipeline.media.glances import Glance, GlanceTaker, plane_of
from dam_pipeline.media.graphs import Shrink
from dam_pipeline.media.pictures import Luma, Picture, check_size, fit, thumb_of_glance, turn
from dam_pipeline.media.streams import is_picture_track
from dam_pipeline.media.tone import HLG, PQ, tone_map

MEASURED_PX = 640  # frames without a plane of luma are measured at this size
BANDS, BAND_LINES = 8, 16  # sharpness is measured in these, at half size: a quarter of 720 lines
HELD_BYTES = 4 << 20  # a larger frame is reduced at once: some ten wait for the end of a transition
HD_LINES = 720  # untagged pictures of so many lines are BT.709, smaller ones BT.601
STRANGEST_ASPECT = 10  # of a pixel; beyond, the file's word is taken for an error
FULL_RANGE = 2  # AVColorRange


@dataclass(frozen=True, slots=True)
class Taken:
    """A frame as coded, reduced if it is large; `turns` and `is_mirrored` make it upright."""

    frame: VideoFrame
    turns: int
    is_mirrored: bool


class FrameTaker:
    """Takes reduced pictures from the frames of one stream, at most `px` on the long side."""

    def __init__(self, stream: Any, px: int) -> None:
        base, square = stream.time_base, square_size(stream)
        size = fit(*square, px)
        matrix = "bt709" if stream.height >= HD_LINES else ""
        measured = fit(*square, MEASURED_PX)
        self._glances = GlanceTaker(stream)
        self._measured = Shrink(base, measured, "yuv420p", "fast_bilinear")
        self._plain = Shrink(base, size, "yuv420p", "bilinear")
        self._deep = Shrink(base, size, "yuv420p10le", "bilinear")
        self._rgb = Shrink(base, size, "rgb24", "bilinear", matrix)
        self._deep_rgb = Shrink(base, size, "rgb48le", "bilinear")

    def glance(self, frame: VideoFrame) -> Glance:
        """The frame's glance."""
        return self._glances.take(frame)

    def small(self) -> NDArray[np.uint8]:
        """What was glanced at last, in BGR, not turned, its proportions not kept."""
        return self._glances.coloured()

    def take(self, frame: VideoFrame, time_s: float, glance: Glance | None = None) -> Candidate:
        """A candidate whose picture is a `Taken`, measured as coded."""
        if glance is None:
            glance = self.glance(frame)
        moment = _in_full_range(glance[..., 0], frame)
        turns, is_mirrored = turning(frame)
        held = frame
        if sum(plane.buffer_size for plane in frame.planes) > HELD_BYTES:
            is_hdr = frame.color_trc in (PQ, HLG)
            held = (self._deep if is_hdr else self._plain).one(frame)
        return Candidate(
            time_s=time_s,
            thumb=thumb_of_glance(glance),
            sharpness=self._sharpness(frame),
            exposure=float(moment.mean()) / 255,
            contrast=float(moment.std()) / 255,
            picture=Taken(held, turns, is_mirrored),
            moment=moment,
        )

    def _sharpness(self, frame: VideoFrame) -> float:
        """Variance of the Laplacian in bands of the frame, at half size against noise."""
        layout = frame.format
        if not layout.name.startswith("yuv") or not layout.is_planar or layout.is_big_endian:
            frame = self._measured.one(frame)
        luma = plane_of(frame, 0)
        step = max(1, luma.shape[0] // BANDS)
        bands = [luma[top : top + BAND_LINES] for top in range(0, luma.shape[0], step)]
        return sum(_edges(band) for band in bands) / len(bands)

    def finish(self, taken: Taken) -> Picture:
        """The taken frame upright, as an SDR screen shows it."""
        transfer = taken.frame.color_trc
        if transfer in (PQ, HLG):
            deep = np.asarray(self._deep_rgb.one(taken.frame).to_ndarray(), dtype=np.uint16)
            picture = tone_map(deep, transfer)
        else:
            picture = np.asarray(self._rgb.one(taken.frame).to_ndarray(), dtype=np.uint8)
        return turn(picture, taken.turns, taken.is_mirrored)


def _in_full_range(luma: Luma, frame: VideoFrame) -> Luma:
    if frame.color_range == FULL_RANGE:
        return np.ascontiguousarray(luma)
    return np.asarray(cv2.convertScaleAbs(luma, alpha=255 / 219, beta=-16 * 255 / 219))


def _edges(luma: NDArray[Any]) -> float:
    """Variance of the Laplacian at half size, in levels of 8 bits."""
    height, width = luma.shape
    half = cv2.resize(luma, (max(1, width // 2), max(1, height // 2)), interpolation=cv2.INTER_AREA)
    if half.dtype != np.uint8:
        half = cv2.convertScaleAbs(half, alpha=0.25)
    _, deviation = cv2.meanStdDev(cv2.Laplacian(half, cv2.CV_16S))
    return float(deviation[0, 0]) ** 2


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
