"""A query made ready: its text and picture as vectors of the spaces that are searched.

What cannot be searched for (no weights, unknown words) is told as a warning, or raised where nothing
would be left to ask.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Self

import numpy as np

from dam_pipeline.errors import MediaError, ModelError, UnreadableMedia
from dam_pipeline.models import (
    ImageTextModel,
    SentenceModel,
    open_query_image_text,
    open_query_sentence,
)
from dam_pipeline.records import Space
from dam_pipeline.search.hits import ListKey
from dam_pipeline.search.words import lacks_meaning
from dam_pipeline.settings import Settings
from dam_pipeline.stores.vectors import VectorStore, phrases_of


@dataclass(frozen=True, slots=True)
class Aim:
    """A vector and the space that it is to be looked for in."""

    vector: np.ndarray
    space: Space

    @property
    def floors(self) -> dict[str, float]:
        """The least cosine that counts, by half of the query."""
        return {"text": self.space.text_floor, "image": self.space.image_floor}


@dataclass(slots=True)
class Asked:
    """The query made ready: aims by list, the words, and what to tell the person.

    `apart` names spaces that are kept beside the active ones (see `catalogue.spaces`).
    """

    text: str
    apart: Collection[str] = ()
    aims: dict[ListKey, Aim] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Models:
    """Opens the models that encode a query; each is called only when it is needed."""

    image_text: Callable[[], ImageTextModel]
    sentence: Callable[[], SentenceModel]

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The models of the settings, each opened once."""
        return cls(
            cache(partial(open_query_image_text, settings)),
            cache(partial(open_query_sentence, settings)),
        )


def ask(
    models: Models,
    store: VectorStore,
    settings: Settings,
    text: str,
    image: Path | None,
    apart: Collection[str] = (),
) -> Asked:
    """Encode both halves of the query; a text with a quoted phrase is looked for in words alone.

    Raises UnreadableMedia for a bad picture, and ModelError when only a picture is given and its
    model is not there.
    """
    asked = Asked(text, apart)
    wants_words_only = bool(phrases_of(text))
    if image is not None or not wants_words_only:
        _ask_pictures(asked, models, store, settings, image, wants_words_only)
    if text and not wants_words_only:
        _ask_meaning(asked, models, store)
    return asked


def _ask_pictures(
    asked: Asked,
    models: Models,
    store: VectorStore,
    settings: Settings,
    image: Path | None,
    wants_words_only: bool,
) -> None:
    picture = _read_picture(image, settings) if image else None
    try:
        model = models.image_text()
        if picture is not None:
            vector = model.encode_images([picture])[0]
            asked.aims[ListKey("picture", "image")] = Aim(vector, model.space)
        if asked.text and not wants_words_only:
            _ask_text(asked, model)
    except ModelError as error:
        if not asked.text:
            raise
        asked.warnings.append(f"Only spoken words were searched, no pictures: {error}")
    else:
        asked.warnings.extend(_other_spaces(store, model.space, asked.apart))


def _ask_text(asked: Asked, model: ImageTextModel) -> None:
    unknown = model.unknown_words(asked.text)
    if unknown:
        names = ", ".join(unknown)
        asked.warnings.append(f"The image-text model does not know: {names}.")
    if model.space.warning:
        asked.warnings.append(model.space.warning)
    if not unknown or not lacks_meaning(asked.text, unknown):
        vector = model.encode_texts([asked.text])[0]
        asked.aims[ListKey("picture", "text")] = Aim(vector, model.space)


def _ask_meaning(asked: Asked, models: Models, store: VectorStore) -> None:
    """Ask for sentences, where there are any: a library without speech needs no such model."""
    if not any(space.kind == "sentence" for space in store.spaces()):
        return
    try:
        model = models.sentence()
        vector = model.encode_texts([asked.text])[0]
    except ModelError as error:
        asked.warnings.append(f"Speech was searched by its words, not by its meaning: {error}")
        return
    asked.aims[ListKey("meaning", "text")] = Aim(vector, model.space)
    asked.warnings.extend(_other_spaces(store, model.space, asked.apart))


def _other_spaces(store: VectorStore, active: Space, apart: Collection[str]) -> list[str]:
    """A warning when media are indexed by another model of the kind and not by the active one.

    A space that is kept beside the active one has its rows for ever: counting them costs little.
    """
    others = [s for s in store.spaces() if s.kind == active.kind and s.name != active.name]
    if any(space.name in apart for space in others):
        counts = store.counts()
        least = counts.get(active.name, 0)
        others = [s for s in others if s.name not in apart or counts[s.name] > least]
    if not others:
        return []
    lacking = set().union(*(store.media_in(space) for space in others)) - store.media_in(active)
    if not lacking:
        return []
    files = "1 file is" if len(lacking) == 1 else f"{len(lacking)} files are"
    way = "by meaning" if active.kind == "sentence" else "by picture"
    return [
        f"{files} indexed in another space ({', '.join(s.name for s in others)}), not in "
        f"{active.name}, and not searched {way}; run `dam retry --stale`."
    ]


def _read_picture(path: Path, settings: Settings) -> np.ndarray:
    from dam_pipeline.media.photo import read_photo

    try:
        photo = read_photo(str(path), settings.keyframe_px, settings.max_megapixels)
    except MediaError as error:
        raise type(error)(f"The picture to search for, {path}, {error}") from error
    except OSError as error:
        raise UnreadableMedia(
            f"The picture to search for, {path}, cannot be read: {error.strerror or error}."
        ) from error
    return np.asarray(photo.image)
