"""What ffprobe says of a file's container and streams, through ffmpeg-python, as typed facts."""

import itertools
import os
import signal
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import ffmpeg

from dam_pipeline.errors import ConfigurationError, UnreadableMedia
from dam_pipeline.media.access import AGAIN, address_of, is_window
from dam_pipeline.media.formats import DEMUXERS, PROTOCOLS, WINDOW_PROTOCOLS

TIMEOUT_S = 60.0
OF_A_WINDOW = {
    "protocol_whitelist": WINDOW_PROTOCOLS,
    "http_proxy": "",
    "recv_buffer_size": "131072",
}
PACKETS = 300  # whose times tell a variable frame rate, in files that are read whole anyway
PACKETS_OF_LARGE = 48  # packets of a mezzanine codec are megabytes each
LARGE_BYTES = 64 << 20
HDR_TRANSFERS = ("smpte2084", "arib-std-b67")
INTERLACED = ("tt", "bb", "tb", "bt")
RATE_TOLERANCE = 0.05  # between a stream's average and its nominal rate
FASTEST_RATE = 240.0  # a nominal rate above it is the clock's: of frames at their own times
RGB = ("rgb", "bgr", "gbr", "argb", "abgr", "0rgb", "0bgr", "x2rgb", "x2bgr", "pal8")
STEP_TOLERANCE_S = 0.0025  # Matroska's milliseconds make steps of 33 and 34

Stream = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Container:
    """Typed facts of a container; names as in `records.Probe`."""

    name: str
    duration_s: float
    width: int
    height: int
    rotation_deg: int
    frame_rate: float
    is_variable_frame_rate: bool
    codecs: tuple[str, ...]
    pixel_format: str | None
    bit_depth: int | None
    colour_transfer: str | None
    colour_primaries: str | None
    is_interlaced: bool
    timecode: str | None
    video_streams: int
    audio_streams: int
    audio_channels: int
    sample_rate_hz: int
    created: str | None
    title: str | None
    raw: Mapping[str, Any]

    @property
    def is_hdr(self) -> bool:
        """Whether the light is coded for an HDR screen (PQ or HLG)."""
        return self.colour_transfer in HDR_TRANSFERS

    @property
    def lag_s(self) -> float:
        """How much later than the recording its pictures begin, where that is less than a frame; else 0."""
        starts = [
            s.get("start_time") for s in self.raw["streams"] if s.get("codec_type") == "video"
        ]
        lag_s = _number(starts[0] if starts else 0) - _number(self.raw["format"].get("start_time"))
        return lag_s if 0 < lag_s * self.frame_rate < 1 else 0.0

    @property
    def is_rgb(self) -> bool:
        """Whether the pixels are red, green and blue, not luma and chroma."""
        return (self.pixel_format or "").startswith(RGB)

    @property
    def is_timed_by_frame(self) -> bool:
        """Whether the nominal rate is a clock's, at which frames must not be repeated."""
        picture = _picture(self.raw["streams"])
        nominal = _rate(picture.get("r_frame_rate"))
        return nominal > max(FASTEST_RATE, _rate(picture.get("avg_frame_rate")) * 1.1)

    @property
    def sample_aspect(self) -> str:
        """Width to height of an upright pixel, as `4/3`; `1` for square ones."""
        sides = str(_picture(self.raw["streams"]).get("sample_aspect_ratio", "1:1")).split(":")
        if "0" in sides or len(set(sides)) == 1:
            return "1"
        return "/".join(reversed(sides) if self.rotation_deg % 180 else sides)

    @property
    def picture_duration_s(self) -> float:
        """How long the pictures last, which sound may outlast; 0 where that is not told."""
        picture = _picture(self.raw["streams"])
        hours, _, rest = (_tag([picture], "duration") or "").partition(":")  # as Matroska has it
        minutes, _, seconds = rest.partition(":")
        told_s = _number(hours) * 3600 + _number(minutes) * 60 + _number(seconds)
        return _number(picture.get("duration")) or told_s

    @property
    def picture_tag(self) -> str:
        """The four letters by which the container calls the codec of the pictures."""
        return str(_picture(self.raw["streams"]).get("codec_tag_string", ""))


