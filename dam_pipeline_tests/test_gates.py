"""Quality gates: what is let through, and what fails the file."""

import numpy as np
import pyarrow as pa
import pytest

from dam_pipeline import schemas
from dam_pipeline.errors import ResultRejected
from dam_pipeline.records import Segment, Shot
from dam_pipeline.stages.gates import check_order, length_error, uncovered_s


def embeddings(vector: list[float]) -> pa.Table:
    row = {"keyframe": 0, "time_s": 0.0, "start_s": 0.0, "end_s": 1.0, "vector": vector}
    return pa.Table.from_pylist([row], schema=schemas.clip_embeddings(len(vector)))


def test_a_vector_of_length_one_passes() -> None:
    assert length_error(embeddings([0.6, 0.8])) < 1e-6


@pytest.mark.parametrize("vector", [[0.6, 0.9], [np.nan, 1.0], [0.0, 0.0], [np.inf, 0.0]])
def test_a_vector_of_another_length_is_rejected(vector: list[float]) -> None:
    with pytest.raises(ResultRejected, match="length 1"):
        length_error(embeddings(vector))


def test_shots_that_end_early_tell_how_much_is_missing() -> None:
    assert uncovered_s([Shot(0.0, 2.0), Shot(2.0, 3.5)], 4.0) == 0.5


@pytest.mark.parametrize("second", [Shot(2.5, 4.0), Shot(1.5, 4.0)])
def test_shots_with_a_gap_or_an_overlap_are_rejected(second: Shot) -> None:
    with pytest.raises(ResultRejected, match=r"2\.000 s"):
        uncovered_s([Shot(0.0, 2.0), second], 4.0)


def test_words_that_run_backwards_are_rejected() -> None:
    late, early = Segment(5.0, 6.0, "b", "en"), Segment(1.0, 2.0, "a", "en")
    check_order([early, late])
    with pytest.raises(ResultRejected, match="out of order"):
        check_order([late, early])
