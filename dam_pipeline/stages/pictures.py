"""Keyframe pictures of many files as one stream, so that models get full batches."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from dam_pipeline.errors import SchemaMismatch
from dam_pipeline.records import Json
from dam_pipeline.stages.work import Work


@dataclass(frozen=True, slots=True)
class Picture:
    """One keyframe: whose, which row, and its pixels (h, w, 3) uint8 RGB."""

    work: int
    row: dict[str, Json]
    index: int
    pixels: np.ndarray


def picture_batches(
    works: Sequence[Work], size: int, failures: dict[int, SchemaMismatch]
) -> Iterator[list[Picture]]:
    """Lists of at most `size` pictures over all the files in order; never more in memory.

    A file with a missing or damaged picture gets an entry in `failures`, by its place in `works`.
    """
    batch: list[Picture] = []
    for number, work in enumerate(works):
        try:
            for index, row in enumerate(work.table("keyframes").to_pylist()):
                batch.append(Picture(number, row, index, _pixels(work, row["path"])))
                if len(batch) == size:
                    yield batch
                    batch = []
        except SchemaMismatch as error:
            failures[number] = error
    if batch:
        yield batch


def _pixels(work: Work, path: str) -> np.ndarray:
    try:
        with Image.open(work.folder / path) as image:
            return np.asarray(image.convert("RGB"))
    except OSError as error:
        raise SchemaMismatch(
            f"Keyframe {path} of {work.media.partition_key} cannot be read ({error}). "
            f"Run `dam retry --stage keyframes {work.media.partition_key}`."
        ) from error
