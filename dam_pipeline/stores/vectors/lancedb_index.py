"""LanceDB's indexes: which a table has, when they are made and when they are brought up to date."""

import math
from datetime import timedelta
from typing import Any

import pyarrow as pa

INDEX_ABOVE_ROWS = 20_000  # below, a scan is exact and takes some 30 ms
MEND_ABOVE_FRAGMENTS = 16
MEND_ABOVE_UNINDEXED = 2_000
RETRAIN_GROWTH = 4  # partitions suit the number of rows within this factor
KEEP_VERSIONS = timedelta(minutes=10)  # a reader of another process is done by then
_VECTOR_INDEX = "vector_"


def mend_indexes(table: Any) -> None:
    """Make missing indexes, compact small fragments and index new rows where there are many.

    With nothing to do it costs a few milliseconds.
    """
    indexes = table.list_indices()
    _make_missing(table, {column for index in indexes for column in index.columns})
    stats = table.stats()
    if "vector" in table.schema.names and stats["num_rows"] > INDEX_ABOVE_ROWS:
        names = [index.name for index in indexes if "vector" in index.columns]
        _mend_vector_index(table, stats["num_rows"], names)
    small = stats["fragment_stats"]["num_small_fragments"]
    unindexed = max((index.num_unindexed_rows or 0 for index in indexes), default=0)
    if small > MEND_ABOVE_FRAGMENTS or unindexed > MEND_ABOVE_UNINDEXED:
        table.optimize(cleanup_older_than=KEEP_VERSIONS)


def fitted(rows: pa.Table, table: Any) -> pa.Table:
    """Rows with the table's columns; a table that is new to texts gets a column for them."""
    if "text" in rows.schema.names and "text" not in table.schema.names:
        table.add_columns(pa.field("text", pa.string()))
    for name in set(table.schema.names).difference(rows.schema.names):
        rows = rows.append_column(table.schema.field(name), pa.nulls(len(rows), pa.string()))
    return rows


def _make_missing(table: Any, indexed: set[str]) -> None:
    from lancedb.index import FTS, BTree

    if "media_id" not in indexed:
        table.create_index("media_id", config=BTree())
    if "text" in table.schema.names and "text" not in indexed:
        words = FTS(base_tokenizer="icu/split", with_position=True, remove_stop_words=False)
        table.create_index("text", config=words)


def _mend_vector_index(table: Any, rows: int, older: list[str]) -> None:
    """Train an index where there is none, or anew where the rows have outgrown its partitions.

    LanceDB does not tell the partitions of an index, so its name does.
    """
    from lancedb.index import IvfSq

    partitions = math.isqrt(rows)
    trained = max((int(name.removeprefix(_VECTOR_INDEX)) for name in older), default=0)
    if partitions**2 > RETRAIN_GROWTH * trained**2:
        config = IvfSq(distance_type="cosine", num_partitions=partitions)
        table.create_index("vector", config=config, name=f"{_VECTOR_INDEX}{partitions}")
        for name in older:
            table.drop_index(name)
