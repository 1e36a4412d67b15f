"""A Weaviate server as vector store: one collection an embedding space and one of spoken words.

A row's id follows from its media, its item and the number of the put. A put writes the new rows and
then deletes its media's older ones; a crash between the two leaves both until the media is put
again, and an answer holds rows of one put of a media alone. Overwriting would be simpler, but a
write that breaks off leaves rows outside the vector index, and Weaviate never indexes those again
while their vector is the same. Of two processes that put one media at once either may win, row by
row; leases prevent it, but for a put of a killed process that the server is still at.
"""

import weakref
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
from weaviate.classes.aggregate import GroupByAggregate
from weaviate.classes.query import BM25Operator, HybridFusion, MetadataQuery
from weaviate.exceptions import WeaviateBaseError

from dam_pipeline.errors import StoreUnavailable
from dam_pipeline.records import Space
from dam_pipeline.settings import Settings
from dam_pipeline.stores.vectors import (
    WORD_ROWS,
    WORDS,
    HybridMatch,
    Match,
    WordMatch,
    check_dimension,
    checked_rows,
    checked_vectors,
)
from dam_pipeline.stores.vectors.phrases import phrases_of
from dam_pipeline.stores.vectors.stems import stems_asked
from dam_pipeline.stores.vectors.weaviate_collections import STEMS, VECTOR, Section
from dam_pipeline.stores.vectors.weaviate_collections import Collection as Held
from dam_pipeline.stores.vectors.weaviate_rows import (
    FOUND,
    MOST_ROWS,
    STATE,
    ObjectsOf,
    among,
    best_with_phrases,
    delete,
    is_absent,
    of_one_state,
    replace_rows,
    rows_in,
    vector_objects,
    word_objects,
)
from dam_pipeline.stores.vectors.weaviate_server import START_WAIT_S, Server

MOST_MEDIA = 10_000_000  # groups of an answer

T = TypeVar("T")


