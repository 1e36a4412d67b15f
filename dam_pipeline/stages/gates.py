"""Quality gates of one file's results: a number for the metadata, or the failure of that file."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pyarrow as pa

from dam_pipeline.errors import ResultRejected
from dam_pipeline.records import Segment, Shot
from dam_pipeline.search.index_rows import vectors_array

LENGTH_TOLERANCE = 1e-3  # bf16 networks end in a float32 division; anything above is a fault
GAP_S = 0.001  # rounding of presentation times


def length_error(table: pa.Table) -> float:
    """How far the vectors' lengths are from 1 at most; raises ResultRejected above the tolerance."""
    lengths = np.linalg.norm(vectors_array(table), axis=1)
    worst = float(np.abs(lengths - 1).max(initial=0.0))
    if not worst <= LENGTH_TOLERANCE:
        raise ResultRejected(
            f"The model gave vectors that are not of length 1 (off by {worst:g}). Check its weights "
            "with `dam models verify`, then `dam retry`."
        )
    return round(worst, 6)


def uncovered_s(shots: Sequence[Shot], duration_s: float) -> float:
    """Seconds of the file that no shot holds; raises ResultRejected for gaps and overlaps."""
    for before, after in pairwise(shots):
        if abs(after.start_s - before.end_s) > GAP_S:
            raise ResultRejected(
                f"The shots leave a gap or overlap at {before.end_s:.3f} s. Please report this file."
            )
    held = shots[-1].end_s - shots[0].start_s if shots else 0.0
    return round(max(duration_s - held, 0.0), 3)


def check_order(segments: Sequence[Segment]) -> None:
    """Raise ResultRejected when segments or words run backwards in time."""
    starts = [segment.start_s for segment in segments]
    words = [word.start_s for segment in segments for word in segment.words]
    if starts != sorted(starts) or words != sorted(words):
        raise ResultRejected(
            "The speech model put words out of order. Try another one (DAM_SPEECH_MODEL), then "
            "`dam retry --stage transcript`."
        )
