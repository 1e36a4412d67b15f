"""The keyframe chooser alone: spans, gaps, change, caps, the hero. Nothing is decoded here."""

from itertools import pairwise

import numpy as np
import pytest

from dam_pipeline.media.candidates import THUMB_PX, Candidate, calm, changed_share, quality
from dam_pipeline.media.keyframes import (
    KeyframeChooser,
    Pick,
    Rules,
    choose_hero,
)
from dam_pipeline.records import Boundary, Shot

STEP_S = 1 / 3


def thumb(level: int = 100) -> np.ndarray:
    picture = np.full((THUMB_PX, THUMB_PX, 3), level, np.uint8)
    picture[::2, ::2] += 40
    return picture


def with_square(side: int, level: int = 220) -> np.ndarray:
    picture = thumb()
    picture[4 : 4 + side, 4 : 4 + side] = level
    return picture


def candidate(time_s: float, look: np.ndarray | None = None, sharpness: float = 100.0) -> Candidate:
    return Candidate(time_s, thumb() if look is None else look, sharpness, 0.5, 0.2)


class Run:
    """Feeds a chooser with a candidate every third of a second; cuts come at once."""

    def __init__(self, end_s: float, cuts=(), look=lambda t: thumb(), rules=None, **more) -> None:
        self.kept: list[float] = []
        chooser = KeyframeChooser(rules or Rules(), lambda c, p: self.kept.append(c.time_s))
        cuts = list(cuts)
        self.most_pending = 0
        for index in range(int(end_s / STEP_S)):
            time_s = index * STEP_S
            while cuts and cuts[0] <= time_s:
                chooser.cut(Boundary(cuts.pop(0), "cut"))
            sharpness = more.get("sharpness", lambda t: 100.0)(time_s)
            chooser.offer(candidate(time_s, look(time_s), sharpness))
            chooser.settle(time_s)
            self.most_pending = max(self.most_pending, len(chooser._pending))
        chooser.finish(end_s)
        self.shots, self.picks = chooser.shots, chooser.picks

    @property
    def times(self) -> list[float]:
        return [pick.time_s for pick in self.picks]


def test_spans_cover_every_shot_without_gaps():
    run = Run(40.0, cuts=[3.0, 17.5, 18.5], look=lambda t: with_square(int(t) % 12))
    for index, shot in enumerate(run.shots):
        spans = [(p.start_s, p.end_s) for p in run.picks if p.shot == index]
        assert spans[0][0] == shot.start_s
        assert spans[-1][1] == shot.end_s
        assert all(a[1] == b[0] for a, b in pairwise(spans))


def test_each_shot_has_a_keyframe_inside_it():
    run = Run(10.0, cuts=[1.0, 2.0, 2.7, 9.0])
    assert [shot.start_s for shot in run.shots] == [0.0, 1.0, 2.0, 2.7, 9.0]
    for index, shot in enumerate(run.shots):
        assert any(p.shot == index and shot.start_s <= p.time_s < shot.end_s for p in run.picks)


@pytest.mark.parametrize("gap_s", [2.0, 5.0, 12.0])
def test_no_span_and_no_pause_is_longer_than_the_gap(gap_s):
    run = Run(61.0, rules=Rules(gap_s=gap_s), sharpness=lambda t: 100 + 50 * np.sin(t * 3))
    assert all(p.end_s - p.start_s <= gap_s for p in run.picks)
    assert max(np.diff([0.0, *run.times, 61.0])) <= gap_s


def test_a_still_shot_of_a_minute_takes_no_more_keyframes_than_it_must():
    assert 12 <= len(Run(60.0).picks) <= 16


def test_something_that_comes_for_ten_seconds_earns_a_keyframe_of_its_own():
    run = Run(60.0, look=lambda t: with_square(8) if 21.0 <= t < 31.0 else thumb())
    own = [p for p in run.picks if p.start_s >= 20.9 and p.end_s <= 31.1]
    assert abs(own[0].time_s - 21.0) <= 3
    assert "changed" in own[0].why
    assert {round(p.start_s) for p in run.picks} >= {21, 31}


def test_something_small_counts_in_a_still_picture():
    assert changed_share(thumb(), with_square(6)) > 0.12
    assert changed_share(thumb(), with_square(2)) < 0.12


def test_a_change_of_brightness_alone_is_no_change():
    assert changed_share(thumb(100), thumb(118)) == 0.0


def test_a_restless_picture_does_not_earn_more_than_the_cap_in_any_minute():
    random = np.random.default_rng(1)
    run = Run(180.0, look=lambda t: random.integers(0, 255, (32, 32, 3)).astype(np.uint8))
    times = np.array(run.times)
    assert max(((times >= t) & (times < t + 60)).sum() for t in times) <= 20
    assert max(np.diff(times)) <= 5


def test_a_cap_below_what_the_gap_needs_gives_way_to_the_gap():
    run = Run(60.0, rules=Rules(per_minute=2))
    assert max(np.diff([0.0, *run.times, 60.0])) <= 5


def test_the_sharper_picture_of_a_span_is_taken():
    run = Run(3.0, sharpness=lambda t: 900.0 if abs(t - 4 * STEP_S) < 0.01 else 30.0)
    assert run.times[0] == pytest.approx(4 * STEP_S)


