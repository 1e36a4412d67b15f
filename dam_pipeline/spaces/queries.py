"""What two spaces are asked when they are compared: texts, pictures, and pairs that must be found.

A file of queries has one a line, a text or the path of a picture, and after a tab the media that it
must find, where that is known. Without such a file the vocabulary asks, files that people tagged
answer, and the library's own pictures ask for what resembles them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dam_pipeline.errors import ConfigurationError
from dam_pipeline.formats import kind_of_name
from dam_pipeline.models import (
    ImageTextModel,
    SentenceModel,
    open_query_image_text,
    open_query_sentence,
)
from dam_pipeline.records import Media, MediaKind
from dam_pipeline.stages.work import Toolbox
from dam_pipeline.tagging.people import words_of_people
from dam_pipeline.tagging.vocabulary import open_vocabulary

MOST_TEXTS = 200
MOST_OWN = 100


@dataclass(frozen=True, slots=True)
class Queries:
    """Texts and paths of pictures, each with the ids of the media that it must find, if known.

    `own` are the ids of media whose own vectors are asked with.
    """

    asked: dict[str, frozenset[str]]
    own: tuple[str, ...]


def read_queries(lines: Iterable[str], tools: Toolbox) -> dict[str, frozenset[str]]:
    """The queries of the lines of a file; raises ConfigurationError for a media that is not known."""
    found: dict[str, set[str]] = {}
    for number, line in enumerate(lines, start=1):
        text, _, reference = line.strip().partition("\t")
        if not text or text.startswith("#"):
            continue
        wanted = found.setdefault(text.strip(), set())
        if reference.strip():
            try:
                wanted.add(tools.catalogue.find(reference.strip()).media_id)
            except ConfigurationError as error:
                raise ConfigurationError(f"Line {number} of the queries: {error}") from error
    if not found:
        raise ConfigurationError(
            "There is no query in the file. Write one a line: a text or the path of a picture, and "
            "after a tab the media that it must find."
        )
    return {text: frozenset(wanted) for text, wanted in found.items()}


def default_queries(tools: Toolbox, media: Sequence[Media]) -> dict[str, frozenset[str]]:
    """The words of the vocabulary, with the files that people tagged so; what they said is right."""
    vocabulary = open_vocabulary(tools.settings)
    asked: dict[str, set[str]] = {
        vocabulary.label(tag): set() for tag, term in vocabulary.terms.items() if term.ask
    }
    asked = dict(list(asked.items())[:MOST_TEXTS])
    words = words_of_people(tools.settings)
    for one in media:
        for tag in words[one.asset_id].added.values() if one.asset_id in words else ():
            asked.setdefault(vocabulary.label(tag), set()).add(one.media_id)
    return {text: frozenset(wanted) for text, wanted in asked.items()}


def spread(ids: Sequence[str], count: int = MOST_OWN) -> tuple[str, ...]:
    """At most `count` ids, evenly over all of them in order, always the same."""
    ordered = sorted(ids)
    if len(ordered) <= count:
        return tuple(ordered)
    return tuple(ordered[at] for at in np.linspace(0, len(ordered) - 1, count).astype(int))


class Encoder:
    """Encodes queries in the space of one view; what its model has no words for gives None."""

    def __init__(self, view: Toolbox, kind: str) -> None:
        self._view = view
        self._pictures: ImageTextModel | None = None
        self._texts: ImageTextModel | SentenceModel | None = None
        if kind == "image_text":
            self._pictures = self._texts = open_query_image_text(view.settings)
        elif kind == "sentence":
            self._texts = open_query_sentence(view.settings)

    def vector(self, query: str) -> np.ndarray | None:
        """The unit vector (d,) of a text or of the picture at a path."""
        if is_picture(query):
            return self._picture(Path(query))
        if self._texts is None:
            return None
        if self._pictures is not None and self._pictures.unknown_words(query):
            return None
        vector: np.ndarray = self._texts.encode_texts([query])[0]
        return vector

    def _picture(self, path: Path) -> np.ndarray | None:
        from dam_pipeline.media.photo import read_photo

        if self._pictures is None:
            return None
        settings = self._view.settings
        photo = read_photo(str(path), settings.keyframe_px, settings.max_megapixels)
        vector: np.ndarray = self._pictures.encode_images([np.asarray(photo.image)])[0]
        return vector


def is_picture(query: str) -> bool:
    """Whether a query is the path of a picture."""
    return kind_of_name(query) is MediaKind.IMAGE and Path(query).is_file()
