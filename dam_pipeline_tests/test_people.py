"""Faces gathered to people: who is who, and ids that stay when more faces come."""

from collections.abc import Sequence

import numpy as np
import pytest

from dam_pipeline.graph.people import FaceKey, Sightings, people, persons
from dam_pipeline_tests.handmade import axis, between

FLOOR = 0.9
SIZE = 8


def sightings(
    media: Sequence[str], vectors: Sequence[np.ndarray], tracks: Sequence[int] | None = None
) -> Sightings:
    """Faces numbered within their media, each a track of its own unless told."""
    items = [list(media[:row]).count(name) for row, name in enumerate(media)]
    return Sightings(
        media,
        np.array(items),
        np.array(items if tracks is None else tracks),
        np.linspace(0.5, 0.9, len(media)),
        np.stack(vectors).astype(np.float32),
    )


def known(faces: Sightings, ids: Sequence[str]) -> dict[FaceKey, str]:
    return {faces.key(row): person for row, person in enumerate(ids)}


def first(faces: Sightings, count: int) -> Sightings:
    return Sightings(
        faces.media_ids[:count],
        *(part[:count] for part in (faces.items, faces.tracks, faces.quality, faces.vectors)),
    )


def crowd(seed: int, identities: int, faces: int) -> tuple[Sightings, np.ndarray]:
    """Faces as dlib's recogniser gives them, and whose: cosines 0.96 ± 0.02 for one person, 0.8 ±
    0.05 for two (measured on photographs: 0.94–0.97, and 0.82–0.85 ± 0.03).
    """
    random = np.random.default_rng(seed)
    spread = np.exp(-np.arange(127) / 25)
    spread /= np.linalg.norm(spread)
    middles = np.hstack(
        [np.full((identities, 1), 0.92), 0.4 * random.normal(size=(identities, 127)) * spread]
    )
    popular = random.lognormal(size=identities)
    whose = np.concatenate(
        [
            np.arange(identities),
            random.choice(identities, faces - identities, p=popular / popular.sum()),
        ]
    )
    random.shuffle(whose)
    noise = 0.2 * random.lognormal(-0.06, 0.25, (faces, 1)) * random.normal(size=(faces, 128))
    vectors = middles[whose] + noise * np.concatenate([[0], spread])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return sightings([f"m{row // 2:05}" for row in range(faces)], list(vectors)), whose


def pairwise_f1(ids: Sequence[str], whose: np.ndarray) -> float:
    told = np.unique(ids, return_inverse=True)[1]
    counts = np.zeros((told.max() + 1, whose.max() + 1))
    np.add.at(counts, (told, whose), 1)
    both, ours, true = (
        (part * (part - 1) / 2).sum() for part in (counts, counts.sum(axis=1), counts.sum(axis=0))
    )
    return float(2 * both / (ours + true))


def test_faces_of_one_person_share_an_id_and_others_do_not() -> None:
    faces = sightings(
        ["a", "a", "b", "c"],
        [axis(0, SIZE), axis(1, SIZE), between(0, 2, 0.95, SIZE), axis(3, SIZE)],
    )
    ids = people(faces, FLOOR)
    assert ids[0] == ids[2]
    assert len(set(ids)) == 3
    assert all(one.startswith("person-") and len(one) == 19 for one in ids)


def test_nobody_is_found_among_no_faces() -> None:
    empty = Sightings([], *(np.zeros(0, int),) * 3, np.zeros((0, SIZE), np.float32))
    assert people(empty, FLOOR) == []
    assert persons(empty, []) == []


def test_look_alikes_in_a_chain_are_not_one_person() -> None:
    degrees = np.deg2rad(np.arange(0, 91, 10))  # neighbours have a cosine of 0.985
    vectors = [np.cos(turn) * axis(0, SIZE) + np.sin(turn) * axis(1, SIZE) for turn in degrees]
    ids = people(sightings([f"m{n}" for n in range(10)], vectors), 0.97)
    assert ids[0] != ids[-1]
    assert 3 <= len(set(ids)) <= 6


def test_a_track_counts_as_one_sighting_whatever_its_length() -> None:
    turned = between(0, 1, 0.7, SIZE)  # too far from the first face by itself
    faces = sightings(
        ["a", "b", "b", "b"], [axis(0, SIZE), axis(0, SIZE), axis(0, SIZE), turned], [0, 0, 0, 0]
    )
    assert len(set(people(faces, FLOOR))) == 1
    apart = sightings(["a", "b", "b", "b"], [axis(0, SIZE), axis(0, SIZE), axis(0, SIZE), turned])
    assert len(set(people(apart, FLOOR))) == 2


def test_when_a_new_face_joins_two_people_the_older_id_wins() -> None:
    left, right = axis(0, SIZE), between(0, 1, 0.85, SIZE)
    middle = left + right
    faces = sightings(["a", "b", "c"], [left, right, middle / np.linalg.norm(middle)])
    before = people(first(faces, 2), 0.88)
    assert before[0] != before[1]
    assert people(faces, 0.88, known(first(faces, 2), before)) == [before[0]] * 3
    assert people(faces, 0.88) == [before[0]] * 3


def test_an_id_is_not_given_to_somebody_else_after_its_first_face_has_changed() -> None:
    faces = sightings(["a", "b"], [axis(0, SIZE), axis(0, SIZE)])
    old = people(faces, FLOOR)
    changed = sightings(["a", "b"], [axis(5, SIZE), axis(0, SIZE)])
    fresh = people(changed, FLOOR, {changed.key(1): old[1]})
    assert fresh[1] == old[1] != fresh[0]


def test_a_table_of_people_tells_how_many_faces_in_how_many_media_and_the_best() -> None:
    faces = sightings(["a", "a", "b"], [axis(0, SIZE), axis(1, SIZE), axis(0, SIZE)])
    one, two = persons(faces, people(faces, FLOOR))
    assert (one.faces, one.media, one.best) == (2, 2, ("b", 0))
    assert (two.faces, two.media, two.best) == (1, 1, ("a", 1))


@pytest.fixture(scope="module")
def gathered() -> tuple[Sightings, np.ndarray, list[str]]:
    faces, whose = crowd(seed=3, identities=300, faces=2000)
    return faces, whose, people(faces, 0.925)


def test_two_thousand_faces_of_three_hundred_people_are_told_apart(
    gathered: tuple[Sightings, np.ndarray, list[str]],
) -> None:
    _, whose, ids = gathered
    assert pairwise_f1(ids, whose) > 0.93
    assert 270 <= len(set(ids)) <= 390


def test_ids_stay_when_more_faces_come_and_equal_a_full_rebuild(
    gathered: tuple[Sightings, np.ndarray, list[str]],
) -> None:
    faces, _, full = gathered
    ids, count = people(first(faces, 1800), 0.925), 1800
    for more in (1870, 1940, 2000):
        before = ids
        ids = people(first(faces, more), 0.925, known(first(faces, count), before))
        assert np.mean([a == b for a, b in zip(before, ids, strict=False)]) > 0.98
        count = more
    assert ids == full
