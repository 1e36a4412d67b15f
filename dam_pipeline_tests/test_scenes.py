"""Scenes: which shots belong together, and what a scene carries."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from dam_pipeline.catalogue.discovery import discover
from dam_pipeline.records import Json
from dam_pipeline.samples.drawing import Scene, lay_out, paint
from dam_pipeline.settings import Settings
from dam_pipeline.stages.engine import run_stages
from dam_pipeline.stages.scenes import LINK_WITHIN, colours_in_common, group_shots
from dam_pipeline.stages.work import Toolbox
from dam_pipeline_tests.clips import Picture, encode, ffmpeg
from dam_pipeline_tests.processed import Library, dam_json

STAGES = ("probe", "shots", "keyframes", "clip_embeddings", "tags", "scenes")
RATE = 12
SIZE = (320, 180)
HERE = Scene(1, "red", "circle", "white")
THERE = Scene(2, "blue", "square", "yellow")
ELSEWHERE = Scene(3, "green", "star", "black")


def likeness(shots: str) -> np.ndarray:
    """1 between shots of one letter, 0 between all others."""
    letters = np.array(list(shots))
    return (letters[:, None] == letters[None, :]).astype(np.float32)


def scenes(shots: str) -> list[str]:
    return [shots[start:end] for start, end in group_shots(likeness(shots), 0.5)]


@pytest.mark.parametrize(
    ("shots", "told"),
    [
        ("ABABC", ["ABAB", "C"]),
        ("CABAB", ["C", "ABAB"]),
        ("ABACABDD", ["ABACAB", "DD"]),
        ("AABBB", ["AA", "BBB"]),
        ("ABCD", ["A", "B", "C", "D"]),
        ("A", ["A"]),
        ("", []),
    ],
)
def test_takes_of_one_place_bind_what_lies_between_them(shots: str, told: list[str]) -> None:
    assert scenes(shots) == told


def test_a_place_that_comes_back_much_later_is_another_scene() -> None:
    between = "BCDEFGH"[:LINK_WITHIN]
    assert scenes(f"A{between}A") == ["A", *between, "A"]


def test_likeness_at_the_floor_binds_and_below_it_does_not() -> None:
    pair = np.array([[1, 0.8], [0.8, 1]], np.float32)
    assert group_shots(pair, 0.8) == [(0, 2)]
    assert group_shots(pair, 0.81) == [(0, 1), (1, 2)]


def test_pictures_have_in_common_what_both_show_of_a_colour() -> None:
    blue, half, red = [1.0, 0.0], [0.5, 0.5], [0.0, 1.0]
    common = colours_in_common(np.array([blue, red]), np.array([blue, half]))
    assert common == pytest.approx(np.array([[1.0, 0.5], [0.0, 0.5]]))


def takes(*shown: Scene) -> Iterator[Picture]:
    """Shots of 1.5 s; each place is shot by one camera, which goes on where it was left."""
    cameras = {scene: lay_out(scene, np.random.default_rng(3)) for scene in shown}
    at = dict.fromkeys(shown, 0)
    for scene in shown:
        for _ in range(RATE * 3 // 2):
            drift = 0.02 * at[scene] / RATE
            at[scene] += 1
            yield paint(cameras[scene], SIZE, (drift, drift))


Tables = dict[str, list[Json]]


def processed(settings: Settings, folder: Path) -> Tables:
    """The tables of the only file in a folder, by stage."""
    with Toolbox.open(settings) as tools:
        discover([folder], tools.catalogue, tools.derived, settings)
        (media,) = tools.catalogue.all_media()
        run_stages(tools, [media.media_id], STAGES, "run-1")
        outcomes = {stage: tools.derived.outcome(media.media_id, stage) for stage in STAGES}
        return {
            stage: tools.derived.table(media.media_id, stage).to_pylist()
            for stage, outcome in outcomes.items()
            if outcome and outcome.rows
        }


def edges(found: Sequence[Json]) -> list[float]:
    return [row["start_s"] for row in found] + [found[-1]["end_s"]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "clips"
    made.mkdir()
    return made


def test_a_dialogue_and_what_follows_are_two_scenes_with_all_they_carry(
    settings: Settings, folder: Path
) -> None:
    cut = takes(HERE, THERE, HERE, THERE, ELSEWHERE)
    encode(folder / "film.mp4", cut, rate=str(RATE))
    tables = processed(settings, folder)
    talk, after = tables["scenes"]
    assert edges([talk, after]) == pytest.approx([0.0, 6.0, 7.5], abs=0.1)
    assert (talk["shots"], after["shots"]) == ([0, 1, 2, 3], [4])
    assert {"red-circle", "blue-square", "white", "yellow"} <= set(talk["tags"])
    assert "green-star" in after["tags"]
    assert "green-star" not in talk["tags"]
    assert (after["words"], after["faces"], after["face_rows"]) == ("", 0, [])
    shot_of = [row["shot"] for row in tables["keyframes"]]
    vectors = [r["vector"] for r in tables["clip_embeddings"] if shot_of[r["keyframe"]] < 4]
    mean = np.mean(vectors, axis=0)
    assert talk["vector"] == pytest.approx(mean / np.linalg.norm(mean), abs=1e-5)


def test_without_a_model_the_colours_tell_the_places_apart(
    settings: Settings, folder: Path
) -> None:
    cut = takes(HERE, THERE, HERE, THERE, ELSEWHERE)
    encode(folder / "film.mp4", cut, rate=str(RATE))
    without = settings.model_copy(update={"clip_model": str(folder / "nowhere")})
    found = processed(without, folder)["scenes"]
    assert edges(found) == pytest.approx([0.0, 6.0, 7.5], abs=0.1)
    assert [row["vector"] for row in found] == [None, None]


def test_places_that_the_model_never_saw_are_told_apart_too(
    settings: Settings, folder: Path
) -> None:
    sources = ("testsrc2", "mandelbrot", "testsrc2", "mandelbrot", "smptebars")
    inputs = [
        part
        for source in sources
        for part in ("-f", "lavfi", "-t", "2", "-i", f"{source}=s=320x180:r=12")
    ]
    ffmpeg(*inputs, "-filter_complex", "concat=n=5", "-pix_fmt", "yuv420p", folder / "film.mp4")
    found = processed(settings, folder)["scenes"]
    assert edges(found) == pytest.approx([0.0, 8.0, 10.0], abs=0.2)


def test_a_scene_carries_the_words_and_the_faces_in_it(library: Library) -> None:
    scene = dam_json("show", library.key("interview.mp4"))["scenes"][0]
    assert "orchestra" in scene["words"]
    portrait = dam_json("show", library.key("astronaut.jpg"))
    assert [one["faces"] for one in portrait["scenes"]] == [len(portrait["faces"])] == [1]
    assert portrait["scenes"][0]["tags"]
