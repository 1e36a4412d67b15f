"""The files of one stage's segments: an index of media, and Arrow files of many media's rows.

Which media are in them, and when they are read anew, is decided by `segments`.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from dam_pipeline.records import Json, StoredOutcome
from dam_pipeline.stores.derived import outcome_of, replaced

INDEX = "index.parquet"
SEGMENT_BYTES = 256 << 20  # a segment is closed once it holds so much

_INDEX: list[tuple[str, pa.DataType]] = [
    ("media_id", pa.string()),
    ("stamp", pa.string()),
    ("data_version", pa.string()),
    ("space", pa.string()),
    ("segment", pa.string()),
    ("start", pa.int64()),
    ("rows", pa.int64()),
    ("outcome", pa.string()),
]
INDEX_SCHEMA = pa.schema(_INDEX)


@dataclass(frozen=True, slots=True)
class Entry:
    """A media in a stage's index: `rows` rows from `start` on in `segment` (empty: it has none).

    `outcome` is its outcome file as JSON, empty when there is none; `space` that of its vectors.
    """

    media_id: str
    stamp: str
    data_version: str = ""
    space: str = ""
    segment: str = ""
    start: int = 0
    rows: int = 0
    outcome: str = ""


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of several media, in the order of media ids and items.

    `media` (n,) numbers into `media_ids`, ascending; `items` (n,) are places in the media's table.
    """

    media_ids: Sequence[str]
    media: np.ndarray
    items: np.ndarray
    table: pa.Table

    def with_keys(self) -> pa.Table:
        """The table with `media_id` and `item` in front."""
        ids = pa.array(np.array(self.media_ids, object), pa.string())
        owners = pa.DictionaryArray.from_arrays(pa.array(self.media, pa.int32()), ids)
        items = pa.array(self.items, pa.int32())
        keyed = self.table.add_column(0, "item", items)
        return keyed.add_column(0, "media_id", owners.cast(pa.string()))


class StageSegments:
    """A stage of many media as it was at one moment; stays whole whatever is written meanwhile."""

    def __init__(self, entries: Mapping[str, Entry], tables: Mapping[str, pa.Table]) -> None:
        self.entries = entries
        self.tables = tables

    def result(self, media_id: str) -> Mapping[str, Json]:
        """The stage's small result on a media, without what is left out; empty when it has none."""
        entry = self.entries.get(media_id)
        found: Mapping[str, Json] = {}
        if entry and entry.outcome:
            found = json.loads(entry.outcome)["result"]
        return found

    def outcome(self, media_id: str) -> StoredOutcome | None:
        """The outcome of a media, its result without what is left out; None when it has none."""
        entry = self.entries.get(media_id)
        if entry is None or not entry.outcome:
            return None
        return outcome_of(json.loads(entry.outcome))

    def media_with(self, schema: pa.Schema) -> set[str]:
        """The media that have rows, and rows that can be read in this form."""
        fitting = {name for name, table in self.tables.items() if _fits(table.schema, schema)}
        return {one for one, entry in self.entries.items() if entry.segment in fitting}

    def rows(self, schema: pa.Schema, media_ids: Iterable[str]) -> Rows:
        """The columns of this schema of these media; each must be one of `media_with`."""
        entries = [self.entries[one] for one in sorted(media_ids)]
        counts = np.array([entry.rows for entry in entries], np.int64)
        starts = np.cumsum(counts) - counts
        tables = [_as(schema, piece) for piece in _pieces(entries, self.tables)]
        return Rows(
            [entry.media_id for entry in entries],
            np.repeat(np.arange(len(entries)), counts),
            np.arange(counts.sum()) - np.repeat(starts, counts),
            pa.concat_tables([schema.empty_table(), *tables]),
        )

    def table(self, media_id: str) -> pa.Table:
        """The rows of one media as they were written; raises KeyError when it has none."""
        entry = self.entries[media_id]
        return self.tables[entry.segment].slice(entry.start, entry.rows)


