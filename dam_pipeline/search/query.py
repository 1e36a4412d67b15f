"""Searches: a text over pictures, spoken words and their meaning, a picture over pictures, or both.

Each part gives a ranked list; `fusion` makes moments of them. A text and a picture together are
fused by rank too, not added as vectors: in the sum the picture would drown the text, and no floor
could say that either is absent.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from dam_pipeline.catalogue.catalogue import Catalogue
from dam_pipeline.errors import ConfigurationError
from dam_pipeline.records import Filters, Space
from dam_pipeline.search.asking import Asked, Models, ask
from dam_pipeline.search.fusion import Moment, fuse
from dam_pipeline.search.hits import Evidence, Hit, ListKey, SearchResult
from dam_pipeline.search.places import Shown, hits_of
from dam_pipeline.settings import Settings
from dam_pipeline.stores.derived import DerivedFiles
from dam_pipeline.stores.vectors import WORDS, Match, VectorStore, WordMatch
from dam_pipeline.tagging.effective import media_with_tags

CANDIDATES = 50  # rows asked of each list at first
CANDIDATES_PER_HIT = 5
WIDEN = 5  # factor when too few of the candidates may be shown
WIDEST = 25_000
DEFAULT_LIMIT = 20


@dataclass(frozen=True, slots=True)
class Library:
    """What a search reads."""

    settings: Settings
    catalogue: Catalogue
    derived: DerivedFiles
    store: VectorStore
    models: Models


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

    What stands in double quotes must be said in just these words. Vectors below their space's
    floors do not count, so what is absent gives no hits. Superseded media never appear, those at no
    present place only with `include_missing`. Without weights the words are still searched, with a
    warning. Raises ConfigurationError without text and image,
    UnreadableMedia for a bad picture, ModelError when only a picture is given and the model is not
    there, StoreUnavailable.
    """
    text = (text or "").strip()
    if not text and image is None:
        raise ConfigurationError("Nothing to search for: give a TEXT, --image FILE, or both.")
    if limit < 1:
        raise ConfigurationError(f"A limit of {limit} shows nothing: give 1 or more.")
    filters = filters or Filters()
    allowed = _allowed(library, filters)
    apart = library.catalogue.spaces.apart()
    asked = ask(library.models, library.store, library.settings, text, image, apart)
    shown = Shown(library.catalogue, library.derived, filters, include_missing)
    hits = _answer(library, asked, allowed, shown, limit)
    return SearchResult(tuple(hits), tuple(asked.warnings))


def _allowed(library: Library, filters: Filters) -> set[str] | None:
    """Ids of the media that pass the filters, or None when all do."""
    found = library.catalogue.matching(filters)
    if found is None or not filters.tags:
        return found
    media = list(library.catalogue.media(sorted(found)).values())
    return media_with_tags(library.settings, library.derived, media, filters.tags)


def _answer(
    library: Library, asked: Asked, allowed: set[str] | None, shown: Shown, limit: int
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


def _lists(
    library: Library, asked: Asked, k: int, allowed: Collection[str] | None
) -> dict[ListKey, list[tuple[str, Evidence]]]:
    lists: dict[ListKey, list[tuple[str, Evidence]]] = {}
    for key, aim in asked.aims.items():
        found = library.store.nearest(aim.space, aim.vector, k, allowed)
        floor = aim.floors[key.query]
        lists[key] = [_near(one, key, aim.space, floor) for one in found if one.score >= floor]
    if asked.text:
        spoken = library.store.match_words(asked.text, k, allowed)
        lists[ListKey("words", "text")] = [_spoken(one) for one in spoken]
    return lists


def _near(one: Match, key: ListKey, space: Space, floor: float) -> tuple[str, Evidence]:
    return one.media_id, Evidence(
        kind=key.kind,
        query=key.query,
        score=one.score,
        rank=0,
        time_s=one.time_s,
        start_s=one.start_s,
        end_s=one.end_s,
        space=space.name,
        item=one.item,
        floor=floor,
    )


def _spoken(one: WordMatch) -> tuple[str, Evidence]:
    return one.media_id, Evidence(
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
    )
