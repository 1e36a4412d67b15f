"""Recordings made into another form by ffmpeg: streams kept in another container, or encoded anew.

The same recording and the same `Encoding` give the same bytes: no dates and no versions get into the
file, and encoders run with as many threads everywhere. Only the first picture stream and the sound
come along; descriptions do not, `exif_writer` writes those.
"""

import ctypes
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from dam_pipeline.errors import ConfigurationError, DamError, DiskFull, UnreadableMedia
from dam_pipeline.media.access import address_of
from dam_pipeline.media.formats import DEMUXERS, PROTOCOLS

THREADS = 4  # x264 gives other bytes with another number
PR_SET_PDEATHSIG = 1  # linux/prctl.h
LONGEST_WORDS = 300
CHATTER = ("x265 [", "encoded ")  # of encoders that do not keep to `-v`
QUIET = ("ffmpeg", "-nostdin", "-v", "error", "-progress", "pipe:1", "-stats_period", "0.5")
EXACT = ("-fflags", "+bitexact", "-flags:v", "+bitexact", "-flags:a", "+bitexact")
BARE = ("-map_metadata", "-1", "-map_chapters", "-1", "-dn", "-sn")

_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None

# As `media.tone` shows it: 203 cd/m² are white (BT.2408), light up to 0.8 of that stays as it is.
REC_709 = (
    "setparams=color_primaries=bt2020:color_trc={hdr}:colorspace=bt2020nc,"
    "zscale=tin={hdr}:pin=2020:min=2020_ncl:t=linear:npl=203,format=gbrpf32le,zscale=p=709,"
    "tonemap=mobius:param=0.8:desat=0,zscale=t=709:m=709:r=limited,format={form}"
)

LUMA_AND_CHROMA = ("yuv", "nv", "p0", "p2")  # beginnings of ffmpeg's pixel formats
RGB_IN_REC_709 = (
    "scale=out_color_matrix=bt709:out_range=tv,format={form},"
    "setparams=range=tv:color_primaries=bt709:color_trc=bt709:colorspace=bt709"
)

AT_ITS_TIMES = ("-enc_time_base:v", "-1")  # else two frames of unequal steps may fall together

OnShare = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Encoding:
    """What a recording is made into; zero or empty means as it is.

    `codec` and `audio_codec` are ffmpeg's names of encoders (empty: the stream is kept), `options`
    its further arguments, sizes pixels upright. With `is_cut` lines too many are cut off, not scaled.
    `hdr` is ffmpeg's name of the source's transfer (`smpte2084`, `arib-std-b67`) where HDR in BT.2020 is
    to become Rec. 709; `is_interlaced` has whole pictures made of fields, at the same rate; with
    `is_flagged` only of frames that say they are fields. Where the source `is_rgb`, it becomes Rec. 709;
    where it `is_timed_by_frame`, frames keep their times. `sample_aspect` is that of its pixels, upright,
    and stays. `tag` is what the container is to call the codec.
    `lag_s` is how much later than the sound the pictures of the source begin, where that is less than
    a frame: the sound begins with them then, as ffmpeg would show the first picture twice.
    """

    codec: str = ""
    pixel_format: str = ""
    options: tuple[str, ...] = ()
    audio_codec: str = ""
    width: int = 0
    height: int = 0
    frame_rate: float = 0.0
    is_cut: bool = False
    is_interlaced: bool = False
    is_flagged: bool = False
    is_rgb: bool = False
    is_timed_by_frame: bool = False
    sample_aspect: str = "1"
    tag: str = ""
    hdr: str = ""
    lag_s: float = 0.0
    drop_audio: bool = False
    timecode: str = ""


def encode(
    source: Path,
    target: Path,
    wanted: Encoding,
    *,
    duration_s: float,
    stall_s: float,
    on_share: OnShare,
) -> str:
    """Write `target`, whose suffix names the container; returns what ffmpeg found wrong with the source.

    `on_share` gets how much is done (0-1); what it raises ends ffmpeg. Raises UnreadableMedia when
    ffmpeg fails or is silent for `stall_s`, DiskFull, ConfigurationError without ffmpeg.
    """
    arguments = [*_input(source), *_arguments(wanted), *EXACT, "-y", f"file:{target.absolute()}"]
    return _run(arguments, source, duration_s, stall_s, on_share)


def decode_whole(path: Path, *, duration_s: float, stall_s: float, on_share: OnShare) -> None:
    """Decode all of a recording; raises UnreadableMedia at the first thing that is wrong."""
    words = _run(
        [*_input(path), *AT_ITS_TIMES, "-f", "null", "-"], path, duration_s, stall_s, on_share
    )
    if words:
        raise UnreadableMedia(f"{path.name} does not decode without errors ({words}).")


def rate_text(rate: float) -> str:
    """A frame rate as a fraction that ffmpeg takes exactly: 29.97 is 30000/1001."""
    of_film = rate * 1.001
    if abs(rate - round(rate)) > 1e-3 and abs(of_film - round(of_film)) < 5e-3:
        return f"{round(of_film) * 1000}/1001"
    return f"{rate:g}"


def _input(source: Path) -> list[str]:
    white_lists = ("-protocol_whitelist", PROTOCOLS, "-format_whitelist", DEMUXERS)
    return [*QUIET, *white_lists, "-i", address_of(source)]


