"""What does our port cost on Weaviate, and does it find the same as LanceDB and as an exact scan?

A server of our own is started. Our `put` and the bare client's batch write the same vectors with the
same properties in turns, group by group, into growing collections; then `nearest` and the bare
`near_vector` take turns. Recall@20 is held against exact numpy, at several `ef`; the hits of Weaviate,
LanceDB and the scan are compared by overlap@10.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import machine
import numpy as np
import pyarrow as pa
import weaviate
from bench_search import DIMENSION, ROWS_A_MEDIA, Rows, fill, media_of, recall, take_turns
from results import Figure, keep, middle, tell, tell_machine
from weaviate.classes.config import Configure, DataType, Property, Reconfigure, VectorDistances
from weaviate.classes.data import DataObject
from weaviate.classes.query import MetadataQuery
from weaviate.util import generate_uuid5

from dam_pipeline.records import Space
from dam_pipeline.settings import Settings
from dam_pipeline.stores.vectors import VectorStore, open_vector_store, vector_rows
from dam_pipeline.stores.vectors.weaviate_collections import Section
from dam_pipeline.stores.vectors.weaviate_server import Server

sys.path.insert(0, str(machine.CLONE))  # the tests are not installed
from dam_pipeline_tests.weaviate_server import running_server

K, HITS = 20, 10
MEDIA_A_PUT = 200  # as search_index puts them
SPACE = Space("bench", "image_text", DIMENSION)
BARE = "Bare"
BATCH = 500
TIMES = ["time_s", "start_s", "end_s"]
EFS = (-1, 64, 128, 256, 512)  # -1 is Weaviate's default: dynamic, from 100 to 500, 8 times k


def table_of(vectors: np.ndarray, first: int) -> pa.Table:
    """Rows of the port, numbered from `first`."""
    numbers = range(first, first + len(vectors))
    owners = [media_of(row) for row in numbers]
    items = pa.array([row % ROWS_A_MEDIA for row in numbers], pa.int32())
    times = pa.array(np.zeros(len(vectors)))
    flat = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), DIMENSION)
    return pa.table([owners, items, times, times, times, flat], schema=vector_rows(DIMENSION))


def make_bare(client: weaviate.WeaviateClient) -> Any:
    """A collection like the port's, with the client's own calls."""
    client.collections.delete(BARE)
    index = Configure.VectorIndex.hnsw(distance_metric=VectorDistances.COSINE)
    return client.collections.create(
        BARE,
        properties=[
            Property(name="media_id", data_type=DataType.TEXT, index_searchable=False),
            Property(name="item", data_type=DataType.INT, index_filterable=False),
            *(Property(name=n, data_type=DataType.NUMBER, index_filterable=False) for n in TIMES),
        ],
        vector_config=Configure.Vectors.self_provided(name="vector", vector_index_config=index),
    )


def bare_put(collection: Any, rows: pa.Table) -> None:
    """The documented ways: one call for few rows, else batches of 500 with two requests at once."""
    vectors = np.asarray(rows["vector"].combine_chunks().flatten()).reshape(-1, DIMENSION)
    objects = [
        DataObject(
            properties=row,
            uuid=generate_uuid5(f"{row['media_id']}:{row['item']}"),
            vector={"vector": vector},
        )
        for row, vector in zip(rows.drop_columns(["vector"]).to_pylist(), vectors, strict=True)
    ]
    if len(objects) <= BATCH:  # a batch of the client takes a second to end
        if collection.data.insert_many(objects).has_errors:
            raise SystemExit("a row was refused")
        return
    with collection.batch.fixed_size(BATCH, concurrent_requests=2) as batch:
        for one in objects:
            batch.add_object(properties=one.properties, uuid=one.uuid, vector=one.vector)
    if collection.batch.failed_objects:
        raise SystemExit(collection.batch.failed_objects[0].message)


def bare_nearest(collection: Any, query: np.ndarray) -> Any:
    """The client's own call for as many columns."""
    return collection.query.near_vector(
        query, limit=K, target_vector="vector", return_metadata=MetadataQuery(distance=True),
        return_properties=["media_id", "item", *TIMES],
    ).objects  # fmt: skip


def measure_puts(
    store: VectorStore, client: weaviate.WeaviateClient, rows: Rows, media_a_put: int
) -> tuple[list[float], list[float]]:
    """Seconds of each of our puts and of each of the bare client's, in turns."""
    store.drop()
    bare = make_bare(client)
    own, other = list[float](), list[float]()
    step = media_a_put * ROWS_A_MEDIA
    for number, at in enumerate(range(0, len(rows.vectors), step)):
        table = table_of(rows.vectors[at : at + step], at)
        owners = set(table["media_id"].to_pylist())
        ours = (own, lambda table=table, owners=owners: store.put(SPACE, owners, table))
        theirs = (other, lambda table=table: bare_put(bare, table))
        for took, act in (ours, theirs) if number % 2 else (theirs, ours):
            took.append(seconds(act))
    return own, other


