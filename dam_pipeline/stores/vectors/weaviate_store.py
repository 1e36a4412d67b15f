"""A Weaviate server as vector store: one collection an embedding space and one of spoken words.

A row's id follows from its media, its item and the number of the put. A put writes the new rows and
then deletes its media's older ones; a crash between the two leaves both until the media is put
again, and readers keep one row an item. Overwriting would be simpler, but a write that breaks off
leaves rows outside the vector index, and Weaviate never indexes those again while their vector is
the same. Of two processes that put one media at once either may win, row by row; leases prevent it.
"""

import weakref
from collections.abc import Callable, Collection
from functools import partial
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
from weaviate.classes.aggregate import GroupByAggregate
from weaviate.classes.data import DataObject
from weaviate.classes.query import Filter, MetadataQuery
from weaviate.exceptions import WeaviateQueryError

from dam_pipeline.records import Space
from dam_pipeline.settings import Settings
from dam_pipeline.stores.vectors import (
    WORD_ROWS,
    WORDS,
    Match,
    WordMatch,
    check_dimension,
    checked_rows,
    vector_rows,
    weaviate_collections,
)
from dam_pipeline.stores.vectors.phrases import phrases_of
from dam_pipeline.stores.vectors.stems import stems_asked
from dam_pipeline.stores.vectors.weaviate_collections import (
    GENERATION,
    VECTOR,
    collection_of,
    collections_of,
    words_collection,
)
from dam_pipeline.stores.vectors.weaviate_rows import (
    FOUND,
    MOST_ROWS,
    UNMADE,
    among,
    best_with_phrases,
    delete,
    insert,
    latest_generation,
    once_each,
    rows_in,
    vector_objects,
    when_made,
    word_objects,
)
from dam_pipeline.stores.vectors.weaviate_server import START_WAIT_S, connect, reported

ROWS_AT_ONCE = 500
MOST_MEDIA = 10_000_000  # groups of an answer

T = TypeVar("T")


class WeaviateStore:
    """The vector store (port `VectorStore`) on the server that the settings name."""

    def __init__(self, settings: Settings, wait_s: float = START_WAIT_S) -> None:
        self._prefix = settings.weaviate_prefix
        self._client = connect(settings, wait_s)
        self._reported = partial(reported, settings)
        # Also where nobody closes the store, as the client complains otherwise.
        self._closing = weakref.finalize(self, self._client.close)

    def put(self, space: Space, media_ids: Collection[str], rows: pa.Table) -> None:
        """See the port."""
        if "vector" in rows.schema.names:
            size = getattr(rows.schema.field("vector").type, "list_size", space.dimension)
            check_dimension(space, size, "A vector to be stored")
        table, ids = checked_rows(rows, vector_rows(space.dimension), media_ids)
        self._put(collection_of(self._prefix, space), media_ids, vector_objects(table, ids))

    def put_words(self, media_ids: Collection[str], rows: pa.Table) -> None:
        """See the port."""
        table, ids = checked_rows(rows, WORD_ROWS, media_ids)
        self._put(words_collection(self._prefix), media_ids, word_objects(table, ids))

    def nearest(
        self, space: Space, vector: np.ndarray, k: int, media_ids: Collection[str] | None = None
    ) -> list[Match]:
        """See the port; at most 10,000."""
        check_dimension(space, vector.shape[-1], "The query's vector")
        if media_ids is not None and not media_ids:
            return []

        def ask(collection: Any) -> Any:
            return collection.query.near_vector(
                vector.astype(np.float32).ravel(),
                target_vector=VECTOR,
                limit=min(k, MOST_ROWS),
                filters=among(media_ids),
                return_metadata=MetadataQuery(distance=True),
                return_properties=[*FOUND, "time_s"],
            ).objects

        found = self._read(collection_of(self._prefix, space), ask, list[Any]())
        return [
            Match(score=1.0 - one.metadata.distance, **one.properties) for one in once_each(found)
        ]

    def match_words(
        self, text: str, k: int, media_ids: Collection[str] | None = None
    ) -> list[WordMatch]:
        """See the port; English words match in all their forms, accents and case are ignored."""
        stems = stems_asked(text)
        if not stems or (media_ids is not None and not media_ids):
            return []

        def ask(collection: Any) -> list[Any]:
            return best_with_phrases(collection, " ".join(stems), phrases_of(text), k, media_ids)

        found = self._read(words_collection(self._prefix), ask, list[Any]())
        return [WordMatch(score=one.metadata.score, **one.properties) for one in once_each(found)]

    def remove(self, media_ids: Collection[str]) -> None:
        """See the port."""
        for collection in self._collections() if media_ids else ():
            self._read(collection, partial(delete, where=among(media_ids)), None)

    def counts(self) -> dict[str, int]:
        """See the port."""
        counts: dict[str, int] = {}
        for collection in self._collections():
            name = WORDS if collection.space is None else collection.space.name
            counts[name] = counts.get(name, 0) + self._read(collection, rows_in, 0)
        return counts

    def spaces(self) -> list[Space]:
        """See the port."""
        spaces = [collection.space for collection in self._collections() if collection.space]
        return sorted(spaces, key=lambda space: (space.name, space.kind))

    def media_in(self, space: Space) -> set[str]:
        """See the port."""

        def ask(collection: Any) -> set[str]:
            by_owner = GroupByAggregate(prop="media_id", limit=MOST_MEDIA)
            groups = collection.aggregate.over_all(group_by=by_owner).groups
            return {group.grouped_by.value for group in groups}

        return self._read(collection_of(self._prefix, space), ask, set())

    def optimise(self) -> None:
        """See the port; Weaviate keeps its indexes by itself."""

    def drop(self) -> None:
        """See the port; only collections of this library's prefix."""
        names = [collection.name for collection in self._collections()]
        with self._reported():
            self._client.collections.delete(names)

    def close(self) -> None:
        """See the port."""
        self._closing()

    def _put(
        self,
        collection: weaviate_collections.Collection,
        media_ids: Collection[str],
        objects: Callable[[int], list[DataObject[Any, Any]]],
    ) -> None:
        if not media_ids:
            return
        with self._reported():
            if not self._client.collections.exists(collection.name):
                if not objects(0):
                    return
                weaviate_collections.make(self._client, collection)
            target = self._client.collections.use(collection.name)
            before = when_made(partial(latest_generation, target, media_ids))
            fresh = objects(before + 1)
            for at in range(0, len(fresh), ROWS_AT_ONCE):
                when_made(partial(insert, target, fresh[at : at + ROWS_AT_ONCE]))
            if before:
                older = Filter.by_property(GENERATION).less_or_equal(before)
                delete(target, among(media_ids) & older)

    def _collections(self) -> list[weaviate_collections.Collection]:
        with self._reported():
            return list(collections_of(self._client, self._prefix))

    def _read(
        self, collection: weaviate_collections.Collection, ask: Callable[[Any], T], nothing: T
    ) -> T:
        """What `ask` gives of a collection; `nothing` when there is none."""
        with self._reported():
            try:
                return ask(self._client.collections.use(collection.name))
            except WeaviateQueryError as error:
                if UNMADE not in str(error) and self._client.collections.exists(collection.name):
                    raise
                return nothing
