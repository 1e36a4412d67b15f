"""Faces of one shot joined to tracks: by hand, and on a clip with a face that moves."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image

from dam_pipeline.catalogue.discovery import discover
from dam_pipeline.records import Face
from dam_pipeline.settings import Settings
from dam_pipeline.stages.engine import run_stages
from dam_pipeline.stages.face_tracks import Seen, best_of_tracks, face_quality, face_tracks
from dam_pipeline.stages.work import Toolbox
from dam_pipeline_tests.clips import encode
from dam_pipeline_tests.handmade import axis, between

HERE, ASIDE, FAR = (0.1, 0.1, 0.2, 0.3), (0.15, 0.1, 0.2, 0.3), (0.7, 0.5, 0.2, 0.3)
FLOOR = 0.9


def seen(shot: int, keyframe: int, box: tuple[float, ...], vector: np.ndarray) -> Seen:
    return Seen(shot, keyframe, box, vector)


def test_a_face_that_walks_through_a_shot_is_one_track() -> None:
    faces = [seen(0, 0, HERE, axis(0, 4)), seen(0, 1, FAR, between(0, 1, 0.92, 4))]
    assert face_tracks(faces, FLOOR) == [0, 0]


def test_two_people_are_two_tracks_even_when_they_change_places() -> None:
    faces = [
        *(seen(0, 0, HERE, axis(0, 4)), seen(0, 0, FAR, axis(1, 4))),
        *(seen(0, 1, HERE, axis(1, 4)), seen(0, 1, FAR, axis(0, 4))),
    ]
    assert face_tracks(faces, FLOOR) == [0, 1, 1, 0]


def test_a_turned_face_in_the_same_place_stays_on_its_track() -> None:
    turned = between(0, 1, 0.85, 4)
    assert face_tracks([seen(0, 0, HERE, axis(0, 4)), seen(0, 1, ASIDE, turned)], FLOOR) == [0, 0]
    assert face_tracks([seen(0, 0, HERE, axis(0, 4)), seen(0, 1, FAR, turned)], FLOOR) == [0, 1]
    stranger = between(0, 1, 0.75, 4)
    assert face_tracks([seen(0, 0, HERE, axis(0, 4)), seen(0, 1, ASIDE, stranger)], FLOOR) == [0, 1]


def test_a_face_that_comes_back_within_the_shot_is_the_same_track() -> None:
    faces = [
        seen(0, 0, HERE, axis(0, 4)),
        seen(0, 1, FAR, axis(1, 4)),
        seen(0, 2, ASIDE, axis(0, 4)),
    ]
    assert face_tracks(faces, FLOOR) == [0, 1, 0]


def test_a_track_ends_with_its_shot_and_two_faces_of_a_keyframe_are_two() -> None:
    assert face_tracks([seen(0, 0, HERE, axis(0, 4)), seen(1, 1, HERE, axis(0, 4))], FLOOR) == [
        0,
        1,
    ]
    assert face_tracks([seen(0, 0, HERE, axis(0, 4)), seen(0, 0, FAR, axis(0, 4))], FLOOR) == [0, 1]
    assert face_tracks([], FLOOR) == []


def test_each_track_has_one_best_face() -> None:
    assert best_of_tracks([0, 1, 0, 0], [0.4, 0.2, 0.8, 0.8]) == [False, True, True, False]


def test_a_large_frontal_face_is_better_than_a_small_or_turned_one() -> None:
    marks = ((0.4, 0.4), (0.6, 0.4), (0.5, 0.5), (0.4, 0.6), (0.6, 0.6))
    turned = (*marks[:2], (0.58, 0.5), *marks[3:])
    large = face_quality(Face((0.3, 0.3, 0.4, 0.4), 0.99, marks, axis(0, 4)), 600, 600)
    small = face_quality(Face((0.3, 0.3, 0.1, 0.1), 0.99, marks, axis(0, 4)), 600, 600)
    aside = face_quality(Face((0.3, 0.3, 0.4, 0.4), 0.99, turned, axis(0, 4)), 600, 600)
    assert large == pytest.approx(0.99)
    assert small == pytest.approx(0.99 / 2)
    assert aside == pytest.approx(0.99 * 0.6)


@pytest.fixture
def tools(settings: Settings) -> Iterator[Toolbox]:
    with Toolbox.open(settings) as opened:
        yield opened


def _walk(path: Path) -> Path:
    """12 s without a cut: a woman crosses the picture while a man stays where he is."""
    woman = Image.fromarray(skimage.data.astronaut()[20:220, 130:330])
    man = Image.fromarray(np.repeat(skimage.data.camera()[60:260, 150:350, None], 3, axis=2))
    ground = Image.fromarray(np.repeat(skimage.data.gravel()[:, :, None], 3, axis=2))
    ground = ground.resize((960, 540))
    ground.paste(man.resize((240, 240)), (690, 280))
    frames = []
    for number in range(12 * 5):
        frame = ground.copy()
        frame.paste(woman, (10 + 10 * number, 20))
        frames.append(np.asarray(frame))
    return encode(path, frames, rate="5")


@pytest.mark.weights
def test_a_woman_who_walks_past_a_man_in_one_shot_is_one_track_and_he_another(
    tools: Toolbox, tmp_path: Path
) -> None:
    folder = tmp_path / "originals"
    folder.mkdir()
    _walk(folder / "walk.mp4")
    discover([folder], tools.catalogue, tools.derived, tools.settings)
    (media,) = tools.catalogue.all_media()
    stages = ("probe", "shots", "keyframes", "face_embeddings")
    run_stages(tools, [media.media_id], stages, "run-1")
    assert tools.derived.table(media.media_id, "shots").num_rows == 1
    rows = tools.derived.table(media.media_id, "face_embeddings").to_pylist()
    women = [row for row in rows if row["box"][1] < 0.4]
    men = [row for row in rows if row["box"][1] >= 0.4]
    assert women[-1]["box"][0] - women[0]["box"][0] > 0.2
    assert {row["track"] for row in women} == {0}
    assert {row["track"] for row in men} == {1}
    assert [sum(row["is_best"] for row in group) for group in (women, men)] == [1, 1]