class ContainerReader:
    """Runs ffprobe, with an end to waiting: `ffmpeg.probe` has none of its own."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="ffprobe")

    def close(self) -> None:
        """End the thread."""
        self._pool.shutdown()

    def start(self, path: str | Path, size_bytes: int) -> "Future[dict[str, Any]]":
        """Begin to probe a local file or a window on one; `finish` has the outcome."""
        packets = PACKETS if size_bytes <= LARGE_BYTES else PACKETS_OF_LARGE
        return self._pool.submit(_ffprobe, path, packets)

    def finish(self, future: "Future[dict[str, Any]]") -> Container:
        """The facts; raises UnreadableMedia, ConfigurationError."""
        try:
            document = future.result(TIMEOUT_S)
        except FutureTimeout as error:
            _end_children()
            raise UnreadableMedia(
                f"kept ffprobe busy for more than {TIMEOUT_S:g} s, and it was stopped. Look at the "
                "file in a player."
            ) from error
        except ffmpeg.Error as error:
            raise UnreadableMedia(
                f"cannot be read ({_words(error)}): it is damaged, cut short, or is not what its "
                f"name says. {AGAIN}"
            ) from error
        except FileNotFoundError as error:
            raise ConfigurationError(
                "ffprobe is not installed. Install ffmpeg (Debian: ffmpeg)."
            ) from error
        except ValueError as error:
            raise UnreadableMedia(
                f"got an answer from ffprobe that makes no sense ({error}). Look at it in a player."
            ) from error
        return facts_of(document)


_threads: set[int] = set()  # kernel ids of the threads that run ffprobe


def _ffprobe(path: str | Path, packets: int) -> dict[str, Any]:
    _threads.add(threading.get_native_id())
    document: dict[str, Any] = ffmpeg.probe(
        address_of(path),
        v="error",
        **(OF_A_WINDOW if is_window(path) else {"protocol_whitelist": PROTOCOLS}),
        format_whitelist=DEMUXERS,
        read_intervals=f"%+#{packets}",
        show_entries="packet=stream_index,pts_time",
    )
    return document


def _end_children() -> None:
    """Kill the ffprobe of a thread that is waited for in vain (Linux)."""
    for thread in _threads:
        try:
            children = Path(f"/proc/self/task/{thread}/children").read_text().split()
        except OSError:
            continue
        for child in children:
            os.kill(int(child), signal.SIGKILL)


def _words(error: Any) -> str:
    """The last line that ffprobe wrote, without the file's name."""
    lines = (error.stderr or b"").decode("utf-8", "replace").strip().splitlines()
    return lines[-1].rpartition(": ")[2] if lines else "no reason given"


def facts_of(document: Mapping[str, Any]) -> Container:
    """Typed facts of ffprobe's JSON with format, streams and the first packets."""
    streams: Sequence[Stream] = document.get("streams") or ()
    container: Stream = document.get("format") or {}
    pictures = _pictures(streams)
    sounds = [s for s in streams if s.get("codec_type") == "audio" and _is_usable(s)]
    picture: Stream = pictures[0] if pictures else {}
    marked = [s for s in sounds if (s.get("disposition") or {}).get("default")]
    sound: Stream = [*marked, *sounds, {}][0]
    rotation_deg = _rotation_deg(picture)
    size = (_integer(picture.get("width")), _integer(picture.get("height")))
    width, height = size[::-1] if rotation_deg % 180 else size
    return Container(
        name=str(container.get("format_name", "")),
        duration_s=_duration_s(container, streams),
        width=width,
        height=height,
        rotation_deg=rotation_deg,
        frame_rate=_frame_rate(picture, document.get("packets") or ()),
        is_variable_frame_rate=_is_variable(picture, document.get("packets") or ()),
        codecs=tuple(dict.fromkeys(str(s["codec_name"]) for s in [*pictures, *sounds])),
        pixel_format=picture.get("pix_fmt"),
        bit_depth=_bit_depth(picture) if picture else None,
        colour_transfer=_known(picture.get("color_transfer")),
        colour_primaries=_known(picture.get("color_primaries")),
        is_interlaced=_is_interlaced(picture),
        timecode=_tag([*pictures, container, *streams], "timecode"),
        video_streams=len(pictures),
        audio_streams=len(sounds),
        audio_channels=_integer(sound.get("channels")),
        sample_rate_hz=_integer(sound.get("sample_rate")),
        created=_tag([container, *streams], "com.apple.quicktime.creationdate")
        or _tag([container, *streams], "creation_time"),
        title=_tag([container], "title"),
        raw={"streams": list(streams), "format": _placeless(container)},
    )


