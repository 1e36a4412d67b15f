"""Speech for the samples: sentences by espeak-ng, put at their times on one axis.

The voice and its pace are those whose every word whisper base was seen to write down rightly.
"""

import tempfile
import wave
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dam_pipeline.samples.contents import Said, SampleFile
from dam_pipeline.samples.tools import run_tool

VOICE, WORDS_PER_MINUTE = "en-us", 140


def write_speech(said: Sequence[Said], duration_s: float, target: Path) -> None:
    """Write a mono WAV of `duration_s` in which each sentence begins at its time, else silence."""
    with tempfile.TemporaryDirectory() as folder:
        spoken = [_speak(one.text, Path(folder) / "sentence.wav") for one in said]
    sample_rate_hz = spoken[0][1]
    axis = np.zeros(round(duration_s * sample_rate_hz), np.int16)
    for one, (samples, _) in zip(said, spoken, strict=True):
        start = round(one.start_s * sample_rate_hz)
        axis[start : start + len(samples)] = samples
    with wave.open(str(target), "wb") as file:
        file.setparams((1, 2, sample_rate_hz, 0, "NONE", ""))
        file.writeframes(axis.tobytes())


def write_memo(sample: SampleFile, target: Path) -> None:
    """Write the sentences of a sample as a sound file in the format of the target's name."""
    with tempfile.TemporaryDirectory() as folder:
        speech = Path(folder) / "speech.wav"
        write_speech(sample.said, sample.duration_s, speech)
        run_tool(
            *("ffmpeg", "-hide_banner", "-loglevel", "error", "-y", "-i", str(speech)),
            *("-fflags", "+bitexact", "-flags:a", "+bitexact", str(target)),
        )


def _speak(text: str, path: Path) -> tuple[np.ndarray, int]:
    """The samples (int16) of one sentence and their rate in Hz."""
    run_tool("espeak-ng", "-v", VOICE, "-s", str(WORDS_PER_MINUTE), "-w", str(path), text)
    with wave.open(str(path), "rb") as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), np.int16)
        return samples, file.getframerate()
