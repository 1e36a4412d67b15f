"""Drawn clips: frames by arithmetic, encoded by ffmpeg, the same bytes each time on one machine.

Here belong frames over time and the encoder's arguments. Speech comes from `speech`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from dam_pipeline.samples.contents import SampleFile, Shown
from dam_pipeline.samples.drawing import lay_out, paint
from dam_pipeline.samples.tools import run_tool

SIZE, FRAME_RATE = (640, 360), 24
# Small and slow, so that minutes are drawn in seconds.
LONG_SIZE, LONG_FRAME_RATE = (320, 180), 5
FADE_S = 1.5
"""How long something takes to come into view or to leave it, so that its coming is no cut."""

DRIFT_PER_S = (0.03, 0.015)
"""How far shapes move in a second, in short sides of the picture."""

TONE = ("-f", "lavfi", "-i", "sine=frequency=220:sample_rate=48000")
SILENCE = ("-f", "lavfi", "-i", "anullsrc=channel_layout=stereo:sample_rate=48000")

_FFMPEG = ("ffmpeg", "-hide_banner", "-loglevel", "error", "-y")
# One thread and no version strings: the same input gives the same bytes.
_EXACT = ("-threads", "1", "-fflags", "+bitexact", "-flags:v", "+bitexact", "-flags:a", "+bitexact")
_PICTURE = ("-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p")
_SOUND = ("-c:a", "aac", "-b:a", "96k")


def write_cuts(sample: SampleFile, target: Path, sound: Sequence[str] = ()) -> None:
    """Write the scenes of a sample cut to cut; `sound` holds ffmpeg's arguments of an input."""
    frames = (frame for shown in sample.shown for frame in _moving(shown))
    _encode(frames, SIZE, FRAME_RATE, sample.duration_s, target, sound)


def write_watch(sample: SampleFile, target: Path) -> None:
    """Write one uncut take of an empty background into which the scenes of a sample fade."""
    _encode(_coming_and_going(sample), LONG_SIZE, LONG_FRAME_RATE, sample.duration_s, target)


def write_web_copy(original: Path, target: Path) -> None:
    """Write a clip again as a site would: a tenth cropped away, smaller, coarser."""
    picture = ("-vf", "crop=iw*0.9:ih*0.9,scale=480:270", *_PICTURE, "-crf", "33")
    sound = ("-c:a", "aac", "-b:a", "48k")
    run_tool(*_FFMPEG, "-i", str(original), *picture, *sound, *_EXACT, str(target))


def _moving(shown: Shown) -> Iterator[np.ndarray]:
    layout = lay_out(shown.scene, np.random.default_rng(_seed(shown)))
    for index in range(round((shown.end_s - shown.start_s) * FRAME_RATE)):
        seconds = index / FRAME_RATE
        yield paint(layout, SIZE, (DRIFT_PER_S[0] * seconds, DRIFT_PER_S[1] * seconds))


def _coming_and_going(sample: SampleFile) -> Iterator[np.ndarray]:
    layout = lay_out(sample.shown[0].scene, np.random.default_rng(_seed(sample.shown[0])))
    empty = paint(replace(layout, placements=()), LONG_SIZE)
    for index in range(round(sample.duration_s * LONG_FRAME_RATE)):
        seconds = index / LONG_FRAME_RATE
        share, since = _presence(sample.shown, seconds)
        if not share:
            yield empty
            continue
        drift = (DRIFT_PER_S[0] * since, DRIFT_PER_S[1] * since)
        full = paint(layout, LONG_SIZE, drift).astype(np.float32)
        yield (empty + (full - empty) * share + 0.5).astype(np.uint8)


def _presence(shown: Sequence[Shown], seconds: float) -> tuple[float, float]:
    """How far something is faded in (0 to 1), and for how many seconds it has been there."""
    for one in shown:
        if one.start_s <= seconds < one.end_s:
            since, left = seconds - one.start_s, one.end_s - seconds
            return min(1.0, since / FADE_S, left / FADE_S), since
    return 0.0, 0.0


def _seed(shown: Shown) -> int:
    """A seed that belongs to the words of a scene, so that each scene looks its own way."""
    return sum(shown.scene.caption.encode())


def _encode(
    frames: Iterator[np.ndarray],
    size: tuple[int, int],
    frame_rate: int,
    duration_s: float,
    target: Path,
    sound: Sequence[str] = (),
) -> None:
    raw = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{size[0]}x{size[1]}")
    source = (*raw, "-r", str(frame_rate), "-i", "pipe:0", *sound, "-t", str(duration_s))
    codecs = (*_PICTURE, "-crf", "20", *(_SOUND if sound else ()))
    made_at = ("-metadata", "creation_time=2026-03-14T08:00:00Z")
    run_tool(*_FFMPEG, *source, *codecs, *made_at, *_EXACT, str(target), frames=frames)
