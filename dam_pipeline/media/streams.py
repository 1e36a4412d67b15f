"""Reading one stream of a file through PyAV: opening safely, times, tolerance of damage.

The file's time axis begins where its first stream begins, or with the first picture if that comes
within `PRIMING_S`: what sounds before is the padding of an encoder. Times are always PTS.
"""

import os
from collections.abc import Callable, Iterator
from typing import Any

import av
from av.container import InputContainer
from av.error import FFmpegError

from dam_pipeline.errors import MediaError, UnreadableMedia
from dam_pipeline.media.access import AGAIN, address_of, is_window
from dam_pipeline.media.formats import DEMUXERS, PROTOCOLS, WINDOW_PROTOCOLS

PRIMING_S = 0.25
MOST_THREADS = 8  # frame threads hold a picture each: 8 of 4K 10-bit are 200 MB
LEAD_IN_S = 1.0  # broadcasts begin between key frames; what cannot be decoded so early is no damage
FAILURES_IN_A_ROW = 200  # packets; after so many without a frame the rest is given up
WITHOUT_PTS = ("avi", "h264", "hevc", "m4v", "mpegvideo", "vc1")  # guesses come frames too late
OPTIONS = {
    "protocol_whitelist": PROTOCOLS,
    "format_whitelist": DEMUXERS,
    "enable_drefs": "0",
    "use_absolute_path": "0",
}
OF_A_WINDOW = {"protocol_whitelist": WINDOW_PROTOCOLS, "http_proxy": ""}


def open_container(path: str) -> InputContainer:
    """Open a local media file, or a window on one, and nothing else; raises UnreadableMedia."""
    try:
        return av.open(
            address_of(path),
            mode="r",
            options=OPTIONS | (OF_A_WINDOW if is_window(path) else {}),
            metadata_errors="replace",
        )
    except FFmpegError as error:
        raise unreadable(error) from error
    except ValueError as error:
        raise UnreadableMedia(f"cannot be opened ({error}). Rename the file.") from error


def unreadable(error: FFmpegError) -> MediaError:
    """The error that ffmpeg's one is for a person."""
    return UnreadableMedia(
        f"cannot be read ({reason_of(error)}): it is damaged, cut short, or is not what its name "
        f"says. {AGAIN}"
    )


def reason_of(error: FFmpegError) -> str:
    """ffmpeg's words without the file's name."""
    return error.strerror or type(error).__name__


def is_picture_track(stream: Any) -> bool:
    """Whether a video stream is one: cover art is not."""
    return not stream.disposition & av.stream.Disposition.attached_pic


def origin_s(container: InputContainer) -> float:
    """Where the file's axis begins, in the container's own time."""
    starts = [float(s.start_time * s.time_base) for s in _timed(container)]
    pictures = [
        float(s.start_time * s.time_base)
        for s in _timed(container)
        if s.type == "video" and is_picture_track(s)
    ]
    first = min(starts, default=0.0)
    return pictures[0] if pictures and pictures[0] - first <= PRIMING_S else first


def announced_s(container: InputContainer, stream: Any) -> float | None:
    """How long the pictures last by the container's word; None when it does not say.

    Of a file with sound, the container's own duration may be the sound's: it is not used then.
    """
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    tag = stream.metadata.get("DURATION", "")
    parts = tag.split(":")
    if len(parts) == 3:
        try:
            hours, minutes, seconds = (float(p) for p in parts)
        except ValueError:
            return None
        return hours * 3600 + minutes * 60 + seconds - _start_s(stream)
    if len(container.streams) == 1 and container.duration:
        return container.duration / 1e6
    return None


def _start_s(stream: Any) -> float:
    return float((stream.start_time or 0) * stream.time_base)


def _timed(container: InputContainer) -> list[Any]:
    return [
        s
        for s in container.streams
        if s.type in ("video", "audio") and s.start_time is not None and s.time_base
    ]


class StreamReader:
    """Frames of one stream with their times on the file's axis, past damage where it can be.

    `trouble` holds ffmpeg's words on the first damage, or is empty; `read_s` the end of the last
    frame. `on_packet(share)` is called with the share of the file that has been read (0–1).
    """

    def __init__(
        self, container: InputContainer, stream: Any, on_packet: Callable[[float], None]
    ) -> None:
        self._container = container
        self._stream = stream
        self._on_packet = on_packet
        self._failures = 0
        self._has_guessed_times = container.format.name in WITHOUT_PTS
        self._size = max(1, container.size)
        self._guess_s = 1 / float(stream.average_rate or 25) if stream.type == "video" else 0.0
        self.origin_s = origin_s(container)
        self.trouble = ""
        self.read_s = 0.0
        self.frames_read = 0
        stream.thread_type = "AUTO"
        stream.codec_context.thread_count = min(os.cpu_count() or 1, MOST_THREADS)

    def frames(self) -> Iterator[tuple[float, float, Any]]:
        """(time_s, duration_s, frame) of every frame that can be decoded."""
        for packet in self._packets():
            for frame in self._decode(packet):
                yield (*self._times(frame), frame)
            if self._failures > FAILURES_IN_A_ROW:
                break
        for frame in self._decode(None):
            yield (*self._times(frame), frame)

    def time_of(self, frame: Any) -> float:
        """When the frame is shown; one without a time follows the frame before it."""
        base = frame.time_base or self._stream.time_base
        if frame.pts is None or base is None:
            return self.read_s
        return frame.pts * float(base) - self.origin_s

    def _times(self, frame: Any) -> tuple[float, float]:
        base = frame.time_base or self._stream.time_base
        duration_s = frame.duration * float(base) if frame.duration and base else self._guess_s
        if self._has_guessed_times and not self.frames_read and self._stream.type == "video":
            self.origin_s += self.time_of(frame)
        time_s = self.time_of(frame)
        if not self.frames_read and time_s <= LEAD_IN_S:
            self.trouble = ""
        self.frames_read += 1
        self.read_s = max(self.read_s, time_s + duration_s)
        return time_s, duration_s

    def _packets(self) -> Iterator[Any]:
        """Packets of the stream; a failed read is tried again a few times, further on."""
        failures = 0
        packets = self._container.demux(self._stream)
        while failures < 3:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except FFmpegError as error:
                self._note(error)
                failures += 1
                packets = self._container.demux(self._stream)
                continue
            if packet.size:
                failures = 0
                self._on_packet((packet.pos or 0) / self._size)
                yield packet

    def _decode(self, packet: Any) -> list[Any]:
        try:
            frames = self._stream.decode(packet)
        except FFmpegError as error:
            if not isinstance(error, EOFError):
                self._note(error)
                self._failures += 1
            return []
        whole = [frame for frame in frames if not frame.is_corrupt]
        if len(whole) < len(frames) and not self.trouble:
            self.trouble = "damaged frames were left out"
        if whole:
            self._failures = 0
        return whole

    def _note(self, error: FFmpegError) -> None:
        if isinstance(error, MemoryError):
            raise error
        self.trouble = self.trouble or reason_of(error)

    def partial(self, duration_s: float) -> str:
        """Why and where reading ended early, or an empty string; `duration_s` as announced."""
        missing_s = duration_s - self.read_s
        if not self.trouble and missing_s <= max(1.0, 0.05 * duration_s):
            return ""
        total_s = max(duration_s, self.read_s)
        why = self.trouble or "the file ends early"
        return f"read {self.read_s:.1f} of {total_s:.1f} s: {why}"
