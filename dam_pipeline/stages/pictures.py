"""Keyframe pictures of many files as one stream, so that models get full batches."""

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from PIL import Image

from dam_pipeline.errors import SchemaMismatch
from dam_pipeline.records import Json
from dam_pipeline.stages.outcome import Outcome
from dam_pipeline.stages.stage import RunBatch
from dam_pipeline.stages.visual_pass import NO_PICTURE
from dam_pipeline.stages.work import Toolbox, Work

Row = dict[str, Json]


@dataclass(frozen=True, slots=True)
class Picture:
    """One keyframe: whose (its place among the files), its row and number, and its pixels.

    `pixels` are (h, w, 3) uint8 RGB.
    """

    work: int
    row: Row
    index: int
    pixels: np.ndarray

    @property
    def place(self) -> Row:
        """The columns by which a row of results says which keyframe it is of."""
        times = {name: self.row[name] for name in ("time_s", "start_s", "end_s")}
        return {"keyframe": self.index, **times}


def where_pictures(run: RunBatch) -> RunBatch:
    """A batch function that leaves files without keyframes out; these are `empty`."""

    def run_all(works: Sequence[Work], tools: Toolbox) -> Generator[Outcome]:
        seen = [work for work in works if work.has_rows("keyframes")]
        found = dict(zip(seen, run(seen, tools), strict=True)) if seen else {}
        for work in works:
            yield found[work] if work in found else Outcome.empty(NO_PICTURE)

    return run_all


def rows_of_pictures(
    works: Sequence[Work],
    size: int,
    describe: Callable[[list[Picture]], list[list[Row]]],
    least_px: int | None = None,
) -> list[list[Row] | SchemaMismatch]:
    """The rows that `describe` gives for each picture, gathered by file.

    `describe` is handed at most `size` pictures, across files; with `least_px` they may be reduced
    while they are read, as long as no side gets shorter than that. A file with a missing or damaged
    picture gets the error instead of rows.
    """
    rows: list[list[Row] | SchemaMismatch] = [[] for _ in works]
    for batch in _batches(works, size, rows, least_px):
        for picture, found in zip(batch, describe(batch), strict=True):
            mine = rows[picture.work]
            if isinstance(mine, list):
                mine.extend(found)
    return rows


def table_of(rows: list[Row] | SchemaMismatch, schema: pa.Schema) -> pa.Table:
    """The table of a file's rows; raises the error that stands in their place."""
    if isinstance(rows, SchemaMismatch):
        raise rows
    return pa.Table.from_pylist(rows, schema=schema)


def _batches(
    works: Sequence[Work],
    size: int,
    results: list[list[Row] | SchemaMismatch],
    least_px: int | None,
) -> Iterator[list[Picture]]:
    batch: list[Picture] = []
    for number, work in enumerate(works):
        try:
            for index, row in enumerate(work.table("keyframes").to_pylist()):
                batch.append(Picture(number, row, index, _pixels(work, row["path"], least_px)))
                if len(batch) == size:
                    yield batch
                    batch = []
        except SchemaMismatch as error:
            results[number] = error
    if batch:
        yield batch


def _pixels(work: Work, path: str, least_px: int | None) -> np.ndarray:
    try:
        with Image.open(work.file(path)) as image:
            if least_px:
                image.draft("RGB", (least_px, least_px))
            return np.asarray(image.convert("RGB"))
    except OSError as error:
        raise SchemaMismatch(
            f"Keyframe {path} of {work.media.partition_key} cannot be read ({error}). "
            f"Run `dam retry --stage keyframes {work.media.partition_key}`."
        ) from error
