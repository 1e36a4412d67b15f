"""A Weaviate server as vector store: one collection an embedding space and one of spoken words.

A row's id follows from its media and item, so putting it again overwrites it. A put writes the new
rows and then deletes what else its media had; a crash between the two leaves surplus rows until the
media is put again. Of two processes that put one media at once either may win, row by row, so the
pipeline's leases keep that from happening.
"""

import weakref
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
from weaviate.classes.aggregate import GroupByAggregate
from weaviate.classes.data import DataObject
from weaviate.classes.query import BM25Operator, Filter, MetadataQuery
from weaviate.exceptions import WeaviateInsertManyAllFailedError, WeaviateQueryError
from weaviate.util import generate_uuid5

from dam_pipeline.errors import StoreUnavailable
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
from dam_pipeline.stores.vectors.phrases import holds_all, phrases_of
from dam_pipeline.stores.vectors.stems import stems_asked, stems_of
from dam_pipeline.stores.vectors.weaviate_collections import (
    STEMS,
    VECTOR,
    collection_of,
    collections_of,
    words_collection,
)
from dam_pipeline.stores.vectors.weaviate_server import START_WAIT_S, connect, reported

ROWS_AT_ONCE = 500
MOST_ROWS = 10_000  # of an answer, by the server's default
MOST_MEDIA = 10_000_000  # groups of an answer
MORE_FACTOR = 8
FOUND_WORDS = ["media_id", "item", "start_s", "end_s", "text"]

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
        self._put(collection_of(self._prefix, space), media_ids, ids, vector_objects(table, ids))

    def put_words(self, media_ids: Collection[str], rows: pa.Table) -> None:
        """See the port."""
        table, ids = checked_rows(rows, WORD_ROWS, media_ids)
        self._put(words_collection(self._prefix), media_ids, ids, word_objects(table, ids))

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
            ).objects

        found = self._read(collection_of(self._prefix, space), ask, list[Any]())
        return [Match(score=1.0 - one.metadata.distance, **one.properties) for one in found]

    def match_words(
        self, text: str, k: int, media_ids: Collection[str] | None = None
    ) -> list[WordMatch]:
        """See the port; English words match in all their forms, accents and case are ignored."""
        stems = stems_asked(text)
        if not stems or (media_ids is not None and not media_ids):
            return []

        def ask(collection: Any) -> list[Any]:
            return _best_with_phrases(collection, " ".join(stems), phrases_of(text), k, media_ids)

        found = self._read(words_collection(self._prefix), ask, list[Any]())
        return [WordMatch(score=one.metadata.score, **one.properties) for one in found]

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
        ids: Sequence[str],
        objects: Sequence[DataObject[Any, Any]],
    ) -> None:
        if not media_ids:
            return
        with self._reported():
            if not self._client.collections.exists(collection.name):
                if not ids:
                    return
                weaviate_collections.make(self._client, collection)
            target = self._client.collections.use(collection.name)
            for at in range(0, len(objects), ROWS_AT_ONCE):
                insert(target, objects[at : at + ROWS_AT_ONCE])
            delete_others(target, media_ids, ids)

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
            except WeaviateQueryError:
                if self._client.collections.exists(collection.name):
                    raise
                return nothing


def vector_objects(table: pa.Table, ids: Sequence[str]) -> list[DataObject[Any, Any]]:
    """Objects of rows of vectors."""
    column: Any = table["vector"].combine_chunks()
    size = table.schema.field("vector").type.list_size
    vectors = np.asarray(column.flatten(), dtype=np.float32).reshape(-1, size)
    rows = table.drop_columns(["vector"]).to_pylist()
    return [
        DataObject(properties=row, uuid=generate_uuid5(key), vector={VECTOR: vector})
        for row, key, vector in zip(rows, ids, vectors, strict=True)
    ]


def word_objects(table: pa.Table, ids: Sequence[str]) -> list[DataObject[Any, Any]]:
    """Objects of rows of words."""
    rows = table.to_pylist()
    stems = stems_of([row["text"] or "" for row in rows])
    return [
        DataObject(properties=row | {STEMS: said}, uuid=generate_uuid5(key))
        for row, key, said in zip(rows, ids, stems, strict=True)
    ]


def insert(collection: Any, objects: Sequence[DataObject[Any, Any]]) -> None:
    """Write objects in one call; raises StoreUnavailable when one of them was not taken."""
    try:
        refusals = [one.message for one in collection.data.insert_many(objects).errors.values()]
    except WeaviateInsertManyAllFailedError as error:
        refusals = [error.message] * len(objects)
    if refusals:
        raise StoreUnavailable(
            f"Weaviate did not take {len(refusals)} of {len(objects)} rows for {collection.name}: "
            f"{refusals[0]}. Mend that on the server; the work then goes on."
        )


def delete_others(collection: Any, media_ids: Collection[str], ids: Sequence[str]) -> None:
    """Delete all rows of these media but those of the ids; mostly there are none."""
    owned = among(media_ids)
    if rows_in(collection, owned) > len(ids):
        keys = [generate_uuid5(key) for key in ids]
        delete(collection, owned & Filter.by_id().contains_none(keys) if keys else owned)


def delete(collection: Any, where: Any) -> None:
    """Delete all rows that fulfil a condition; the server takes some 10,000 at a time."""
    while True:
        answer = collection.data.delete_many(where=where)
        if answer.failed:
            raise StoreUnavailable(
                f"Weaviate did not delete {answer.failed} rows of {collection.name}. Look into the "
                "server's log; the work then goes on."
            )
        if not answer.matches:
            return


def rows_in(collection: Any, where: Any = None) -> int:
    """How many rows fulfil a condition."""
    return int(collection.aggregate.over_all(filters=where, total_count=True).total_count)


def among(media_ids: Collection[str] | None) -> Any:
    """The condition that a row belongs to one of these media; none without media."""
    if media_ids is None:
        return None
    return Filter.by_property("media_id").contains_any(sorted(media_ids))


def _best_with_phrases(
    collection: Any, stems: str, phrases: Sequence[str], k: int, media_ids: Collection[str] | None
) -> list[Any]:
    """The `k` best rows with all stems and phrases; phrases are held against the text itself."""
    limit = min(k, MOST_ROWS)
    while True:
        rows = collection.query.bm25(
            stems,
            query_properties=[STEMS],
            operator=BM25Operator.and_(),
            limit=limit,
            filters=among(media_ids),
            return_metadata=MetadataQuery(score=True),
            return_properties=FOUND_WORDS,
        ).objects
        found = [row for row in rows if holds_all(row.properties["text"], phrases)][:k]
        if len(found) == k or len(rows) < limit or limit == MOST_ROWS:
            return found
        limit = min(MORE_FACTOR * limit, MOST_ROWS)