class SegmentWriter:
    """Collects rows into new segments, one form of table after another."""

    def __init__(self, folder: Path, number: int) -> None:
        self.entries: dict[str, Entry] = {}
        self._folder = folder
        self._number = number
        self._open: dict[pa.Schema, list[tuple[Entry, pa.Table]]] = {}
        self._bytes = 0

    def add(self, entry: Entry, table: pa.Table) -> None:
        """Take the rows of a media; `start` and `segment` are found when they are written."""
        self._open.setdefault(table.schema, []).append((entry, table))
        self._bytes += table.nbytes
        if self._bytes > SEGMENT_BYTES:
            self._flush()

    def finish(self) -> dict[str, Entry]:
        """Write what is left; gives all entries by media."""
        self._flush()
        return self.entries

    def _flush(self) -> None:
        for held in self._open.values():
            name = f"{self._number:07d}.arrow"
            self._number += 1
            _write_segment(self._folder / name, [table for _, table in held])
            start = 0
            for entry, table in held:
                placed = replace(entry, segment=name, start=start, rows=table.num_rows)
                self.entries[entry.media_id] = placed
                start += table.num_rows
        self._open, self._bytes = {}, 0


def _pieces(entries: Sequence[Entry], tables: Mapping[str, pa.Table]) -> Iterator[pa.Table]:
    """Slices of segments; media that lie one behind the other are one slice."""
    at = 0
    while at < len(entries):
        first, end = entries[at], entries[at].start
        while at < len(entries) and (entries[at].segment, entries[at].start) == (
            first.segment,
            end,
        ):
            end += entries[at].rows
            at += 1
        yield tables[first.segment].slice(first.start, end - first.start)


def _as(schema: pa.Schema, table: pa.Table) -> pa.Table:
    shown = table.select(schema.names)
    return shown if shown.schema.equals(schema) else shown.cast(schema)


def _fits(given: pa.Schema, wanted: pa.Schema) -> bool:
    try:
        _as(wanted, given.empty_table())
    except (KeyError, ValueError, pa.ArrowException):
        return False
    # Without rows, vectors of one dimension can be cast to another.
    vectors = [field for field in wanted if pa.types.is_fixed_size_list(field.type)]
    return all(given.field(one.name).type.equals(one.type) for one in vectors)


def opened(folder: Path) -> StageSegments:
    """A stage's segments as they are, mapped; raises what pyarrow does of files that are damaged."""
    path = folder / INDEX
    if not path.exists():
        return StageSegments({}, {})
    with pq.ParquetFile(path) as file:
        columns = file.read(INDEX_SCHEMA.names, use_threads=False).to_pydict()
    entries = [Entry(*row) for row in zip(*columns.values(), strict=True)]
    names = {entry.segment for entry in entries if entry.segment}
    tables = {
        name: pa.ipc.open_file(pa.memory_map(str(folder / name))).read_all() for name in names
    }
    return StageSegments({entry.media_id: entry for entry in entries}, tables)


def write_index(folder: Path, entries: Mapping[str, Entry]) -> None:
    """Make these entries the stage's index, then delete segments that none of them is in."""
    ordered = [entries[media_id] for media_id in sorted(entries)]
    columns = [pa.array([getattr(one, f.name) for one in ordered], f.type) for f in INDEX_SCHEMA]
    with replaced(folder / INDEX) as temporary:
        pq.write_table(pa.table(columns, schema=INDEX_SCHEMA), temporary, compression="zstd")
        _sync(temporary)
    used = {entry.segment for entry in ordered}
    for path in folder.glob("*.arrow"):
        if path.name not in used:
            path.unlink(missing_ok=True)


def _write_segment(path: Path, tables: Sequence[pa.Table]) -> None:
    with replaced(path) as temporary:
        whole = pa.concat_tables(tables).combine_chunks()
        with pa.OSFile(str(temporary), "wb") as file, pa.ipc.new_file(file, whole.schema) as writer:
            writer.write_table(whole)
        _sync(temporary)


def merged(folder: Path, entries: Mapping[str, Entry]) -> dict[str, Entry]:
    """The same rows in new segments, in the order of media ids."""
    names = {entry.segment for entry in entries.values() if entry.segment}
    tables = {
        name: pa.ipc.open_file(pa.memory_map(str(folder / name))).read_all() for name in names
    }
    writer = SegmentWriter(folder, next_number(folder))
    kept = {media_id: entry for media_id, entry in entries.items() if not entry.rows}
    with_rows = [entries[media_id] for media_id in sorted(entries) if entries[media_id].rows]
    for entry in with_rows:
        writer.add(entry, tables[entry.segment].slice(entry.start, entry.rows))
    return kept | writer.finish()


def next_number(folder: Path) -> int:
    """The number of the next segment of a stage."""
    return 1 + max((int(path.stem) for path in folder.glob("*.arrow")), default=0)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
