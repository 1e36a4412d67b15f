"""Same-face edges: best match, times, boxes."""

from dataclasses import replace

import numpy as np
import pytest

from dam_pipeline.graph.same_face import Faces, same_face
from dam_pipeline_tests.handmade import FACES, axis, between

BOXES = np.array([[0.1, 0.2, 0.3, 0.4], [0.5, 0.5, 0.2, 0.2], [0, 0, 1, 1]])


def faces(media: list[int], vectors: list[np.ndarray]) -> Faces:
    starts = np.array([10.0 * at for at in range(len(media))])
    names = [f"m{number}" for number in range(max(media) + 1)]
    boxes = BOXES[: len(media)]
    return Faces(names, np.array(media), starts + 1, starts, starts + 4, boxes, np.stack(vectors))


def test_the_same_face_in_two_media_is_an_edge_with_times_and_boxes() -> None:
    found = faces([0, 1, 1], [axis(0, 4), axis(1, 4), between(0, 2, 0.9, 4)])
    (edge,) = same_face(found, FACES)
    assert (edge.kind, edge.a_media, edge.b_media) == ("same_face", "m0", "m1")
    assert (edge.a_start_s, edge.a_end_s, edge.b_start_s, edge.b_end_s) == (0, 4, 20, 24)
    (match,) = edge.evidence["matches"]
    assert (match["a_time_s"], match["b_time_s"]) == (1, 21)
    assert match["a_box"] == [0.1, 0.2, 0.3, 0.4]
    assert match["b_box"] == [0, 0, 1, 1]
    # |a - b|² = 2 - 2 cos
    assert edge.evidence["distance"] == pytest.approx(np.sqrt(0.2), abs=1e-4)


def test_other_people_get_no_edge() -> None:
    assert not list(same_face(faces([0, 1], [axis(0, 4), between(0, 1, 0.79, 4)]), FACES))


def test_the_best_of_several_matches_decides() -> None:
    vectors = [axis(0, 4), between(0, 1, 0.85, 4), between(0, 1, 0.95, 4)]
    (edge,) = same_face(faces([0, 1, 1], vectors), FACES)
    assert edge.evidence["count"] == 2
    assert edge.weight == pytest.approx(0.95, abs=1e-4)
    assert edge.b_start_s == 20


def test_two_people_in_one_picture_are_no_edge_by_themselves() -> None:
    assert not list(same_face(faces([0, 0], [axis(0, 4), axis(0, 4)]), FACES))


def test_only_pairs_with_a_new_media_are_looked_at_when_told_which_are_new() -> None:
    found = faces([0, 1, 2], [axis(0, 4), axis(0, 4), axis(0, 4)])
    assert len(list(same_face(found, FACES))) == 3
    edges = list(same_face(found, FACES, np.array([False, False, True])))
    assert [(edge.a_media, edge.b_media) for edge in edges] == [("m0", "m2"), ("m1", "m2")]


def test_a_face_that_is_too_small_to_tell_is_no_evidence() -> None:
    found = faces([0, 1, 2], [axis(0, 4), axis(0, 4), axis(0, 4)])
    edges = list(same_face(replace(found, quality=np.array([0.9, 0.2, 0.3])), FACES))
    assert [(edge.a_media, edge.b_media) for edge in edges] == [("m0", "m2")]
    assert edges[0].b_start_s == 20