def test_the_picture_next_to_a_cut_is_second_choice():
    run = Run(6.0, cuts=[3.0], sharpness=lambda t: 120.0 if t in (0.0, 3.0) else 100.0)
    assert all(abs(time_s - edge_s) >= 0.25 for time_s in run.times for edge_s in (0.0, 3.0, 6.0))


def test_a_change_in_the_last_moment_of_a_shot_earns_no_keyframe():
    run = Run(3.0, look=lambda t: with_square(12) if t > 2.5 else thumb())
    assert [(p.start_s, p.end_s) for p in run.picks] == [(0.0, 3.0)]


def test_black_before_the_first_picture_is_no_keyframe():
    chooser = KeyframeChooser(Rules(), lambda c, p: None)
    for index in range(12):
        time_s = index * STEP_S
        is_black = time_s < 1.5
        look = np.zeros((THUMB_PX, THUMB_PX, 3), np.uint8) if is_black else thumb()
        exposure, contrast = (0.0, 0.0) if is_black else (0.5, 0.2)
        chooser.offer(Candidate(time_s, look, 0.0 if is_black else 100.0, exposure, contrast))
        chooser.settle(time_s)
    chooser.finish(4.0)
    assert [p.time_s >= 1.5 for p in chooser.picks] == [True]
    assert (chooser.picks[0].start_s, chooser.picks[0].end_s) == (0.0, 4.0)


def test_black_white_and_blank_pictures_are_poor():
    good = quality(Candidate(0, thumb(), 100.0, 0.5, 0.2))
    for exposure, contrast in ((0.0, 0.0), (1.0, 0.0), (0.5, 0.0), (0.01, 0.01)):
        assert quality(Candidate(0, thumb(), 5.0, exposure, contrast)) < 0.1 * good


def test_memory_does_not_grow_with_duration():
    assert Run(20.0).most_pending == Run(600.0).most_pending <= 3


def test_a_single_frame_is_a_shot_with_a_keyframe():
    chooser = KeyframeChooser(Rules(), lambda c, p: None)
    chooser.offer(candidate(0.0))
    chooser.settle(0.0)
    chooser.finish(0.04)
    assert chooser.shots == [Shot(0.0, 0.04)]
    assert [(p.time_s, p.start_s, p.end_s) for p in chooser.picks] == [(0.0, 0.0, 0.04)]


def test_a_shot_that_no_candidate_fell_into_is_part_of_the_next():
    chooser = KeyframeChooser(Rules(), lambda c, p: None)
    chooser.cut(Boundary(0.2, "cut"))
    chooser.offer(candidate(0.3))
    chooser.finish(1.0)
    assert chooser.shots == [Shot(0.0, 1.0)]


def test_the_hero_is_sharp_well_exposed_and_from_the_longest_shot():
    def pick(shot: int, time_s: float, sharp: float) -> Pick:
        return Pick(shot, time_s, 0, 0, np.log1p(sharp), sharp, 0.5, "")

    shots = [Shot(0, 2), Shot(2, 12), Shot(12, 14)]
    picks = [pick(0, 1, 300), pick(1, 2.1, 300), pick(1, 7, 280), pick(2, 13, 300)]
    index, why = choose_hero(picks, shots)
    assert index == 2
    assert why == "hero: sharpness 280, exposure 0.50, 5.0 s from a cut, in a shot of 10.0 s"


def test_a_blink_is_less_calm_than_the_moments_around_it():
    open_eyes = np.full((36, 64), 120, np.uint8)
    open_eyes[12:14, 20:24] = open_eyes[12:14, 32:36] = 240
    closed_eyes = np.full((36, 64), 120, np.uint8)
    around = [open_eyes, closed_eyes, closed_eyes, open_eyes, open_eyes]
    assert calm(around, open_eyes) == 1.0
    assert calm(around, closed_eyes) < 0.5


def test_a_calm_moment_is_taken_before_a_sharper_blink():
    moments = [np.full((36, 64), 120, np.uint8) for _ in range(9)]
    moments[4][12:15, 20:30] = 20
    kept = []
    chooser = KeyframeChooser(Rules(), lambda c, p: kept.append(c.time_s))
    for index, moment in enumerate(moments):
        sharpness = 300.0 if index == 4 else 100.0
        chooser.offer(Candidate(index * STEP_S, thumb(), sharpness, 0.5, 0.2, moment=moment))
    chooser.settle(9 * STEP_S)
    chooser.finish(9 * STEP_S)
    assert kept
    assert 4 * STEP_S not in kept


def test_a_small_thing_in_a_still_picture_earns_a_keyframe_and_in_a_restless_one_does_not():
    def visited(t: float) -> np.ndarray:
        return with_square(5, level=190) if 20.0 <= t < 30.0 else thumb()

    def swaying(t: float) -> np.ndarray:
        picture = visited(t)
        picture[20:25, 20:25] += np.uint8(14 * (round(t / STEP_S) % 2))
        return picture

    starts = [round(pick.start_s) for pick in Run(60.0, look=visited).picks]
    assert 20 in starts
    restless = Run(60.0, look=swaying)
    assert not any("sixteenth" in pick.why for pick in restless.picks)


def test_something_that_moves_slowly_through_a_short_shot_earns_two_keyframes_at_most():
    def moving(t: float) -> np.ndarray:
        picture = thumb()
        left = int(t * 6)
        picture[8:22, left : left + 12] = 220
        return picture

    assert len(Run(3.0, look=moving).picks) <= 2