def _arguments(wanted: Encoding) -> Iterator[str]:
    yield from ("-map", "0:V:0?", *BARE)
    if wanted.codec:
        yield from ("-c:v", wanted.codec, "-threads", str(THREADS), *_filters(wanted))
        if wanted.pixel_format:
            yield from ("-pix_fmt", wanted.pixel_format)
    else:
        yield from ("-c:v", "copy")
    if wanted.tag:
        yield from ("-tag:v", wanted.tag)
    if wanted.drop_audio:
        yield "-an"
    else:
        yield from ("-map", "0:a:u?", "-c:a", wanted.audio_codec or "copy")
        if _begins_anew(wanted):
            yield from ("-af", f"atrim=start={wanted.lag_s:.6f},asetpts=PTS-STARTPTS")
    if wanted.timecode:
        yield from ("-timecode", wanted.timecode)
    yield from wanted.options


def _filters(wanted: Encoding) -> Iterator[str]:
    if wanted.frame_rate:
        yield from ("-r", rate_text(wanted.frame_rate))
    elif wanted.is_timed_by_frame:
        yield from ("-fps_mode", "vfr")
    filters = ["setpts=PTS-STARTPTS"] if _begins_anew(wanted) else []
    if wanted.is_interlaced:
        which = "interlaced" if wanted.is_flagged else "all"
        filters.append(f"bwdif=mode=send_frame:deint={which}")
    filters += [_toned(wanted)] if wanted.hdr else []
    if wanted.width and wanted.height:
        size = f"{wanted.width}:{wanted.height}"
        fit = f"crop={size}:0:0" if wanted.is_cut else f"scale={size}:flags=lanczos"
        filters += [fit, f"setsar={wanted.sample_aspect}"]
    if _leaves_rgb(wanted):
        filters.append(RGB_IN_REC_709.format(form=wanted.pixel_format))
    if filters:
        yield from ("-vf", ",".join(filters))


def _leaves_rgb(wanted: Encoding) -> bool:
    """Whether RGB becomes luma and chroma, for which ffmpeg would take BT.601, and not say so."""
    return wanted.is_rgb and not wanted.hdr and wanted.pixel_format.startswith(LUMA_AND_CHROMA)


def _toned(wanted: Encoding) -> str:
    return REC_709.format(hdr=wanted.hdr, form=wanted.pixel_format or "yuv420p")


def _begins_anew(wanted: Encoding) -> bool:
    is_sound_free = wanted.drop_audio or bool(wanted.audio_codec)
    return bool(wanted.codec) and wanted.lag_s > 0 and is_sound_free


def _run(
    arguments: Sequence[str], source: Path, duration_s: float, stall_s: float, on_share: OnShare
) -> str:
    """Run ffmpeg to its end; returns its last complaint."""
    with tempfile.TemporaryFile() as complaints:
        process = _started(arguments, complaints)
        try:
            _follow(process, source, duration_s, stall_s, on_share)
            code = process.wait()
        except BaseException:
            process.kill()
            raise
        finally:
            process.wait()
            if process.stdout:
                process.stdout.close()
        complaints.seek(0)
        words = _last_words(complaints.read())
    if code:
        raise _failure(source, words or f"exit status {code}")
    return words


def _started(arguments: Sequence[str], complaints: IO[bytes]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            arguments,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=complaints,
            preexec_fn=_die_with_parent,
        )
    except FileNotFoundError as error:
        raise ConfigurationError("ffmpeg is not installed. Install it (Debian: ffmpeg).") from error


def _die_with_parent() -> None:
    """Have the kernel end ffmpeg with us: else it would write on after a kill (Linux)."""
    if _LIBC is not None:
        _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _follow(
    process: subprocess.Popen[bytes],
    source: Path,
    duration_s: float,
    stall_s: float,
    on_share: OnShare,
) -> None:
    """Read what ffmpeg tells of its progress until it ends."""
    pipe = process.stdout
    if pipe is None:
        return
    reached_s, changed_s, unread = 0.0, time.monotonic(), b""
    with selectors.DefaultSelector() as pipes:
        pipes.register(pipe, selectors.EVENT_READ)
        while True:
            if pipes.select(1.0):
                piece = os.read(pipe.fileno(), 1 << 16)
                if not piece:
                    return
                *lines, unread = (unread + piece).split(b"\n")
                latest_s = max([reached_s, *map(_time_s, lines)])
                is_over = b"progress=end" in lines
                if latest_s > reached_s or is_over:
                    reached_s = max(latest_s, duration_s) if is_over else latest_s
                    changed_s = time.monotonic()
                    on_share(min(1.0, reached_s / duration_s) if duration_s else 0.0)
            if time.monotonic() - changed_s > stall_s:
                raise UnreadableMedia(
                    f"{source.name}: ffmpeg made no progress for {stall_s:g} s and was stopped. "
                    "Look at the file in a player; DAM_DECODER_STALL_S is the limit."
                )


def _time_s(line: bytes) -> float:
    name, _, value = line.partition(b"=")
    number = value.strip().removeprefix(b"-")
    return int(number) / 1e6 if name == b"out_time_us" and number.isdigit() else 0.0


def _last_words(complaints: bytes) -> str:
    lines = [one.strip() for one in complaints.decode("utf-8", "replace").splitlines()]
    told = [one for one in lines if one and not one.startswith(CHATTER)]
    return told[-1][:LONGEST_WORDS] if told else ""


def _failure(source: Path, words: str) -> DamError:
    if "No space left" in words:
        return DiskFull(f"No room left for what is made of {source.name}. Free some space.")
    return UnreadableMedia(f"{source.name}: ffmpeg cannot make the deliverable ({words}).")
