"""LanceDB in a folder of the home: one table an embedding space and one of spoken words.

A put adds the new rows and then deletes the older ones of the same media (by a stamp a put), which
is ten times faster than LanceDB's own merge at 100,000 rows (12 ms against 150 ms). Writers of all
processes take turns by a lock file, so this store belongs on a disk of one machine. A crash between
the two steps leaves both sets of rows until the media is put again; an answer holds the newer alone.
"""

import fcntl
import glob
import os
import shutil
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa

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
from dam_pipeline.stores.vectors.lancedb_errors import VENDOR_ERRORS, is_conflict, store_error
from dam_pipeline.stores.vectors.lancedb_index import fitted, mend_indexes
from dam_pipeline.stores.vectors.lancedb_names import space_of, table_name
from dam_pipeline.stores.vectors.lancedb_query import (
    BROAD_FACTOR,
    EXACT_UP_TO_MEDIA,
    STAMP,
    among,
    hybrid_rows,
    nearest_rows,
    of_one_state,
    word_rows,
)
from dam_pipeline.stores.vectors.phrases import plain_words

FOLDER = "lancedb"
LOCK_FILE = ".write.lock"
SEEN_WITHIN = timedelta(seconds=1)  # searches see other processes' writes; looking costs 4 ms
CONFLICT_TRIES = 8
IDS_AT_ONCE = 5000


T = TypeVar("T")