class WeaviateStore:
    """The vector store (port `VectorStore`) on the server that the settings name."""

    def __init__(self, settings: Settings, wait_s: float = START_WAIT_S) -> None:
        self._section = Section(settings.weaviate_prefix, settings.weaviate_tenant)
        self._server = Server(settings, wait_s)
        self._made: set[str] = set()  # names of collections that took rows of this process
        # Also where nobody closes the store, as the client complains otherwise.
        self._closing = weakref.finalize(self, self._server.close)

    def put(self, space: Space, media_ids: Collection[str], rows: pa.Table) -> None:
        """See the port."""
        table, ids = checked_vectors(space, rows, media_ids)
        self._put(self._section.of(space), media_ids, vector_objects(table, ids), len(ids))

    def put_words(self, media_ids: Collection[str], rows: pa.Table) -> None:
        """See the port."""
        table, ids = checked_rows(rows, WORD_ROWS, media_ids)
        self._put(self._section.words(), media_ids, word_objects(table, ids), len(ids))

    def nearest(
        self, space: Space, vector: np.ndarray, k: int, media_ids: Collection[str] | None = None
    ) -> list[Match]:
        """See the port; at most 10,000."""
        check_dimension(space, vector.shape[-1], "The query's vector")

        def ask(collection: Any) -> Any:
            return collection.query.near_vector(
                vector.astype(np.float32).ravel(),
                target_vector=VECTOR,
                limit=min(k, MOST_ROWS),
                filters=among(media_ids),
                return_metadata=MetadataQuery(distance=True),
                return_properties=[*FOUND, *STATE, "time_s"],
            ).objects

        found = self._found(self._section.of(space), ask, media_ids)
        return [Match(score=1.0 - one.metadata.distance, **one.properties) for one in found]

    def match_words(
        self, text: str, k: int, media_ids: Collection[str] | None = None
    ) -> list[WordMatch]:
        """See the port; English words match in all their forms, accents and case are ignored."""
        stems = stems_asked(text)
        if not stems:
            return []

        def ask(collection: Any) -> list[Any]:
            return best_with_phrases(collection, " ".join(stems), phrases_of(text), k, media_ids)

        found = self._found(self._section.words(), ask, media_ids)
        return [WordMatch(score=one.metadata.score, **one.properties) for one in found]

    def hybrid(
        self,
        space: Space,
        vector: np.ndarray,
        text: str,
        k: int,
        media_ids: Collection[str] | None = None,
    ) -> list[HybridMatch]:
        """See the port; the server's own hybrid search."""
        check_dimension(space, vector.shape[-1], "The query's vector")
        stems = " ".join(stems_asked(text))

        def ask(collection: Any) -> Any:
            return collection.query.hybrid(
                stems or None,
                vector=vector.astype(np.float32).ravel().tolist(),
                target_vector=VECTOR,
                alpha=0.5 if stems else 1.0,
                fusion_type=HybridFusion.RANKED,
                query_properties=[STEMS],
                bm25_operator=BM25Operator.and_(),
                limit=min(k, MOST_ROWS),
                filters=among(media_ids),
                return_metadata=MetadataQuery(score=True),
                return_properties=[*FOUND, *STATE, "time_s", "text"],
            ).objects

        found = self._found(self._section.of(space), ask, media_ids)
        return [HybridMatch(score=one.metadata.score, **one.properties) for one in found]

    def remove(self, media_ids: Collection[str]) -> None:
        """See the port."""
        for collection in self._held() if media_ids else ():
            self._read(collection, partial(delete, where=among(media_ids)), None)

    def describe(self) -> str:
        """See the port."""
        with self._server.client() as client:
            version = client.get_meta()["version"]
        tenant = f", tenant {self._section.tenant}" if self._section.tenant else ""
        return f"Weaviate {version} at {self._server.url}{tenant}"

    def counts(self) -> dict[str, int]:
        """See the port."""
        counts: dict[str, int] = {}
        for collection in self._held():
            name = WORDS if collection.space is None else collection.space.name
            counts[name] = counts.get(name, 0) + self._read(collection, rows_in, 0)
        return counts

    def spaces(self) -> list[Space]:
        """See the port."""
        spaces = [collection.space for collection in self._held() if collection.space]
        return sorted(spaces, key=lambda space: (space.name, space.kind))

    def media_in(self, space: Space) -> set[str]:
        """See the port."""

        def ask(collection: Any) -> set[str]:
            by_owner = GroupByAggregate(prop="media_id", limit=MOST_MEDIA)
            groups = collection.aggregate.over_all(group_by=by_owner).groups
            return {group.grouped_by.value for group in groups}

        return self._read(self._section.of(space), ask, set())

    def drop_space(self, space: Space) -> None:
        """See the port."""
        with self._server.client() as client:
            self._section.drop(client, self._section.of(space))

    def optimise(self) -> None:
        """See the port; Weaviate keeps its indexes by itself."""

    def drop(self) -> None:
        """See the port; only collections of this library's prefix and tenant."""
        for collection in self._held():
            with self._server.client() as client:
                self._section.drop(client, collection)

    def close(self) -> None:
        """See the port."""
        self._closing()

    def _put(
        self,
        collection: Held,
        media_ids: Collection[str],
        objects: ObjectsOf,
        count: int,
    ) -> None:
        """Replace the rows of media; the collection is made when it first gets any."""
        if not media_ids:
            return
        with self._server.client() as client:
            target = self._section.opened(client, collection)
            if collection.name in self._made or not count:
                try:
                    return replace_rows(target, media_ids, objects)
                except (WeaviateBaseError, StoreUnavailable) as error:
                    if not is_absent(error):
                        raise
                if not count:
                    return
            self._section.make(client, collection)
            replace_rows(target, media_ids, objects)
            self._made.add(collection.name)

    def _held(self) -> list[Held]:
        with self._server.client() as client:
            return list(self._section.held(client))

    def _found(
        self,
        collection: Held,
        ask: Callable[[Any], Sequence[Any]],
        media_ids: Collection[str] | None,
    ) -> list[Any]:
        """What `ask` finds among these media, without asking where there are none."""
        if media_ids is not None and not media_ids:
            return []

        def ask_until_settled(target: Any) -> list[Any]:
            return of_one_state(target, partial(ask, target))

        return self._read(collection, ask_until_settled, list[Any]())

    def _read(self, collection: Held, ask: Callable[[Any], T], nothing: T) -> T:
        """What `ask` gives of a collection; `nothing` when there is none."""
        with self._server.client() as client:
            try:
                return ask(self._section.opened(client, collection))
            except WeaviateBaseError as error:
                if not is_absent(error):
                    raise
                return nothing
