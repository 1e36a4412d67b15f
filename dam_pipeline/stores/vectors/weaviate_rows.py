"""Rows of one Weaviate collection: written, deleted, counted, and found by words."""

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
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
from dam_pipeline.stores.vectors.scattered import scattered
from dam_pipeline.stores.vectors.stems import stems_of
from dam_pipeline.stores.vectors.weaviate_collections import GENERATION, SIZE, STEMS, VECTOR
from dam_pipeline.stores.vectors.weaviate_server import FORBIDDEN, NOT_ALLOWED

MOST_ROWS = 10_000  # of an answer, by the server's default
MORE_FACTOR = 8
FOUND = ["media_id", "item", "start_s", "end_s"]
STATE = [GENERATION, SIZE]
STATE_TRIES = 5
ROWS_AT_ONCE = 500
MADE_WITHIN_S = 10.0  # a collection is in the list of them before it takes rows
UNMADE = "could not find index"
ABSENT = (UNMADE, "could not find class", "not present in schema", "tenant not found")

# Numbers of puts of this process that did not get through, by their collection and media: a killed server
# may hold rows of them that no condition finds any more.
_broken_off: dict[tuple[str, ...], list[int]] = {}

T = TypeVar("T")
ObjectsOf = Callable[[int], Iterable[DataObject[Any, Any]]]
"""Makes the objects of a put, which has this generation."""


def is_absent(error: Exception) -> bool:
    """Whether the server says that it has no such collection or tenant (in words alone)."""
    return any(words in str(error) for words in ABSENT)


