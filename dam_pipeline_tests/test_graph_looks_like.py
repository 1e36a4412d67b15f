"""Look-alike edges: exact, one a pair of media, about the right stretches, never from blank pictures."""

from collections.abc import Sequence

import numpy as np
import pytest

from dam_pipeline.graph import pairs
from dam_pipeline.graph.edges import stretches_around
from dam_pipeline.graph.looks_like import Pictures, looks_like
from dam_pipeline.graph.pairs import alike_pairs
from dam_pipeline_tests.handmade import PICTURES, axis, between


def pictures(
    *media: Sequence[np.ndarray], exposure: float = 0.5, sharpness: float = 50
) -> Pictures:
    """Keyframe n of each media stands for [5n, 5n + 5) s."""
    numbers = [m for m, vectors in enumerate(media) for _ in vectors]
    places = np.array([at for vectors in media for at in range(len(vectors))], float)
    return Pictures(
        [f"m{number}" for number in range(len(media))],
        np.array(numbers),
        places * 5 + 2,
        places * 5,
        places * 5 + 5,
        np.full(len(numbers), float(sharpness)),
        np.full(len(numbers), exposure),
        np.stack([vector for vectors in media for vector in vectors]),
    )


def test_two_media_with_one_alike_picture_get_one_edge_about_it() -> None:
    found = pictures([axis(0), axis(1)], [axis(2), axis(3), between(1, 4, 0.95)])
    (edge,) = looks_like(found, PICTURES)
    assert (edge.kind, edge.a_media, edge.b_media) == ("looks_like", "m0", "m1")
    assert (edge.a_start_s, edge.a_end_s) == (5, 10)
    assert (edge.b_start_s, edge.b_end_s) == (10, 15)
    assert edge.weight == pytest.approx(0.95, abs=1e-5)
    assert edge.evidence["count"] == 1
    assert edge.evidence["space"] == PICTURES.name
    assert edge.evidence["matches"][0]["a_time_s"] == 7


def test_below_the_floor_there_is_no_edge() -> None:
    assert not list(looks_like(pictures([axis(0)], [between(0, 1, 0.89)]), PICTURES))


def test_a_media_has_no_edge_to_itself() -> None:
    assert not list(looks_like(pictures([axis(0), axis(0)], [axis(1)]), PICTURES))


def test_a_still_and_a_take_that_shows_it_all_along_match_over_the_whole_take() -> None:
    (edge,) = looks_like(pictures([axis(0)], [axis(0)] * 6), PICTURES)
    assert (edge.b_start_s, edge.b_end_s) == (0, 30)
    assert edge.evidence["count"] == 6


def test_neighbouring_matches_make_the_stretch_longer() -> None:
    found = pictures([axis(0), axis(0), axis(1), axis(0)], [axis(0)])
    (edge,) = looks_like(found, PICTURES)
    assert (edge.a_start_s, edge.a_end_s) == (0, 10)
    assert edge.evidence["count"] == 3


@pytest.mark.parametrize("blank", [{"exposure": 0.01}, {"exposure": 0.99}, {"sharpness": 0.2}])
def test_black_white_and_flat_pictures_are_no_evidence(blank: dict[str, float]) -> None:
    assert not list(looks_like(pictures([axis(0)], [axis(0)], **blank), PICTURES))


def test_every_pair_is_found_once_whatever_the_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairs, "BLOCK_ROWS", 7)
    monkeypatch.setattr(pairs, "REDUCE_ABOVE", 20)
    monkeypatch.setattr(pairs, "PAIRS_KEPT", 12)
    random = np.random.default_rng(3)
    vectors = random.normal(size=(60, 3)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    media = np.sort(random.integers(0, 12, 60))
    cosines = vectors @ vectors.T
    expected: dict[tuple[int, int], list[float]] = {}
    for a in range(60):
        for b in range(60):
            if media[a] < media[b] and cosines[a, b] >= 0.8:
                expected.setdefault((media[a], media[b]), []).append(cosines[a, b])
    found = {(pair.a, pair.b): pair for pair in alike_pairs(vectors, media, 0.8)}
    assert found.keys() == expected.keys()
    for key, values in expected.items():
        assert found[key].count == len(values)
        kept = found[key].matches
        assert [m[2] for m in kept] == sorted((m[2] for m in kept), reverse=True)
        for side in (0, 1):
            best: dict[int, float] = {}
            for match in kept:
                best[match[side]] = max(match[2], best.get(match[side], 0))
            for row, cosine in best.items():
                other = media == key[1 - side]
                assert cosine == pytest.approx(cosines[row][other].max(), abs=1e-5)


def test_where_everything_is_alike_the_strongest_of_each_media_stay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pairs, "PAIRS_KEPT", 2)
    # Media 0 to 9 on an arc: the nearer two numbers, the higher their cosine.
    turns = np.linspace(0, 0.3, 10)
    vectors = np.stack([np.cos(turns), np.sin(turns)], axis=1).astype(np.float32)
    found = {(pair.a, pair.b) for pair in alike_pairs(vectors, np.arange(10), 0.9)}
    assert found == {(a, b) for a in range(10) for b in range(10) if 0 < b - a <= 2}


def test_no_vectors_give_no_pairs() -> None:
    assert not list(alike_pairs(np.zeros((0, 8), np.float32), np.zeros(0, np.int64), 0.9))


A1, A2, A3, A9 = (0, 5), (5, 10), (10, 15), (45, 50)


@pytest.mark.parametrize(
    ("matches", "stretches"),
    [
        ([(A1, A1)], (A1, A1)),
        ([(A2, A3), (A1, A2)], ((0, 10), (5, 15))),
        ([(A1, A1), (A3, A3), (A2, A2)], ((0, 15), (0, 15))),
        # The same picture again elsewhere in one of them belongs to another passage.
        ([(A1, A1), (A9, A1)], (A1, A1)),
        ([(A1, A1), (A2, A9)], (A1, A1)),
        # A photograph and a take that holds the same picture all along.
        ([((0, 0), A1), ((0, 0), A2)], ((0, 0), (0, 10))),
    ],
)
def test_stretches_grow_over_matches_that_touch_on_both_sides(matches, stretches) -> None:
    assert stretches_around(matches) == stretches