def _pictures(streams: Sequence[Stream]) -> list[Stream]:
    return [s for s in streams if s.get("codec_type") == "video" and _is_usable(s)]


def _picture(streams: Sequence[Stream]) -> Stream:
    return next(iter(_pictures(streams)), {})


def _is_interlaced(stream: Stream) -> bool:
    """Whether frames are made of fields; DV outside of QuickTime says so in its frames only."""
    declared = stream.get("field_order", "unknown")
    is_dv = stream.get("codec_name") == "dvvideo" and stream.get("height") != 720
    return declared in INTERLACED or (is_dv and declared == "unknown")


def _is_usable(stream: Stream) -> bool:
    """Whether the stream can be decoded and is no cover art."""
    known = stream.get("codec_name", "unknown") not in ("unknown", "none")
    return known and not (stream.get("disposition") or {}).get("attached_pic")


def _placeless(container: Stream) -> dict[str, Any]:
    return {name: value for name, value in container.items() if name != "filename"}


def _rotation_deg(stream: Stream) -> int:
    """Clockwise turn that makes the picture upright; ffprobe counts counter-clockwise."""
    for side_data in stream.get("side_data_list") or ():
        if "rotation" in side_data:
            return round(-float(side_data["rotation"]) / 90) * 90 % 360
    return 0


def _duration_s(container: Stream, streams: Sequence[Stream]) -> float:
    declared = _number(container.get("duration"))
    return declared or max((_number(s.get("duration")) for s in streams), default=0.0)


def _times_s(stream: Stream, packets: Sequence[Stream]) -> list[float]:
    """When the first frames are shown, but the last: those still to be reordered leave holes there."""
    return sorted(
        float(p["pts_time"])
        for p in packets
        if p.get("stream_index") == stream.get("index") and p.get("pts_time") is not None
    )[:-4]


def _frame_rate(stream: Stream, packets: Sequence[Stream]) -> float:
    """Frames a second: those declared, else as the first frames come; 0 where neither is known."""
    average, nominal = _rate(stream.get("avg_frame_rate")), _rate(stream.get("r_frame_rate"))
    if average or nominal <= FASTEST_RATE:
        return average or nominal
    times = _times_s(stream, packets)
    return (len(times) - 1) / (times[-1] - times[0]) if len(set(times)) > 1 else 0.0


def _is_variable(stream: Stream, packets: Sequence[Stream]) -> bool:
    """Whether frames come at unequal steps, by the first packets and by the two rates."""
    if not stream:
        return False
    times = _times_s(stream, packets)
    steps = sorted(b - a for a, b in itertools.pairwise(times))
    if len(steps) >= 3:
        middle_s = steps[len(steps) // 2]
        if steps[-2] - middle_s > max(STEP_TOLERANCE_S, 0.1 * middle_s):
            return True
        if middle_s - steps[1] > max(STEP_TOLERANCE_S, 0.1 * middle_s):
            return True
    average, nominal = _rate(stream.get("avg_frame_rate")), _rate(stream.get("r_frame_rate"))
    if not average or not nominal or stream.get("field_order") in INTERLACED:
        return False
    few = _integer(stream.get("nb_frames")) or len(times)
    return few > 10 and abs(average - nominal) > RATE_TOLERANCE * nominal


def _bit_depth(stream: Stream) -> int:
    declared = _integer(stream.get("bits_per_raw_sample"))
    if declared:
        return declared
    pixel_format = str(stream.get("pix_fmt", ""))
    for bits in (16, 14, 12, 10, 9):
        if pixel_format.endswith((f"{bits}le", f"{bits}be", f"p0{bits}")):
            return bits
    return 8


def _tag(holders: Sequence[Stream], name: str) -> str | None:
    for holder in holders:
        for key, value in (holder.get("tags") or {}).items():
            if key.lower() == name and str(value).strip():
                return str(value).strip()
    return None


def _known(value: Any) -> str | None:
    return None if value in (None, "", "unknown", "reserved") else str(value)


def _rate(value: Any) -> float:
    try:
        return float(Fraction(str(value)))
    except (ValueError, ZeroDivisionError):
        return 0.0


def _number(value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return 0.0
    return number if 0 <= number < 1e9 else 0.0


def _integer(value: Any) -> int:
    return int(_number(value))
