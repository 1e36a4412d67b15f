"""Searches: words over pictures and transcripts, a picture over pictures, or both at once.

Each part gives a ranked list; `fusion` makes moments of them. A text and a picture together are
fused by rank too, not added as vectors: in the sum the picture would drown the text, and no floor
could say that either is absent.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dam_pipeline.catalogue.catalogue import Catalogue
from dam_pipeline.errors import ConfigurationError, MediaError, ModelError, UnreadableMedia
from dam_pipeline.models import ImageTextModel
from dam_pipeline.records import Filters, Space
from dam_pipeline.search.fusion import Moment, fuse
from dam_pipeline.search.hits import Evidence, Hit, ListKey, SearchResult
from dam_pipeline.search.places import Shown, hits_of
from dam_pipeline.search.words import lacks_meaning
from dam_pipeline.settings import Settings
from dam_pipeline.stores.derived import DerivedFiles
from dam_pipeline.stores.vectors import WORDS, Match, VectorStore

CANDIDATES = 50  # rows asked of each list at first
CANDIDATES_PER_HIT = 5
WIDEN = 5  # factor when too few of the candidates may be shown
WIDEST = 25_000
DEFAULT_LIMIT = 20


@dataclass(frozen=True, slots=True)
class Library:
    """What a search reads. `image_text` opens the active model and is called only when needed."""

    settings: Settings
    catalogue: Catalogue
    derived: DerivedFiles
    store: VectorStore
    image_text: Callable[[], ImageTextModel]


@dataclass(slots=True)
class _Asked:
    """The query made ready: vectors by half, the words, and what to tell the person."""

    text: str
    space: Space | None
    vectors: dict[ListKey, np.ndarray]
    warnings: list[str]


def search(
    library: Library,
    text: str | None = None,
    image: Path | None = None,
    filters: Filters | None = None,
    limit: int = DEFAULT_LIMIT,
    *,
    include_missing: bool = False,
) -> SearchResult:
    """Moments that show or say `text` or look like the picture `image`, best first.

    Pictures below the space's floors do not count, so what is absent gives no hits. Superseded
    media never appear, those at no present place only with `include_missing`. Without weights the
    words are still searched, with a warning. Raises ConfigurationError without text and image,
    UnreadableMedia for a bad picture, ModelError when only a picture is given and the model is not
    there, StoreUnavailable.
    """
    text = (text or "").strip()
    if not text and image is None:
        raise ConfigurationError("Nothing to search for: give a TEXT, --image FILE, or both.")
    if limit < 1:
        raise ConfigurationError(f"A limit of {limit} shows nothing: give 1 or more.")
    filters = filters or Filters()
    allowed = library.catalogue.matching(filters)
    asked = _ask(library, text, image)
    shown = Shown(library.catalogue, library.derived, filters, include_missing)
    hits = _answer(library, asked, allowed, shown, limit)
    return SearchResult(tuple(hits), tuple(asked.warnings))


def _answer(
    library: Library, asked: _Asked, allowed: set[str] | None, shown: Shown, limit: int
) -> Sequence[Hit]:
    """The hits, asking for more rows while too many of them may not be shown."""
    k = max(CANDIDATES, CANDIDATES_PER_HIT * limit)
    while True:
        lists = _lists(library, asked, k, allowed)
        is_all = all(len(found) < k for found in lists.values()) or k >= WIDEST
        moments: list[Moment] = fuse(shown.only(lists))
        if is_all or len(moments) >= limit:
            return hits_of(shown, moments[:limit])
        k *= WIDEN


def _ask(library: Library, text: str, image: Path | None) -> _Asked:
    """Encode both halves of the query; raises what `search` says."""
    asked = _Asked(text, None, {}, [])
    picture = _read_picture(image, library.settings) if image else None
    try:
        model = library.image_text()
        asked.space = model.space
        if picture is not None:
            asked.vectors[ListKey("picture", "image")] = model.encode_images([picture])[0]
        if text:
            _ask_text(asked, model)
    except ModelError as error:
        if not text:
            raise
        asked.warnings.append(f"Only spoken words were searched, no pictures: {error}")
        return asked
    asked.warnings.extend(_other_spaces(library.store, model.space))
    return asked


def _ask_text(asked: _Asked, model: ImageTextModel) -> None:
    unknown = model.unknown_words(asked.text)
    if unknown:
        names = ", ".join(unknown)
        asked.warnings.append(f"The image-text model does not know: {names}.")
    if model.space.warning:
        asked.warnings.append(model.space.warning)
    if not unknown or not lacks_meaning(asked.text, unknown):
        asked.vectors[ListKey("picture", "text")] = model.encode_texts([asked.text])[0]


def _other_spaces(store: VectorStore, active: Space) -> list[str]:
    """A warning when media are indexed by another image-text model and not by the active one."""
    others = [s for s in store.spaces() if s.kind == active.kind and s.name != active.name]
    if not others:
        return []
    lacking = set().union(*(store.media_in(space) for space in others)) - store.media_in(active)
    if not lacking:
        return []
    files = "1 file is" if len(lacking) == 1 else f"{len(lacking)} files are"
    return [
        f"{files} indexed in another space ({', '.join(s.name for s in others)}), not in "
        f"{active.name}, and not searched by picture; run `dam retry --stale`."
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


def _lists(
    library: Library, asked: _Asked, k: int, allowed: Collection[str] | None
) -> dict[ListKey, list[tuple[str, Evidence]]]:
    lists: dict[ListKey, list[tuple[str, Evidence]]] = {}
    for key, vector in asked.vectors.items():
        if asked.space is not None:
            found = library.store.nearest(asked.space, vector, k, allowed)
            lists[key] = _above_floor(found, key, asked.space)
    if asked.text:
        lists[ListKey("words", "text")] = [
            (
                one.media_id,
                Evidence(
                    kind="words",
                    query="text",
                    score=one.score,
                    rank=0,
                    time_s=one.start_s,
                    start_s=one.start_s,
                    end_s=one.end_s,
                    space=WORDS,
                    item=one.item,
                    text=one.text,
                ),
            )
            for one in library.store.match_words(asked.text, k, allowed)
        ]
    return lists


def _above_floor(found: Sequence[Match], key: ListKey, space: Space) -> list[tuple[str, Evidence]]:
    floor = space.text_floor if key.query == "text" else space.image_floor
    return [
        (
            one.media_id,
            Evidence(
                kind="picture",
                query=key.query,
                score=one.score,
                rank=0,
                time_s=one.time_s,
                start_s=one.start_s,
                end_s=one.end_s,
                space=space.name,
                item=one.item,
                floor=floor,
            ),
        )
        for one in found
        if one.score >= floor
    ]
