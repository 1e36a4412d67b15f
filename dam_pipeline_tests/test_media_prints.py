"""Prints of pictures: two a second, of the picture without its black bars, whatever the frame rate."""

import base64
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dam_pipeline.catalogue.discovery import discover
from dam_pipeline.media.prints import PrintMaker, print_of_photo
from dam_pipeline.records import Print
from dam_pipeline.settings import Settings
from dam_pipeline.stages.engine import run_stages
from dam_pipeline.stages.work import Toolbox
from dam_pipeline_tests.clips import encode, place


def luma(made: Print) -> np.ndarray:
    return np.frombuffer(base64.b64decode(made.luma), np.uint8).reshape(16, 16).astype(int)


def seen(pictures: list[np.ndarray], rate: float = 25, turns: int = 0) -> tuple[Print, ...]:
    """The prints of RGB pictures shown one after the other at a rate."""
    maker = PrintMaker()
    for number, picture in enumerate(pictures):
        maker.see(number / rate, picture[:, :, ::-1], turns, False)
    return maker.finish(len(pictures) / rate)


def boxed(picture: np.ndarray, top: int, left: int) -> np.ndarray:
    """The picture with black bars above and below, and at both sides."""
    return np.pad(picture, ((top, top), (left, left), (0, 0)))


def difference(one: Print, other: Print) -> float:
    return float(np.abs(luma(one) - luma(other)).mean())


def test_two_prints_a_second_cover_the_whole_clip() -> None:
    made = seen([place(1)] * 60)
    assert [one.start_s for one in made] == pytest.approx([0, 0.5, 1.0, 1.5, 2.0])
    assert [one.end_s for one in made] == pytest.approx([0.5, 1.0, 1.5, 2.0, 2.4])


def test_a_frame_counts_for_as_long_as_it_shows() -> None:
    maker = PrintMaker()
    grey = np.full((90, 160, 3), 100, np.uint8)
    maker.see(0.0, grey, 0, False)
    maker.see(0.4, grey + 100, 0, False)
    maker.see(2.0, grey, 0, False)
    made = maker.finish(2.1)
    assert len(made) == 5
    assert luma(made[0]).mean() == pytest.approx(0.8 * 100 + 0.2 * 200, abs=1)
    assert [round(luma(one).mean()) for one in made[1:]] == [200, 200, 200, 100]


def test_another_frame_rate_gives_the_same_prints() -> None:
    frames = [np.roll(place(2), 2 * number, axis=1) for number in range(100)]
    for one, other in zip(seen(frames, 50), seen(frames[::2], 25), strict=True):
        assert difference(one, other) < 1.5


@pytest.mark.parametrize(("top", "left"), [(30, 0), (0, 54), (20, 36)])
def test_black_bars_are_cut_away(top: int, left: int) -> None:
    plain = seen([place(3)] * 25)
    for one, other in zip(plain, seen([boxed(place(3), top, left)] * 25), strict=True):
        assert difference(one, other) < 6
        assert difference(one, print_of_photo(boxed(place(4), top, left))) > 15


def test_a_bar_on_one_side_alone_is_a_dark_part_of_the_picture() -> None:
    picture = place(3)
    picture[:60] = 0
    assert luma(seen([picture] * 25)[0])[:4].max() < 10


def test_what_moves_into_the_bars_within_five_seconds_makes_them_part_of_the_picture() -> None:
    dark, lit = boxed(place(3), 30, 0), boxed(place(3), 30, 0)
    lit[:] = np.maximum(lit, 60)
    made = seen([dark] * 25 + [lit] * 25)
    assert luma(made[0])[0].max() < 10


def test_black_says_nothing_and_a_textured_picture_much() -> None:
    random = np.random.default_rng(0)
    assert print_of_photo(np.zeros((90, 160, 3), np.uint8)).detail == 0
    assert print_of_photo(random.integers(0, 255, (90, 160, 3), dtype=np.uint8)).detail > 0.9


def test_a_turned_frame_is_printed_upright() -> None:
    upright = place(5)
    on_its_side = np.rot90(upright, -1)
    assert difference(seen([upright] * 25)[0], seen([on_its_side] * 25, turns=1)[0]) < 2


def test_no_frames_make_no_prints() -> None:
    assert PrintMaker().finish(0.0) == ()


@pytest.fixture
def tools(settings: Settings) -> Iterator[Toolbox]:
    with Toolbox.open(settings) as opened:
        yield opened


def test_the_stage_keeps_what_the_one_pass_of_the_batch_saw(tools: Toolbox, tmp_path: Path) -> None:
    folder = tmp_path / "originals"
    folder.mkdir()
    encode(folder / "clip.mp4", [place(1)] * 30 + [place(2)] * 30)
    discover([folder], tools.catalogue, tools.derived, tools.settings)
    (media,) = tools.catalogue.all_media()
    run_stages(tools, [media.media_id], ("probe", "shots", "keyframes", "fingerprints"), "run-1")
    rows = tools.derived.table(media.media_id, "fingerprints").to_pylist()
    assert [row["start_s"] for row in rows] == pytest.approx([0, 0.5, 1.0, 1.5, 2.0])
    first, last = (np.frombuffer(rows[at]["luma"], np.uint8).astype(int) for at in (0, -1))
    for row, seed in ((first, 1), (last, 2)):
        expected = luma(print_of_photo(place(seed))).ravel()
        assert np.abs(row - expected).mean() < 4
    assert len(rows[0]["chroma"]) == 32


def test_prints_made_again_without_the_shots_are_the_same(tools: Toolbox, tmp_path: Path) -> None:
    folder = tmp_path / "originals"
    folder.mkdir()
    encode(folder / "clip.mp4", [np.roll(place(1), 3 * n, axis=1) for n in range(50)])
    discover([folder], tools.catalogue, tools.derived, tools.settings)
    (media,) = tools.catalogue.all_media()
    run_stages(tools, [media.media_id], ("probe", "shots", "fingerprints"), "run-1")
    before = tools.derived.table(media.media_id, "fingerprints")
    row = tools.catalogue.states.of([media.media_id])[media.media_id]["fingerprints"]
    tools.catalogue.states.record([replace(row, code_version="0.an-older.one")])
    run_stages(tools, [media.media_id], ("fingerprints",), "run-2")
    assert (
        tools.catalogue.states.of([media.media_id])[media.media_id]["fingerprints"].run_id
        == "run-2"
    )
    assert tools.derived.table(media.media_id, "fingerprints").equals(before)
