"""Searches and relations for the pages, one search at a time: models are not made for threads."""

import threading
from dataclasses import dataclass

from dam_pipeline.errors import StoreUnavailable
from dam_pipeline.graph.read import Related, related
from dam_pipeline.records import Media
from dam_pipeline.search.asking import Models
from dam_pipeline.search.hits import Hit
from dam_pipeline.search.query import Library, search
from dam_pipeline.stages.work import Toolbox

LIMIT = 40


@dataclass(frozen=True, slots=True)
class Found:
    """A hit with its media and the number of the keyframe that shows it, if any."""

    hit: Hit
    media: Media
    keyframe: int | None

    @property
    def words(self) -> list[str]:
        """What is said there, each sentence once."""
        return list(dict.fromkeys(one.text for one in self.hit.evidence if one.text))


@dataclass(frozen=True, slots=True)
class Answer:
    """Hits, best first, and what the person should know about how they came about."""

    hits: tuple[Found, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Relation:
    """A relation with the other media's record."""

    edge: Related
    other: Media


class Finder:
    """Asks search and graph of one library."""

    def __init__(self, tools: Toolbox) -> None:
        self._tools = tools
        self._models, self._models_of = Models.of(tools.settings), tools.settings
        self._one_at_a_time = threading.Lock()

    def search(self, text: str) -> Answer:
        """Moments that show or say `text`; raises StoreUnavailable."""
        tools = self._tools
        with self._one_at_a_time:
            tools.follow_spaces()
            if self._models_of is not tools.settings:
                self._models, self._models_of = Models.of(tools.settings), tools.settings
            library = Library(
                tools.settings, tools.catalogue, tools.derived, tools.store, self._models
            )
            result = search(library, text, limit=LIMIT)
        media = tools.catalogue.media([hit.media_id for hit in result.hits])
        hits = tuple(Found(hit, media[hit.media_id], self._keyframe(hit)) for hit in result.hits)
        return Answer(hits, result.warnings)

    def related(self, media: Media) -> list[Relation]:
        """Relations of a media, the strongest first; none while there is no graph."""
        catalogue = self._tools.catalogue
        try:
            edges = related(self._tools.settings, media.media_id, catalogue)
        except StoreUnavailable:
            return []
        others = catalogue.media([edge.other_media_id for edge in edges])
        return [Relation(edge, others[edge.other_media_id]) for edge in edges]

    def _keyframe(self, hit: Hit) -> int | None:
        shown = next((one.item for one in hit.evidence if one.kind == "picture"), None)
        if shown is not None or hit.keyframe is None:
            return shown
        rows = self._tools.derived.table(hit.media_id, "keyframes").select(["path"]).to_pylist()
        names = [row["path"] for row in rows]
        return next((at for at, name in enumerate(names) if hit.keyframe.endswith(name)), None)
