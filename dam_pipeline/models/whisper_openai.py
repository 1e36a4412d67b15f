"""Whisper in OpenAI's own form ({dims, model_state_dict}) through the package openai-whisper.

Only the recogniser; `voice` finds the speech and puts the times back on the file's axis.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

import numpy as np

from dam_pipeline.errors import WeightsMismatch
from dam_pipeline.models.device import memory_guard, torch_device
from dam_pipeline.models.locate import Found, check_hash
from dam_pipeline.models.voice import Heard, Progress, Transcript, Voice
from dam_pipeline.records import ModelRef, Word
from dam_pipeline.settings import Settings

if TYPE_CHECKING:
    import torch

# The likeliest word is taken at each step, as the package does by itself. Measured on 14 s of speech
# and real base weights, CPU seconds: 19, with five beams (its command line's way) 54 and the same
# words; `whisper_faster` took 2.8.
BEAMS = None
SEED = 1  # of the tries at higher temperature, so that the same sound gives the same text


def open_openai(found: Found, settings: Settings) -> "OpenAiWhisper":
    """The model in `found`; raises WeightsMismatch when a known file is not the published one."""
    check_hash(found, settings)
    return OpenAiWhisper(found, settings)


class OpenAiWhisper:
    """A speech model (port `SpeechModel`)."""

    def __init__(self, found: Found, settings: Settings) -> None:
        self._voice = Voice(settings)
        self.ref = found.ref(settings)
        self.also: tuple[ModelRef, ...] = (self._voice.ref,)
        self._device = torch_device(settings)
        self._model = _load(found.files[0], self._device)
        heads = _official_heads(self.ref.weights_sha256)
        if heads is not None:  # a model opened by path gets none, and word times suffer
            self._model.set_alignment_heads(heads)

    def transcribe(self, samples: np.ndarray, on_progress: Progress | None = None) -> Transcript:
        """What is said in mono float32 16 kHz samples (array or memmap), on their own axis."""
        with memory_guard("transcribing", "Lower DAM_SPEECH_WINDOW_S, or set DAM_DEVICE=cpu."):
            return self._voice.transcribe(samples, self, on_progress)

    def languages(self, sound: np.ndarray) -> Mapping[str, float]:
        """See `Recogniser`."""
        import whisper

        if not self._model.is_multilingual:
            return {"en": 1.0}
        mel = whisper.log_mel_spectrogram(
            whisper.pad_or_trim(sound), self._model.dims.n_mels, device=self._device
        )
        _, chances = whisper.detect_language(self._model, mel)
        return dict(chances)

    def listen(self, sound: np.ndarray, language: str) -> Iterator[Heard]:
        """See `Recogniser`."""
        import torch
        import whisper

        torch.manual_seed(SEED)
        result = whisper.transcribe(
            self._model,
            sound,
            language=language,
            beam_size=BEAMS,
            word_timestamps=True,
            condition_on_previous_text=False,
            fp16=self._device.type != "cpu",
        )
        return (_heard(sentence) for sentence in result["segments"])


def _load(path: Path, device: "torch.device") -> Any:
    import whisper

    try:
        with memory_guard(path.name, "Choose a smaller DAM_SPEECH_MODEL."):
            return whisper.load_model(str(path), device=device)
    except (KeyError, TypeError, RuntimeError, EOFError, UnpicklingError) as error:
        raise WeightsMismatch(
            f"{path} is not a whisper checkpoint ({str(error).splitlines()[0]}); "
            f"run `dam models fetch whisper-base`."
        ) from error


def _heard(sentence: dict[str, Any]) -> Heard:
    words = tuple(
        Word(float(w["start"]), float(w["end"]), w["word"], float(w["probability"]))
        for w in sentence.get("words", ())
    )
    return Heard(float(sentence["start"]), float(sentence["end"]), sentence["text"], words)


def _official_heads(digest: str) -> bytes | None:
    """OpenAI's alignment heads of the published checkpoint with this hash."""
    import whisper

    names = [name for name, url in whisper._MODELS.items() if digest in url]
    return whisper._ALIGNMENT_HEADS[names[0]] if names else None
