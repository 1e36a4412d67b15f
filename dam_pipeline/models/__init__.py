"""Ports of the models, which implementation serves each form of weights, and how to open them.

Importing this loads no network and no heavy library; the `open_…` functions do. They raise
WeightsMissing (which blocks, and says how to get the weights) and WeightsMismatch. Nothing here
downloads: that is `weights.fetch`, called by the command line alone.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np

from dam_pipeline.errors import WeightsMismatch, WeightsMissing
from dam_pipeline.models.clip import Picture, clip_space, open_clip
from dam_pipeline.models.dlib_faces import dlib_space, open_dlib
from dam_pipeline.models.facenet import facenet_space, open_facenet
from dam_pipeline.models.joining import joined_found
from dam_pipeline.models.known import Form, Kind
from dam_pipeline.models.locate import Found
from dam_pipeline.models.locate import locate as find_weights
from dam_pipeline.models.minilm import minilm_space, open_minilm
from dam_pipeline.models.query_models import open_query_clip, open_query_minilm
from dam_pipeline.models.voice import Progress, Transcript
from dam_pipeline.models.whisper_faster import open_faster
from dam_pipeline.models.whisper_openai import open_openai
from dam_pipeline.records import Face, ModelRef, Space
from dam_pipeline.settings import Settings

__all__ = [
    "FaceModel",
    "ImageTextModel",
    "Picture",
    "Progress",
    "SentenceModel",
    "SpeechModel",
    "Transcript",
    "identify",
    "open_face",
    "open_image_text",
    "open_query_image_text",
    "open_query_sentence",
    "open_sentence",
    "open_speech",
    "spaces",
]


class ImageTextModel(Protocol):
    """Pictures and words in one space."""

    ref: ModelRef
    space: Space

    def encode_images(self, pictures: Sequence[Picture]) -> np.ndarray:
        """Vectors (n, d) float32 of length 1 of pictures (h, w, 3) uint8 RGB or PIL images."""

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors (n, d) float32 of length 1."""

    def unknown_words(self, text: str) -> list[str]:
        """Words of the text that the model has never seen; empty where it knows parts of words."""


class FaceModel(Protocol):
    """Finds faces and tells people apart; `also` holds the detector."""

    ref: ModelRef
    also: tuple[ModelRef, ...]
    space: Space

    def find_faces(self, pictures: Sequence[np.ndarray]) -> list[list[Face]]:
        """Faces of each picture (h, w, 3) uint8 RGB, largest first."""


class SpeechModel(Protocol):
    """Writes down what is said; `also` holds the voice detector."""

    ref: ModelRef
    also: tuple[ModelRef, ...]

    def transcribe(self, samples: np.ndarray, on_progress: Progress | None = None) -> Transcript:
        """What is said in mono float32 16 kHz samples (array or memmap), on their own axis."""


class SentenceModel(Protocol):
    """Sentences in a space of meaning."""

    ref: ModelRef
    space: Space

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors (n, d) float32 of length 1."""


_IMAGE_TEXT: Mapping[Form, Callable[[Found, Settings], ImageTextModel]] = {Form.CLIP: open_clip}
_FACE: Mapping[Form, Callable[[Found, Settings], FaceModel]] = {
    Form.FACENET: open_facenet,
    Form.DLIB: open_dlib,
}
_SPEECH: Mapping[Form, Callable[[Found, Settings], SpeechModel]] = {
    Form.WHISPER: open_openai,
    Form.CT2_WHISPER: open_faster,
}
_SENTENCE: Mapping[Form, Callable[[Found, Settings], SentenceModel]] = {Form.MINILM: open_minilm}
_IDENTIFIED: tuple[Kind, ...] = ("image_text", "face", "speech", "sentence")


def open_image_text(settings: Settings) -> ImageTextModel:
    """The image-text model of the settings, resident."""
    found = find_weights(settings, "image_text")
    return _IMAGE_TEXT[found.form](found, settings)


def open_face(settings: Settings) -> FaceModel:
    """The face model of the settings, resident."""
    found = find_weights(settings, "face")
    return _FACE[found.form](found, settings)


def open_speech(settings: Settings) -> SpeechModel:
    """The speech model of the settings, resident; joins weights that come in parts."""
    found = joined_found(find_weights(settings, "speech"), settings)
    return _SPEECH[found.form](found, settings)


def open_sentence(settings: Settings) -> SentenceModel:
    """The sentence model of the settings, resident."""
    found = find_weights(settings, "sentence")
    return _SENTENCE[found.form](found, settings)


def open_query_image_text(settings: Settings) -> ImageTextModel:
    """`open_image_text` for a search: texts are encoded without importing torch where possible."""
    return open_query_clip(find_weights(settings, "image_text"), settings)


def open_query_sentence(settings: Settings) -> SentenceModel:
    """`open_sentence` for a search: without importing torch where possible."""
    return open_query_minilm(find_weights(settings, "sentence"), settings)


def identify(settings: Settings) -> dict[str, ModelRef | None]:
    """Which model would be used for each kind, without loading any.

    None where the weights are missing. Takes milliseconds once the hashes are remembered.
    """
    return {kind: _identify(settings, kind) for kind in _IDENTIFIED}


def spaces(settings: Settings) -> dict[str, Space | None]:
    """The spaces of image_text, face and sentence, no model loaded; None without weights."""
    found: dict[str, Space | None] = {}
    kinds: tuple[Kind, ...] = ("image_text", "face", "sentence")
    for kind in kinds:
        ref = _identify(settings, kind)
        found[kind] = _space(find_weights(settings, kind), ref, settings) if ref else None
    return found


def _identify(settings: Settings, kind: Kind) -> ModelRef | None:
    try:
        found = find_weights(settings, kind)
    except (WeightsMissing, WeightsMismatch):
        return None
    return found.ref(settings)


def _space(found: Found, ref: ModelRef, settings: Settings) -> Space:
    if found.form is Form.CLIP:
        return clip_space(found.path, ref, settings)
    if found.form is Form.MINILM:
        return minilm_space(found.path, ref)
    return dlib_space(ref) if found.form is Form.DLIB else facenet_space(ref)