def replace_rows(
    collection: Any,
    media_ids: Collection[str],
    objects: ObjectsOf,
) -> None:
    """Write a generation of rows of these media, then delete the older ones.

    Costs a request to look, one for every 500 rows, and one to delete.
    """
    before, count = when_made(partial(standing, collection, media_ids))
    # By the clock, so that no two puts share ids: rows that were written under one before, by a put that
    # broke off or one of a killed process that the server is still at, stay outside the vector index.
    mine = max(before + 1, time.time_ns() // 1_000_000)
    put = (collection.name, *sorted(media_ids))
    tries = _broken_off.setdefault(put, [])
    tries.append(mine)
    fresh = iter(objects(mine))
    while batch := list(islice(fresh, ROWS_AT_ONCE)):
        when_made(partial(insert, collection, batch))
    # Also where there is nothing older: the log of the vector index lags a write behind (1.35), and a
    # server that is killed then forgets the vectors of what it acknowledged last.
    older = Filter.by_property(GENERATION).less_than(mine)
    delete(collection, among(media_ids) & older, count)
    for number in tries[:-1]:
        for one in objects(number):
            collection.data.delete_by_id(one.uuid)
    _broken_off.pop(put, None)


def vector_objects(table: pa.Table, ids: Sequence[str]) -> ObjectsOf:
    """Makes objects of rows of vectors, of one generation; what was said is found by its stems."""
    column: Any = table["vector"].combine_chunks()
    size = table.schema.field("vector").type.list_size
    vectors = scattered(np.asarray(column.flatten(), dtype=np.float32).reshape(-1, size), ids)
    rows = table.drop_columns(["vector"]).to_pylist()
    if "text" in table.schema.names:
        rows = _with_stems(rows)
    return partial(_objects, rows, ids, [{VECTOR: vector} for vector in vectors])


def word_objects(table: pa.Table, ids: Sequence[str]) -> ObjectsOf:
    """Makes objects of rows of words, of one generation."""
    return partial(_objects, _with_stems(table.to_pylist()), ids, [None] * len(ids))


def _with_stems(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    stems = stems_of([row["text"] or "" for row in rows])
    return [row | {STEMS: found} for row, found in zip(rows, stems, strict=True)]


def _objects(
    rows: Sequence[dict[str, Any]], ids: Sequence[str], vectors: Sequence[Any], generation: int
) -> Iterator[DataObject[Any, Any]]:
    sizes = Counter(row["media_id"] for row in rows)
    for row, key, vector in zip(rows, ids, vectors, strict=True):
        yield DataObject(
            properties=row | {GENERATION: generation, SIZE: sizes[row["media_id"]]},
            uuid=generate_uuid5(f"{key}:{generation}"),
            vector=vector,
        )


def standing(collection: Any, media_ids: Collection[str]) -> tuple[int, int]:
    """The number of the latest put that left rows of these media, and how many there are."""
    answer = collection.aggregate.over_all(
        filters=among(media_ids),
        total_count=True,
        return_metrics=Metrics(GENERATION).integer(maximum=True),
    )
    return int(answer.properties[GENERATION].maximum or 0), int(answer.total_count)


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
    """Write objects in one call; raises StoreUnavailable that names one which was not taken."""
    try:
        errors = collection.data.insert_many(objects).errors
        refused = {at: errors[at].message for at in sorted(errors)}
    except WeaviateInsertManyAllFailedError as error:
        refused = dict.fromkeys(range(len(objects)), error.message)
    if not refused:
        return
    at, why = next(iter(refused.items()))
    if FORBIDDEN in why:
        raise StoreUnavailable(f"Weaviate {NOT_ALLOWED}; the work then goes on.")
    first = objects[at].properties
    raise StoreUnavailable(
        f"Weaviate did not take {len(refused)} of {len(objects)} rows for {collection.name}, as item "
        f"{first['item']} of {first['media_id']}: {why}. Mend that on the server; the work then goes on."
    )


def delete(collection: Any, where: Any, count: int | None = None) -> None:
    """Delete all rows, `count` if known, that fulfil a condition; a request takes some 10,000."""
    deleted = 0
    while True:
        answer = collection.data.delete_many(where=where)
        if answer.failed:
            raise StoreUnavailable(
                f"Weaviate did not delete {answer.failed} rows of {collection.name}. Look into the "
                "server's log; the work then goes on."
            )
        deleted += answer.successful
        if not answer.matches or (count is not None and deleted >= count):
            return


def rows_in(collection: Any, where: Any = None) -> int:
    """How many rows fulfil a condition."""
    return int(collection.aggregate.over_all(filters=where, total_count=True).total_count)


def among(media_ids: Collection[str] | None) -> Any:
    """The condition that a row belongs to one of these media; none without media."""
    if media_ids is None:
        return None
    return Filter.by_property("media_id").contains_any(sorted(media_ids))


def of_one_state(collection: Any, ask: Callable[[], Sequence[Any]]) -> list[Any]:
    """Rows that `ask` gives, without those of other puts of a media that is being put, or was till a crash.

    The oldest put counts while it is whole: it is deleted when the newer one is written, and rows of
    a write that broke off may be there and not be found. That is looked up before and after the
    question, as the put goes on meanwhile.
    """
    found = ask()
    before = _current(collection, found)
    for _ in range(STATE_TRIES if before else 0):
        found = ask()
        after = _current(collection, found, before)
        if after == before:
            break
        before = after
    kept = [one for one in found if _generation(one) == before.get(_owner(one), _generation(one))]
    for one in kept:
        for name in STATE:
            one.properties.pop(name, None)
    return kept


def _current(collection: Any, found: Iterable[Any], known: Collection[str] = ()) -> dict[str, int]:
    """The put that counts of each media of which rows of several were found, or which is `known`."""
    sizes: dict[str, dict[int, int]] = {}
    for one in found:
        sizes.setdefault(_owner(one), {})[_generation(one)] = one.properties[SIZE] or 0
    return {
        media_id: _standing_put(collection, media_id, puts)
        for media_id, puts in sizes.items()
        if len(puts) > 1 or media_id in known
    }


def _standing_put(collection: Any, media_id: str, sizes: Mapping[int, int]) -> int:
    oldest = min(sizes)
    written = Filter.by_property(GENERATION).equal(oldest)
    is_whole = rows_in(collection, among([media_id]) & written) == sizes[oldest]
    return oldest if is_whole else max(sizes)


def _owner(row: Any) -> str:
    owner: str = row.properties["media_id"]
    return owner


def _generation(row: Any) -> int:
    return int(row.properties[GENERATION])


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
            return_properties=[*FOUND, *STATE, "text"],
        ).objects
        found = [row for row in rows if holds_all(row.properties["text"], phrases)][:k]
        if len(found) == k or len(rows) < limit or limit == MOST_ROWS:
            return found
        limit = min(MORE_FACTOR * limit, MOST_ROWS)
