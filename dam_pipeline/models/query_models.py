"""Models as a search opens them: texts without torch where a tower allows, the rest when asked for."""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from dam_pipeline.models.clip import Picture, clip_space, open_clip, unknown_words
from dam_pipeline.models.locate import Found, check_hash
from dam_pipeline.models.minilm import TOKENS, minilm_space, open_minilm
from dam_pipeline.models.text_towers import TextTower, bert_tower, clip_tower
from dam_pipeline.records import ModelRef, Space
from dam_pipeline.settings import Settings

if TYPE_CHECKING:
    from dam_pipeline.models import ImageTextModel, SentenceModel


class QueryClip:
    """An image-text model (port `ImageTextModel`) whose whole network opens for pictures alone."""

    def __init__(
        self, ref: ModelRef, space: Space, tower: TextTower, whole: "Callable[[], ImageTextModel]"
    ) -> None:
        self.ref = ref
        self.space = space
        self._tower = tower
        self._open_whole = whole

    def encode_images(self, pictures: Sequence[Picture]) -> np.ndarray:
        """See the port."""
        return self._whole.encode_images(pictures)

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        """See the port."""
        return self._tower.encode_texts(texts)

    def unknown_words(self, text: str) -> list[str]:
        """See the port."""
        return unknown_words(self._tower.tokenizer, text)

    @cached_property
    def _whole(self) -> "ImageTextModel":
        return self._open_whole()


class QuerySentences:
    """A sentence model (port `SentenceModel`) for a few texts."""

    def __init__(self, ref: ModelRef, space: Space, tower: TextTower) -> None:
        self.ref = ref
        self.space = space
        self._tower = tower

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray:
        """See the port."""
        return self._tower.encode_texts(texts)


def open_query_clip(found: Found, settings: Settings) -> "ImageTextModel":
    """The model in `found` for queries; raises what `open_clip` does."""
    tower = clip_tower(found, settings)
    if tower is None:
        return open_clip(found, settings)
    check_hash(found, settings)
    ref = found.ref(settings)
    space = clip_space(found.path, ref, settings)
    return QueryClip(ref, space, tower, lambda: open_clip(found, settings))


def open_query_minilm(found: Found, settings: Settings) -> "SentenceModel":
    """The model in `found` for queries; raises what `open_minilm` does."""
    tower = bert_tower(found, settings, TOKENS)
    if tower is None:
        return open_minilm(found, settings)
    check_hash(found, settings)
    ref = found.ref(settings)
    return QuerySentences(ref, minilm_space(found.path, ref), tower)
