"""Sound: the file's first or default audio stream as 16 kHz mono samples on the file's axis."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from numpy.typing import NDArray

from dam_pipeline.errors import UnreadableMedia
from dam_pipeline.media.streams import StreamReader, open_container
from dam_pipeline.records import AudioTrack

SAMPLE_RATE_HZ = 16_000
GAP_S = 0.1  # shorter holes between packets are jitter of their times
ZEROS_S = 10.0  # silence is written in pieces of this length

Samples = NDArray[np.float32]


def read_audio(
    path: str, out_file: Path, on_progress: Callable[[float], None]
) -> AudioTrack | None:
    """Write the sound as raw float32; None when the file has no audio stream.

    Time 0 of the samples is time 0 of the file: a late start and holes are filled with zeros.
    Raises UnreadableMedia when nothing at all can be decoded.
    """
    with open_container(path) as container:
        stream = audio_stream(container)
        if stream is None:
            return None
        announced_s = float((stream.duration or 0) * stream.time_base)
        track = _Track(StreamReader(container, stream, on_progress))
        written = 0
        with open(out_file, "wb") as file:
            for samples in track.pieces():
                file.write(samples.tobytes())
                written += samples.size
        if not track.reader.frames_read:
            why = track.reader.trouble or "no sound in it"
            raise UnreadableMedia(
                f"holds no sound that can be decoded ({why}). Copy it again from its source."
            )
        partial = track.reader.partial(announced_s)
        return AudioTrack(str(out_file), SAMPLE_RATE_HZ, written, partial)


def audio_stream(container: InputContainer) -> Any | None:
    """The default audio stream, else the first, of those that can be decoded."""
    streams = [s for s in container.streams.audio if s.codec_context is not None]
    marked = [s for s in streams if s.disposition & av.stream.Disposition.default]
    return next(iter([*marked, *streams]), None)


class _Track:
    """Resampled pieces in order, with silence where the file has none."""

    def __init__(self, reader: StreamReader) -> None:
        self.reader = reader
        self._resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE_HZ)
        self._form: tuple[Any, ...] = ()
        self._written = 0

    def pieces(self) -> Iterator[Samples]:
        expected_s = 0.0
        for time_s, duration_s, frame in self.reader.frames():
            frame_s = frame.samples / frame.sample_rate if frame.sample_rate else duration_s
            if time_s + frame_s <= 0:
                continue
            if time_s - expected_s > GAP_S or (not self._written and time_s > 0):
                yield from self._drain()
                yield from self._silence(round(time_s * SAMPLE_RATE_HZ) - self._written)
            expected_s = time_s + frame_s
            for samples in self._resample(frame):
                skip = round(-time_s * SAMPLE_RATE_HZ) if time_s < 0 and not self._written else 0
                yield from self._count(samples[skip:])
        yield from self._drain()

    def _resample(self, frame: Any) -> Iterator[Samples]:
        form = (frame.format.name, frame.layout.name, frame.sample_rate)
        if self._form and form != self._form:
            yield from self._drain()
        self._form = form
        frame.pts = None
        try:
            resampled = self._resampler.resample(frame)
        except (FFmpegError, ValueError) as error:
            raise UnreadableMedia(f"has sound in an unknown layout ({error}).") from error
        for piece in resampled:
            yield np.asarray(piece.to_ndarray(), dtype="<f4").reshape(-1)

    def _drain(self) -> Iterator[Samples]:
        if self._form:
            for piece in self._resampler.resample(None):
                yield from self._count(np.asarray(piece.to_ndarray(), dtype="<f4").reshape(-1))
        self._resampler = av.AudioResampler(format="flt", layout="mono", rate=SAMPLE_RATE_HZ)
        self._form = ()

    def _silence(self, samples: int) -> Iterator[Samples]:
        step = round(ZEROS_S * SAMPLE_RATE_HZ)
        while samples > 0:
            yield from self._count(np.zeros(min(step, samples), dtype="<f4"))
            samples -= step

    def _count(self, samples: Samples) -> Iterator[Samples]:
        if samples.size:
            self._written += samples.size
            yield samples
