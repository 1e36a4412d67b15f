"""Rows of the vector store, made from a media's derived tables; used by `search_index` and rebuilds.

Nothing here decides which media are searched; that is the query's business.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from dam_pipeline.records import Space, State
from dam_pipeline.stores.derived import DerivedFiles
from dam_pipeline.stores.vectors import WORD_ROWS, VectorStore, spoken_rows, vector_rows

# Stages whose tables hold vectors, by the kind of their embedding space.
VECTOR_STAGES = {
    "image_text": "clip_embeddings",
    "face": "face_embeddings",
    "sentence": "sentence_embeddings",
}
TRANSCRIPT = "transcript"
MEDIA_AT_ONCE = 200


@dataclass(slots=True)
class IndexRows:
    """Rows of several media: vectors by space (name, kind and dimension), and words."""

    vectors: dict[Space, list[pa.Table]] = field(default_factory=dict)
    words: list[pa.Table] = field(default_factory=list)


def index_media(
    store: VectorStore,
    derived: DerivedFiles,
    media_ids: Sequence[str],
    spared: Collection[str] = (),
) -> dict[str, dict[str, int]]:
    """Replace the rows of these media in the store; gives rows by stage name for each media.

    Media that have lost a table lose its rows in every space but those that are `spared`. The
    store's own indexes follow when enough was written. Raises StoreUnavailable.
    """
    counts: dict[str, dict[str, int]] = {}
    for at in range(0, len(media_ids), MEDIA_AT_ONCE):
        group = media_ids[at : at + MEDIA_AT_ONCE]
        rows = IndexRows()
        for media_id in group:
            counts[media_id] = collect(rows, derived, media_id)
        put(store, group, rows, spared)
    store.optimise()
    return counts


def collect(rows: IndexRows, derived: DerivedFiles, media_id: str) -> dict[str, int]:
    """Add a media's rows to `rows`; gives their number by stage. Raises SchemaMismatch."""
    counts = dict.fromkeys((*VECTOR_STAGES.values(), TRANSCRIPT), 0)
    for kind, stage in VECTOR_STAGES.items():
        for name, table in _stored(derived, media_id, stage):
            space = Space(name, kind, table.schema.field("vector").type.list_size)
            made = vectors_of(media_id, table)
            rows.vectors.setdefault(space, []).append(made)
            counts[stage] = made.num_rows
    for _, table in _stored(derived, media_id, TRANSCRIPT):
        made = words_of(media_id, table)
        rows.words.append(made)
        counts[TRANSCRIPT] = made.num_rows
    return counts


def put(
    store: VectorStore, media_ids: Collection[str], rows: IndexRows, spared: Collection[str] = ()
) -> None:
    """Write the rows of these media, one put a space and one for words, and delete all others.

    So the store holds of each media exactly what its derived files say, as after a rebuild. The
    spaces of these names are `spared`: they are built and kept by themselves, beside the active.
    """
    for space, tables in rows.vectors.items():
        store.put(space, media_ids, pa.concat_tables(tables))
    known = {(space.kind, space.name) for space in rows.vectors}
    for space in store.spaces():
        if (space.kind, space.name) not in known and space.name not in spared:
            store.put(space, media_ids, vector_rows(space.dimension).empty_table())
    words = pa.concat_tables(rows.words) if rows.words else WORD_ROWS.empty_table()
    store.put_words(media_ids, words)


def vectors_of(media_id: str, table: pa.Table) -> pa.Table:
    """Rows of a table of embeddings, numbered as they stand there; broken vectors are left out.

    A vector that is not finite or has no length cannot be compared, and would spoil the index.
    """
    schema_of = spoken_rows if "text" in table.schema.names else vector_rows
    schema = schema_of(table.schema.field("vector").type.list_size)
    owner = pa.array([media_id] * table.num_rows, pa.string())
    # Of a keyframe the item is its number; of a face its row, as several may be in one keyframe.
    is_pictures = "keyframe" in table.schema.names and "box" not in table.schema.names
    items = table["keyframe"] if is_pictures else pa.array(range(table.num_rows), pa.int32())
    columns = [owner, items, *(table[name] for name in schema.names[2:])]
    made = pa.table(columns, schema=schema)
    lengths = np.linalg.norm(vectors_array(made), axis=1)
    return made.filter(pa.array(np.isfinite(lengths) & (lengths > 0)))


def words_of(media_id: str, table: pa.Table) -> pa.Table:
    """Rows of a transcript, one a segment."""
    count = table.num_rows
    owner = pa.array([media_id] * count, pa.string())
    items = pa.array(range(count), pa.int32())
    columns = [owner, items, *(table[name] for name in WORD_ROWS.names[2:])]
    return pa.table(columns, schema=WORD_ROWS)


def vectors_array(table: pa.Table) -> np.ndarray:
    """The column `vector` as an array (n, d) float32."""
    size = table.schema.field("vector").type.list_size
    column: Any = table["vector"].combine_chunks()
    return np.asarray(column.flatten(), dtype=np.float32).reshape(-1, size)


def _stored(derived: DerivedFiles, media_id: str, stage: str) -> Iterator[tuple[str, pa.Table]]:
    """The space's name (empty without one) and table of a stage that is done and has rows."""
    outcome = derived.outcome(media_id, stage)
    if outcome and outcome.state is State.DONE and outcome.rows:
        yield str(outcome.result.get("space", "")), derived.table(media_id, stage)