class LanceStore:
    """The vector store (port `VectorStore`) under `DAM_HOME/lancedb`."""

    def __init__(self, settings: Settings) -> None:
        # Its warnings are about its own house-keeping and would stand in the middle of our output.
        os.environ.setdefault("LANCEDB_LOG", "error")
        import lancedb

        self._folder = settings.home / FOLDER
        self._tables: dict[str, Any] = {}
        with self._reported():
            self._folder.mkdir(parents=True, exist_ok=True)
            self._db = lancedb.connect(self._folder, read_consistency_interval=SEEN_WITHIN)
            self._names()

    def put(self, space: Space, media_ids: Collection[str], rows: pa.Table) -> None:
        """See the port."""
        self._put(table_name(space), media_ids, *checked_vectors(space, rows, media_ids))

    def put_words(self, media_ids: Collection[str], rows: pa.Table) -> None:
        """See the port."""
        self._put(WORDS, media_ids, *checked_rows(rows, WORD_ROWS, media_ids))

    def nearest(
        self, space: Space, vector: np.ndarray, k: int, media_ids: Collection[str] | None = None
    ) -> list[Match]:
        """See the port; exact below some 20,000 rows and for filters of few media."""
        check_dimension(space, vector.shape[-1], "The query's vector")
        if media_ids is not None and len(media_ids) > EXACT_UP_TO_MEDIA:
            # Thousands of ids in a condition cost more than the search; most rows fit anyway.
            wide = self.nearest(space, vector, BROAD_FACTOR * k)
            allowed = frozenset(media_ids)
            fitting = [match for match in wide if match.media_id in allowed]
            if len(fitting) >= k:
                return fitting[:k]
        rows = self._read(table_name(space), partial(nearest_rows, vector, k, media_ids))
        return [_made(Match, row | {"score": 1.0 - row["_distance"]}) for row in of_one_state(rows)]

    def match_words(
        self, text: str, k: int, media_ids: Collection[str] | None = None
    ) -> list[WordMatch]:
        """See the port; English words match in all their forms, accents and case are ignored."""
        if not plain_words(text) or (media_ids is not None and not media_ids):
            return []
        rows = of_one_state(self._read(WORDS, partial(word_rows, text, k, media_ids)))
        return [WordMatch(score=row.pop("_score"), **row) for row in rows]

    def hybrid(
        self,
        space: Space,
        vector: np.ndarray,
        text: str,
        k: int,
        media_ids: Collection[str] | None = None,
    ) -> list[HybridMatch]:
        """See the port."""
        check_dimension(space, vector.shape[-1], "The query's vector")
        if media_ids is not None and not media_ids:
            return []
        asked = partial(hybrid_rows, vector, text, k, media_ids)
        rows = of_one_state(self._read(table_name(space), asked))
        return [_made(HybridMatch, row) for row in rows]

    def remove(self, media_ids: Collection[str]) -> None:
        """See the port."""
        for name in self._known_names() if media_ids else ():
            self._write(partial(self._delete_from, name, media_ids))

    def describe(self) -> str:
        """See the port."""
        return f"LanceDB in {self._folder}"

    def counts(self) -> dict[str, int]:
        """See the port."""
        with self._reported():
            return {
                WORDS if name == WORDS else space_of(name)[1]: self._latest(name).count_rows()
                for name in self._names()
            }

    def spaces(self) -> list[Space]:
        """See the port."""
        with self._reported():
            found = []
            for name in self._names():
                if name != WORDS:
                    size = self._table(name).schema.field("vector").type.list_size
                    kind, space = space_of(name)
                    found.append(Space(space, kind, size))
            return sorted(found, key=lambda space: space.name)

    def media_in(self, space: Space) -> set[str]:
        """See the port."""

        def read(table: Any) -> list[dict[str, Any]]:
            table.checkout_latest()
            rows = table.search().select(["media_id"]).limit(None).to_arrow()
            return [{"media_id": value} for value in rows["media_id"].unique().to_pylist()]

        return {row["media_id"] for row in self._read(table_name(space), read)}

    def optimise(self) -> None:
        """See the port; vectors get an index above 20,000 rows of a space."""
        for name in self._known_names():
            with self._reported():
                try:
                    self._retried(partial(self._mend, name))
                except RuntimeError as error:
                    # Where other writers were quicker each time, the next batch tries again.
                    if not is_conflict(error):
                        raise

    def drop(self) -> None:
        """See the port."""
        for name in self._known_names():
            self._drop(name)

    def drop_space(self, space: Space) -> None:
        """See the port."""
        self._drop(table_name(space))

    def close(self) -> None:
        """See the port; LanceDB holds no connection."""
        self._tables.clear()

    def _put(
        self, name: str, media_ids: Collection[str], table: pa.Table, ids: Sequence[str]
    ) -> None:
        if not media_ids or (not ids and name not in self._known_names()):
            return
        stamp = f"t{time.time_ns():020d}-{uuid.uuid4().hex}"
        stamped = table.add_column(0, "id", pa.array(ids, pa.string()))
        stamped = stamped.append_column(STAMP, pa.array([stamp] * len(ids), pa.string()))

        def write() -> None:
            target = self._latest(name, stamped.schema)
            if ids:
                target.add(fitted(stamped, target))
            _delete(target, media_ids, f"{STAMP} != '{stamp}'")

        self._write(write)

    def _drop(self, name: str) -> None:
        self._tables.pop(name, None)
        self._write(partial(self._db.drop_table, name, ignore_missing=True))

    def _delete_from(self, name: str, media_ids: Collection[str]) -> None:
        _delete(self._latest(name), media_ids)

    def _mend(self, name: str) -> None:
        mend_indexes(self._latest(name))

    def _read(self, name: str, read: Callable[[Any], list[dict[str, Any]]]) -> list[dict[str, Any]]:
        """Rows that `read` gives of a table; none when there is no such table."""

        def read_if_there() -> list[dict[str, Any]]:
            is_there = name in self._tables or name in self._names()
            return read(self._table(name)) if is_there else []

        with self._reported():
            return self._retried(read_if_there)

    def _write(self, write: Callable[[], Any]) -> None:
        with self._reported(), self._turn():
            self._retried(write)

    def _known_names(self) -> list[str]:
        with self._reported():
            return self._names()

    def _names(self) -> list[str]:
        return [name for name in self._db.list_tables(limit=10_000).tables if self._is_made(name)]

    def _is_made(self, name: str) -> bool:
        """Whether a table was ever committed; a full disk or a kill leaves folders that were not."""
        return any(self._folder.glob(f"{glob.escape(name)}.lance/_versions/*.manifest"))

    def _table(self, name: str, schema: pa.Schema | None = None) -> Any:
        """The open table; made with its indexes when `schema` is given and there is none.

        Made only in a writer's turn: what lies there without a commit is nobody's.
        """
        if name not in self._tables:
            if schema is not None and name not in self._names():
                shutil.rmtree(self._folder / f"{name}.lance", ignore_errors=True)
                made = self._db.create_table(name, schema=schema, exist_ok=True)
                mend_indexes(made)
            self._tables[name] = self._db.open_table(name)
        return self._tables[name]

    def _latest(self, name: str, schema: pa.Schema | None = None) -> Any:
        """`_table` with the last commit of any process: what a write or a count stands on."""
        table = self._table(name, schema)
        table.checkout_latest()
        return table

    def _retried(self, act: Callable[[], T]) -> T:
        """The result of `act`, tried again after another writer's commit or on a table made anew."""
        attempt = 0
        while True:
            try:
                return act()
            except VENDOR_ERRORS as error:
                is_gone = "not found" in str(error).lower()  # the table, dropped by another process
                tries = CONFLICT_TRIES if is_conflict(error) else 2 if is_gone else 0
                attempt += 1
                if attempt >= tries:
                    raise
                self._tables.clear()
                time.sleep(0.01 * 2**attempt)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Hold the lock of writers; it falls with the process that holds it."""
        with open(self._folder / LOCK_FILE, "a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    @contextmanager
    def _reported(self) -> Iterator[None]:
        """Raise what LanceDB raises as StoreUnavailable, or DiskFull, with what to do."""
        try:
            yield
        except VENDOR_ERRORS as error:
            raise store_error(error, self._folder) from error


def _made(cls: type[T], row: dict[str, Any]) -> T:
    """A record of a row, which may hold more."""
    return cls(**{field: row[field] for field in cls.__match_args__})  # type: ignore[attr-defined]


def _delete(table: Any, media_ids: Collection[str], condition: str = "true") -> None:
    ordered: Sequence[str] = sorted(media_ids)
    for at in range(0, len(ordered), IDS_AT_ONCE):
        table.delete(f"{among(ordered[at : at + IDS_AT_ONCE])} AND {condition}")