def seconds(act: Callable[[], Any]) -> float:
    """How long a call takes."""
    started = time.perf_counter()
    act()
    return time.perf_counter() - started


def measure_index(client: weaviate.WeaviateClient, store: VectorStore, rows: Rows) -> None:
    """Recall and time of a query at several `ef`, changed on the collection that the port made."""
    config = client.collections.use(Section("Dam").of(SPACE).name).config
    every = np.arange(len(rows.vectors))
    for ef in EFS:
        index = Reconfigure.VectorIndex.hnsw(ef=ef)
        config.update(
            vector_config=Reconfigure.Vectors.update(name="vector", vector_index_config=index)
        )
        time.sleep(1)
        own, _, found = take_turns(rows, lambda q: store.nearest(SPACE, q, K), None)
        p50, p95 = np.percentile(own, [50, 95])
        share = recall(rows, found, every)
        tell(f"  ef {ef}: p50 {p50:.1f} ms, p95 {p95:.1f} ms, recall@{K} {share:.3f}")


def measure_overlap(store: VectorStore, rows: Rows) -> None:
    """Share of the first ten hits that both stores, and an exact scan, have in common."""
    with tempfile.TemporaryDirectory(prefix="dam-bench-") as home:
        lance = open_vector_store(Settings(home=Path(home)))
        fill(lance, SPACE, rows.vectors)
        here, there = (
            [{(m.media_id, m.item) for m in one.nearest(SPACE, q, HITS)} for q in rows.queries]
            for one in (store, lance)
        )
    exact = [
        {(media_of(row), row % ROWS_A_MEDIA) for row in np.argsort(-(rows.vectors @ q))[:HITS]}
        for q in rows.queries
    ]
    pairs = {
        "LanceDB": (here, there),
        "a scan": (here, exact),
        "LanceDB and a scan": (there, exact),
    }
    for words, (one, other) in pairs.items():
        tell(f"  overlap@{HITS} with {words}: {_shared(one, other):.3f}")


def _shared(one: Sequence[set[Any]], other: Sequence[set[Any]]) -> float:
    return float(np.mean([len(a & b) / HITS for a, b in zip(one, other, strict=True)]))


@contextmanager
def opened() -> Iterator[tuple[VectorStore, weaviate.WeaviateClient]]:
    """Our store and a bare client of one server."""
    with running_server() as server, tempfile.TemporaryDirectory(prefix="dam-bench-") as home:
        settings = Settings(home=Path(home), **server)
        with (
            closing(open_vector_store(settings)) as store,
            closing(Server(settings)) as bare,
            bare.client() as client,
        ):
            yield store, client


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args()
    here = tell_machine()
    rows = Rows.made(asked.rows)
    with opened() as (store, client):
        rounds = [measure_puts(store, client, rows, MEDIA_A_PUT) for _ in range(asked.repeats)]
        own, other = ([one for turn in rounds for one in turn[side]] for side in (0, 1))
        rate = MEDIA_A_PUT * ROWS_A_MEDIA / middle(own)
        tell(f"{asked.rows} vectors of {DIMENSION}, {rate:.0f} rows a second through the port")
        keep(Figure("weaviate_put", middle(own), middle(other), "s", len(own)), here)
        bare = client.collections.use(BARE)
        took, bare_took, found = take_turns(
            rows, lambda q: store.nearest(SPACE, q, K), lambda q: bare_nearest(bare, q)
        )
        keep(Figure("weaviate_nearest", middle(took), middle(bare_took), "ms", len(took)), here)
        share = recall(rows, found, np.arange(asked.rows))
        tell(f"  recall@{K} {share:.3f}")
        measure_index(client, store, rows)
        measure_overlap(store, rows)
        table = table_of(rows.vectors[: MEDIA_A_PUT * ROWS_A_MEDIA], 0)
        owners = set(table["media_id"].to_pylist())
        tell(f"  the same put again: {seconds(lambda: store.put(SPACE, owners, table)):.2f} s")
        few = Rows(rows.vectors[: 40 * ROWS_A_MEDIA], rows.queries)
        own, other = measure_puts(store, client, few, 1)
        keep(
            Figure("weaviate_put_one_media", 1000 * middle(own), 1000 * middle(other), "ms", 40),
            here,
        )


if __name__ == "__main__":
    main()
