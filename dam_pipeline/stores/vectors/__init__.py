"""Vector stores: rows of vectors by embedding space and rows of spoken words, found again by both.

A store is an index: everything in it comes from derived files and can be made anew from them
(`dam rebuild`). One vendor a sibling file; no vendor's library is imported before a store opens.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol, cast

import numpy as np
import pyarrow as pa

from dam_pipeline.errors import ConfigurationError, SchemaMismatch, SpaceMismatch
from dam_pipeline.records import Space
from dam_pipeline.settings import Settings
from dam_pipeline.stores.vectors.phrases import phrases_of

__all__ = [
    "WORDS",
    "WORD_ROWS",
    "HybridMatch",
    "Match",
    "VectorStore",
    "WordMatch",
    "check_dimension",
    "checked_rows",
    "checked_vectors",
    "open_vector_store",
    "phrases_of",
    "spoken_rows",
    "vector_rows",
]

WORDS = "words"  # name of the table of spoken words in `counts`

_WORD_ROWS: list[tuple[str, pa.DataType]] = [
    ("media_id", pa.string()),
    ("item", pa.int32()),
    ("start_s", pa.float64()),
    ("end_s", pa.float64()),
    ("text", pa.string()),
    ("language", pa.string()),
]
WORD_ROWS = pa.schema(_WORD_ROWS)


def vector_rows(dimension: int) -> pa.Schema:
    """Schema of the rows that `put` takes: `item` is the index of the keyframe or face."""
    columns: list[tuple[str, pa.DataType]] = [
        ("media_id", pa.string()),
        ("item", pa.int32()),
        ("time_s", pa.float64()),
        ("start_s", pa.float64()),
        ("end_s", pa.float64()),
        ("vector", pa.list_(pa.float32(), dimension)),
    ]
    return pa.schema(columns)


def spoken_rows(dimension: int) -> pa.Schema:
    """Schema of rows of what was said, which `put` takes too: `vector_rows` with its `text`."""
    return vector_rows(dimension).append(pa.field("text", pa.string()))


@dataclass(frozen=True, slots=True)
class Match:
    """A row near a vector; `score` is the cosine."""

    media_id: str
    item: int
    time_s: float
    start_s: float
    end_s: float
    score: float


@dataclass(frozen=True, slots=True)
class WordMatch:
    """A transcript segment that holds the words; `score` is BM25, comparable in one answer only."""

    media_id: str
    item: int
    start_s: float
    end_s: float
    text: str
    score: float


@dataclass(frozen=True, slots=True)
class HybridMatch:
    """A row found by its vector, its words or both; `score` is comparable in one answer only."""

    media_id: str
    item: int
    time_s: float
    start_s: float
    end_s: float
    text: str | None
    score: float


class VectorStore(Protocol):
    """What every store does; all methods raise StoreUnavailable when the store does not answer.

    Of a `Space` only name, kind and dimension count. Rows are known by media and item, so putting
    them again changes nothing, also after a crash in the middle of a put. A process sees its own
    writes at once and those of others within a second.
    """

    def put(self, space: Space, media_ids: Collection[str], rows: pa.Table) -> None:
        """Replace all rows of these media in a space by `rows` (`vector_rows` or `spoken_rows`).

        An answer to a search never holds rows of a media from before and after a put.

        Raises SpaceMismatch when the vectors have another dimension than the space, and
        SchemaMismatch when columns are missing or a row belongs to none of the media.
        """

    def put_words(self, media_ids: Collection[str], rows: pa.Table) -> None:
        """Replace all words of these media by `rows` (`WORD_ROWS`); raises SchemaMismatch."""

    def nearest(
        self, space: Space, vector: np.ndarray, k: int, media_ids: Collection[str] | None = None
    ) -> list[Match]:
        """The `k` rows of a space nearest to a vector (d,), best first; only of `media_ids` if given.

        Empty when the space holds nothing; scores are true to 0.001. Raises SpaceMismatch for another
        dimension.
        """

    def match_words(
        self, text: str, k: int, media_ids: Collection[str] | None = None
    ) -> list[WordMatch]:
        """The `k` best segments that hold every word of `text` in some form, best first.

        What stands in double quotes must be there in just these words and this order.
        """

    def hybrid(
        self,
        space: Space,
        vector: np.ndarray,
        text: str,
        k: int,
        media_ids: Collection[str] | None = None,
    ) -> list[HybridMatch]:
        """The `k` rows of a space best by nearness to a vector (d,) and by words, best first.

        The two orders are joined by reciprocal rank (Cormack et al. 2009, k = 60); words count in
        rows with text that hold all of them. Without words it is the order of nearness.
        """

    def remove(self, media_ids: Collection[str]) -> None:
        """Delete all rows of these media, in every space and of words."""

    def describe(self) -> str:
        """What this store is and where, with the version of a server, in a few words."""

    def counts(self) -> dict[str, int]:
        """Rows by space name, and under `WORDS` those of words."""

    def spaces(self) -> list[Space]:
        """The spaces that have a table, by name; floors are not kept here."""

    def media_in(self, space: Space) -> set[str]:
        """Ids of the media that have rows in a space."""

    def drop_space(self, space: Space) -> None:
        """Delete a space with all its rows; nothing happens where there is none."""

    def optimise(self) -> None:
        """Compact and index what was written lately; cheap when that was little."""

    def drop(self) -> None:
        """Delete all that is in the store."""

    def close(self) -> None:
        """Let go of connections; the store is not used afterwards."""


# Module and class of each store by its name in the settings.
STORES = {
    "lancedb": ("dam_pipeline.stores.vectors.lancedb_store", "LanceStore"),
    "weaviate": ("dam_pipeline.stores.vectors.weaviate_store", "WeaviateStore"),
}


def open_vector_store(settings: Settings, name: str = "") -> VectorStore:
    """The store that the settings choose, or of this name; a server is connected to at first use.

    Raises ConfigurationError for an unknown name or address, StoreUnavailable.
    """
    name = name or settings.vector_store
    if name not in STORES:
        known = ", ".join(sorted(STORES))
        raise ConfigurationError(f"There is no vector store {name!r}. Choose one of: {known}.")
    module, cls = STORES[name]
    opener = cast(Callable[[Settings], VectorStore], getattr(import_module(module), cls))
    return opener(settings)


def checked_rows(
    rows: pa.Table, schema: pa.Schema, media_ids: Collection[str]
) -> tuple[pa.Table, list[str]]:
    """Rows in exactly this schema, and their ids `media_id:item`; for use by stores.

    Raises SchemaMismatch when a column is missing or of another type, when an id comes twice, or
    when a row belongs to none of `media_ids`.
    """
    try:
        table = rows.select(schema.names).cast(schema)
    except (KeyError, ValueError, pa.ArrowException) as error:
        raise SchemaMismatch(
            f"Rows for the vector store have columns {rows.schema.names}: {error}. Build them with "
            "dam_pipeline.search.index_rows."
        ) from error
    owners = cast(Sequence[str], table["media_id"].to_pylist())
    strangers = set(owners).difference(media_ids)
    if strangers:
        raise SchemaMismatch(
            f"Rows for the vector store belong to {', '.join(sorted(strangers)[:3])}, which is not "
            "among the media that are put. Name every media whose rows are replaced."
        )
    ids = [f"{owner}:{item}" for owner, item in zip(owners, table["item"].to_pylist(), strict=True)]
    if len(set(ids)) != len(ids):
        raise SchemaMismatch("Rows for the vector store name an item twice. Number items 0, 1, ….")
    return table, ids


def checked_vectors(
    space: Space, rows: pa.Table, media_ids: Collection[str]
) -> tuple[pa.Table, list[str]]:
    """As `checked_rows`, of vectors of a space with or without text; raises SpaceMismatch too."""
    if "vector" in rows.schema.names:
        size = getattr(rows.schema.field("vector").type, "list_size", space.dimension)
        check_dimension(space, size, "A vector to be stored")
    schema = spoken_rows if "text" in rows.schema.names else vector_rows
    return checked_rows(rows, schema(space.dimension), media_ids)


def check_dimension(space: Space, found: int, what: str) -> None:
    """Raise SpaceMismatch unless `found` numbers are what the space's vectors have."""
    if found != space.dimension:
        raise SpaceMismatch(
            f"{what} has {found} numbers, but vectors of the space {space.name} have "
            f"{space.dimension}. Run `dam retry --stale` to embed with the active model."
        )
