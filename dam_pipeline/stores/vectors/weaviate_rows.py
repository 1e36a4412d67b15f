"""Rows of one Weaviate collection: written, deleted, counted, and found by words."""

import time
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
from weaviate.classes.aggregate import Metrics
from weaviate.classes.data import DataObject
from weaviate.classes.query import BM25Operator, Filter, MetadataQuery
from weaviate.exceptions import WeaviateInsertManyAllFailedError, WeaviateQueryError
from weaviate.util import generate_uuid5

from dam_pipeline.errors import StoreUnavailable
from dam_pipeline.stores.vectors.phrases import holds_all
from dam_pipeline.stores.vectors.stems import stems_of
from dam_pipeline.stores.vectors.weaviate_collections import GENERATION, STEMS, VECTOR

MOST_ROWS = 10_000  # of an answer, by the server's default
MORE_FACTOR = 8
FOUND = ["media_id", "item", "start_s", "end_s"]
MADE_WITHIN_S = 10.0  # a collection is in the list of them before it takes rows
UNMADE = "could not find index"

T = TypeVar("T")


def vector_objects(
    table: pa.Table, ids: Sequence[str]
) -> Callable[[int], list[DataObject[Any, Any]]]:
    """Makes objects of rows of vectors, of one generation."""
    column: Any = table["vector"].combine_chunks()
    size = table.schema.field("vector").type.list_size
    vectors = np.asarray(column.flatten(), dtype=np.float32).reshape(-1, size)
    rows = table.drop_columns(["vector"]).to_pylist()
    return partial(_objects, rows, ids, [{VECTOR: vector} for vector in vectors])


def word_objects(
    table: pa.Table, ids: Sequence[str]
) -> Callable[[int], list[DataObject[Any, Any]]]:
    """Makes objects of rows of words, of one generation."""
    rows = table.to_pylist()
    stems = stems_of([row["text"] or "" for row in rows])
    said = [row | {STEMS: found} for row, found in zip(rows, stems, strict=True)]
    return partial(_objects, said, ids, [None] * len(ids))


def _objects(
    rows: Sequence[dict[str, Any]], ids: Sequence[str], vectors: Sequence[Any], generation: int
) -> list[DataObject[Any, Any]]:
    return [
        DataObject(
            properties=row | {GENERATION: generation},
            uuid=generate_uuid5(f"{key}:{generation}"),
            vector=vector,
        )
        for row, key, vector in zip(rows, ids, vectors, strict=True)
    ]


def latest_generation(collection: Any, media_ids: Collection[str]) -> int:
    """The number of the latest put that left rows of these media; 0 where there are none."""
    answer = collection.aggregate.over_all(
        filters=among(media_ids),
        return_metrics=Metrics(GENERATION).integer(maximum=True),
    )
    return int(answer.properties[GENERATION].maximum or 0)


def when_made(act: Callable[[], T]) -> T:
    """The result of `act`, tried again while the collection is only just being made."""
    until = time.monotonic() + MADE_WITHIN_S
    while True:
        try:
            return act()
        except (WeaviateQueryError, StoreUnavailable) as error:
            if UNMADE not in str(error) or time.monotonic() > until:
                raise
            time.sleep(0.05)


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


def once_each(found: Sequence[Any]) -> list[Any]:
    """Rows without the second of an item, which a put that is not done has in two generations."""
    kept: dict[tuple[str, int], Any] = {}
    for one in found:
        kept.setdefault((one.properties["media_id"], one.properties["item"]), one)
    return list(kept.values())


def best_with_phrases(
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
            return_properties=[*FOUND, "text"],
        ).objects
        found = [row for row in rows if holds_all(row.properties["text"], phrases)][:k]
        if len(found) == k or len(rows) < limit or limit == MOST_ROWS:
            return found
        limit = min(MORE_FACTOR * limit, MOST_ROWS)
