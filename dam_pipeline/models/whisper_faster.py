"""Whisper in CTranslate2 form through faster-whisper: int8 on processors, float16 on GPUs.

Only the recogniser; `voice` finds the speech and puts the times back on the file's axis.
"""

from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

import numpy as np

from dam_pipeline.errors import WeightsMissing
from dam_pipeline.models.device import memory_guard, threads
from dam_pipeline.models.locate import Found, check_hash, package_path
from dam_pipeline.models.silero import SAMPLE_RATE_HZ
from dam_pipeline.models.voice import Heard, Progress, Transcript, Voice
from dam_pipeline.records import ModelRef, Word
from dam_pipeline.settings import Settings

BEAM = 5  # faster-whisper's own default
HALF_MINUTE_S = 30  # what whisper hears at a time
SEED = 1  # of the tries at higher temperature, so that the same sound gives the same text


def open_faster(found: Found, settings: Settings) -> "FasterWhisper":
    """The model in `found`; raises WeightsMissing without the package faster-whisper."""
    if package_path("faster_whisper") is None:
        raise WeightsMissing(
            f"{found.name} needs the package faster-whisper: "
            f"run `pip install 'dam_pipeline[bundled]'`."
        )
    check_hash(found, settings)
    return FasterWhisper(found, settings)


class FasterWhisper:
    """A speech model (port `SpeechModel`)."""

    def __init__(self, found: Found, settings: Settings) -> None:
        self._voice = Voice(settings)
        self.ref = found.ref(settings)
        self.also: tuple[ModelRef, ...] = (self._voice.ref,)
        self._begun: tuple[np.ndarray, Any] | None = None
        device, _, index = settings.device.partition(":")
        with memory_guard(self.ref.name, "Choose a smaller DAM_SPEECH_MODEL."):
            self._model: Any = _whisper_model()(
                str(found.path),
                device=device,
                device_index=int(index or 0),
                compute_type="int8" if device == "cpu" else "float16",
                cpu_threads=threads(settings),
                local_files_only=True,
            )

    def transcribe(self, samples: np.ndarray, on_progress: Progress | None = None) -> Transcript:
        """What is said in mono float32 16 kHz samples (array or memmap), on their own axis."""
        with memory_guard("transcribing", "Lower DAM_SPEECH_WINDOW_S."):
            return self._voice.transcribe(samples, self, on_progress)

    def languages(self, sound: np.ndarray) -> Mapping[str, float]:
        """See `Recogniser`; the encoded beginning is kept for `listen`."""
        features = self._model.feature_extractor(sound[: HALF_MINUTE_S * SAMPLE_RATE_HZ])
        self._model.ready = None
        language, chance, chances = self._model.detect_language(features=features)
        self._begun = sound, self._model.encoded
        return dict(chances or [(language, chance)])

    def listen(self, sound: np.ndarray, language: str) -> Iterator[Heard]:
        """See `Recogniser`."""
        import ctranslate2

        ctranslate2.set_random_seed(SEED)
        is_begun = self._begun is not None and self._begun[0] is sound
        self._model.ready = self._begun[1] if self._begun and is_begun else None
        self._begun = None
        sentences, _ = self._model.transcribe(
            sound,
            language=language,
            beam_size=BEAM,
            word_timestamps=True,
            condition_on_previous_text=False,
            vad_filter=False,
        )
        return _heard(sentences)


@cache
def _whisper_model() -> type[Any]:
    """faster-whisper's model, which takes what is `ready` instead of encoding once more.

    Encoding is half of the work on a processor, and it would encode each beginning twice: for the
    language and for the words.
    """
    from faster_whisper import WhisperModel

    class Whisper(WhisperModel):  # type: ignore[misc]
        ready: Any = None
        encoded: Any = None

        def encode(self, features: np.ndarray) -> Any:
            self.encoded = super().encode(features) if self.ready is None else self.ready
            self.ready = None
            return self.encoded

    return Whisper


def _heard(sentences: Iterable[Any]) -> Iterator[Heard]:
    for sentence in sentences:
        words = tuple(
            Word(float(w.start), float(w.end), w.word, float(w.probability))
            for w in sentence.words or ()
        )
        yield Heard(float(sentence.start), float(sentence.end), sentence.text, words)
