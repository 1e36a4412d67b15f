"""Where shots begin: cuts, dissolves and fades, and all that looks like one and is none."""

from collections.abc import Callable, Iterable
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from clips import encode, place

from dam_pipeline.media.boundaries import LAG_S, BoundaryFinder
from dam_pipeline.media.decoder import Decoder, LookPlan
from dam_pipeline.records import Boundary, Look, MediaKind, Shot
from dam_pipeline.settings import Settings

RATE = 25
VIEW = (320, 180)
Picture = np.ndarray
Film = Callable[[float], Picture]  # time → RGB picture of VIEW


def boundaries(film: Film, length_s: float = 6.0, rate: float = RATE) -> list[Boundary]:
    """What is found in a film drawn frame by frame; no codec in between."""
    return found_at(film, (n / rate for n in range(int(length_s * rate))))


def found_at(film: Film, times_s: Iterable[float]) -> list[Boundary]:
    finder = BoundaryFinder(threshold=3.0)
    told = []
    for time_s in times_s:
        small = cv2.resize(film(time_s), (64, 36), interpolation=cv2.INTER_AREA)
        told += finder.feed(time_s, cv2.cvtColor(small, cv2.COLOR_RGB2YUV))
    return [*told, *finder.finish()]


def still(seed: int) -> Film:
    picture = place(seed, *VIEW)
    return lambda time_s: picture


def cut(before: Film, after: Film, at_s: float) -> Film:
    return lambda t: (before if t < at_s - 1e-6 else after)(t)


def blended(before: Film, after: Film, start_s: float, end_s: float) -> Film:
    def film(t: float) -> Picture:
        share = float(np.clip((t - start_s) / (end_s - start_s), 0, 1))
        return cv2.addWeighted(before(t), 1 - share, after(t), share, 0)

    return film


def lit(film: Film, light: Callable[[float], float], level: float = 0.0) -> Film:
    """The film times its light, the rest of it filled with the level."""
    return lambda t: np.clip(film(t) * light(t) + level * (1 - light(t)), 0, 255).astype(np.uint8)


def panned(seed: int, x: Callable[[float], float]) -> Film:
    """A view over a picture four times as wide, its left edge at x (0–1)."""
    world = place(seed, VIEW[0] * 4, VIEW[1])

    def film(t: float) -> Picture:
        left = int(np.clip(x(t), 0, 1) * 3 * VIEW[0])
        return world[:, left : left + VIEW[0]]

    return film


def told(found: list[Boundary]) -> list[tuple[float, str]]:
    return [(round(one.time_s, 2), one.transition) for one in found]


@pytest.mark.parametrize("rate", [10, 24, 25, 29.97, 50, 120])
def test_a_cut_is_told_at_the_new_shots_first_frame_at_any_rate(rate):
    at_s = np.ceil(2.0 * rate) / rate
    found = boundaries(cut(still(1), still(2), at_s), rate=rate)
    assert [(one.time_s, one.transition) for one in found] == [(pytest.approx(at_s), "cut")]


def test_times_between_frames_may_vary():
    random = np.random.default_rng(4)
    times_s = np.cumsum(random.choice([1 / 60, 1 / 30, 0.06], 200))
    at_s = float(times_s[90])
    found = found_at(cut(still(1), still(2), at_s), [float(t) for t in times_s])
    assert [(one.time_s, one.transition) for one in found] == [(at_s, "cut")]


def test_shots_of_less_than_half_a_second_are_told_apart():
    film = cut(cut(still(1), still(2), 2.0), still(3), 2.4)
    assert told(boundaries(film)) == [(2.0, "cut"), (2.4, "cut")]


def test_a_cut_in_the_dark_is_found():
    dark = [lit(still(seed), lambda t: 0.2) for seed in (1, 2)]
    assert told(boundaries(cut(*dark, 3.0))) == [(3.0, "cut")]


def test_a_cut_under_grain_is_found_and_the_grain_is_none():
    def grainy(t: float) -> Picture:
        noise = np.random.default_rng(int(t * 1000)).normal(0, 20, (*VIEW[::-1], 1))
        return np.clip(cut(still(1), still(2), 3.0)(t) + noise, 0, 255).astype(np.uint8)

    assert told(boundaries(grainy)) == [(3.0, "cut")]


@pytest.mark.parametrize("bars", [(24, 0), (0, 109)])
def test_a_cut_between_black_bars_is_found(bars):
    def boxed(t: float) -> Picture:
        picture = np.zeros((*VIEW[::-1], 3), np.uint8)
        inner = (slice(bars[0], VIEW[1] - bars[0]), slice(bars[1], VIEW[0] - bars[1]))
        picture[inner] = cut(still(1), still(2), 3.0)(t)[inner]
        return picture

    assert told(boundaries(boxed)) == [(3.0, "cut")]


@pytest.mark.parametrize("frames", [1, 2, 3, 5])
@pytest.mark.parametrize("strength", [0.5, 1.0])
def test_a_flash_is_no_cut(frames, strength):
    def light(t: float) -> float:
        return 1 - strength if 2.0 - 1e-6 <= t < 2.0 + frames / RATE - 1e-6 else 1.0

    assert boundaries(lit(still(1), light, level=255)) == []


@pytest.mark.parametrize("light", [0.25, 0.5, 1.6])
def test_a_lamp_that_is_switched_is_no_cut(light):
    assert boundaries(lit(still(1), lambda t: light if 2 <= t < 4 else 1.0)) == []


def test_light_that_goes_down_slowly_is_no_transition():
    assert boundaries(lit(still(1), lambda t: float(np.clip(3 - t, 0.3, 1)))) == []


@pytest.mark.parametrize("lasts_s", [0.24, 0.4, 0.8])
def test_a_whip_pan_is_no_cut(lasts_s):
    assert boundaries(panned(1, lambda t: 0.1 + 0.8 * (t - 2) / lasts_s * (t >= 2))) == []


@pytest.mark.parametrize("speed", [0.02, 0.05, 0.1])
def test_a_slow_pan_is_no_transition(speed):
    assert boundaries(panned(2, lambda t: speed * t), 9.0) == []


def test_a_camera_that_shakes_makes_no_cut():
    assert boundaries(panned(3, lambda t: 0.4 + 0.03 * np.sin(9 * t) + 0.02 * np.sin(31 * t))) == []


def test_something_that_passes_close_to_the_camera_is_no_cut():
    thing = place(9, *VIEW)

    def film(t: float) -> Picture:
        picture = place(1, *VIEW)
        left = int((t - 2) / 1.2 * 2.4 * VIEW[0]) - VIEW[0]
        low, high = max(0, left), min(VIEW[0], left + VIEW[0])
        if low < high:
            picture[:, low:high] = thing[:, low - left : high - left]
        return picture

    assert boundaries(film) == []


@pytest.mark.parametrize("lasts_s", [0.4, 1.0, 2.0])
def test_a_dissolve_is_told_at_its_middle_with_its_length(lasts_s):
    film = blended(still(1), still(2), 3 - lasts_s / 2, 3 + lasts_s / 2)
    (found,) = boundaries(film)
    assert found.transition == "dissolve"
    assert found.time_s == pytest.approx(3, abs=0.08)
    assert found.transition_s == pytest.approx(lasts_s, abs=0.3)


def test_a_dissolve_between_moving_pictures_is_found():
    film = blended(panned(1, lambda t: 0.04 * t), panned(2, lambda t: 0.6 - 0.04 * t), 2.5, 3.5)
    (found,) = boundaries(film)
    assert found.transition == "dissolve"
    assert found.time_s == pytest.approx(3, abs=0.15)


@pytest.mark.parametrize(("level", "hold_s"), [(0, 0.1), (255, 0.1), (0, 1.2)])
def test_a_fade_is_told_where_there_is_least_of_the_picture(level, hold_s):
    def light(t: float) -> float:
        return float(np.clip((abs(t - 3) - hold_s / 2) / 0.5, 0, 1))

    film = lit(cut(still(1), still(2), 3.0), light, level)
    (found,) = boundaries(film)
    assert found.transition == "fade"
    assert found.time_s == pytest.approx(3, abs=0.06)
    assert 0.5 <= found.transition_s - hold_s <= 1.1


def test_a_fade_to_black_and_back_to_the_same_scene_begins_no_shot():
    assert boundaries(lit(still(1), lambda t: float(np.clip(abs(t - 3), 0, 1)))) == []


def test_fades_at_the_beginning_and_the_end_of_a_file_begin_no_shot():
    assert boundaries(lit(still(1), lambda t: float(np.clip(min(t, 6 - t), 0, 1)))) == []


def test_boundaries_come_in_order_and_never_later_than_promised():
    first = blended(still(1), still(2), 1.5, 3.0)
    film = cut(cut(first, still(3), 4.0), still(4), 6.0)
    finder, told_s = BoundaryFinder(3.0), []
    for number in range(12 * RATE):
        small = cv2.resize(film(number / RATE), (64, 36), interpolation=cv2.INTER_AREA)
        for one in finder.feed(number / RATE, cv2.cvtColor(small, cv2.COLOR_RGB2YUV)):
            assert number / RATE - LAG_S - 1 / RATE <= one.start_s <= number / RATE - LAG_S
            told_s.append(one.time_s)
    assert told_s == pytest.approx([2.25, 4.0, 6.0], abs=0.1)
    assert all(a < b for a, b in pairwise(told_s))


@pytest.fixture(scope="module")
def decoder(tmp_path_factory):
    with Decoder(Settings(home=tmp_path_factory.mktemp("home"))) as decoder:
        yield decoder


def look(decoder: Decoder, path: Path, folder: Path, **plan) -> Look:
    folder.mkdir()
    return decoder.look(path, MediaKind.VIDEO, folder, LookPlan(**plan))


def clip(path: Path, film: Film, length_s: float, *options: str, rate: int = RATE) -> Path:
    frames = (film(n / rate) for n in range(int(length_s * rate)))
    return encode(path, frames, *options, rate=str(rate))


def test_a_shot_says_how_it_begins_and_its_keyframes_lie_outside_of_the_transition(
    decoder, tmp_path
):
    film = cut(blended(still(1), still(2), 2.4, 3.6), still(3), 6.0)
    seen = look(decoder, clip(tmp_path / "clip.mp4", film, 8.0), tmp_path / "seen")
    assert [shot.transition for shot in seen.shots] == ["start", "dissolve", "cut"]
    assert [shot.start_s for shot in seen.shots] == pytest.approx([0, 3.0, 6.0], abs=0.08)
    assert seen.shots[1].transition_s == pytest.approx(1.2, abs=0.25)
    assert all(not 2.45 < keyframe.time_s < 3.55 for keyframe in seen.keyframes)


def test_known_shots_give_the_keyframes_that_found_ones_give(decoder, tmp_path):
    film = cut(blended(still(1), still(2), 2.4, 3.6), still(3), 6.0)
    path = clip(tmp_path / "clip.mp4", film, 8.0)
    found = look(decoder, path, tmp_path / "found")
    known = look(decoder, path, tmp_path / "known", shots=found.shots)
    assert known.shots == found.shots
    assert known.keyframes == found.keyframes


def test_cuts_in_fifty_pictures_a_second_and_in_fields_are_found_to_the_frame(decoder, tmp_path):
    film = cut(still(1), still(2), 1.2)
    fast = look(decoder, clip(tmp_path / "50p.mp4", film, 2.4, rate=50), tmp_path / "50p")
    assert [shot.start_s for shot in fast.shots] == pytest.approx([0, 1.2], abs=0.021)
    fields = ("-vf", "interlace=scan=tff:lowpass=0", "-flags", "+ildct+ilme")
    path = clip(tmp_path / "50i.mp4", film, 2.4, *fields, rate=50)
    seen = look(decoder, path, tmp_path / "50i", is_interlaced=True)
    assert [shot.start_s for shot in seen.shots] == pytest.approx([0, 1.2], abs=0.041)


def test_an_empty_list_of_known_cuts_is_one_shot(decoder, tmp_path):
    path = clip(tmp_path / "clip.mp4", cut(still(1), still(2), 1.2), 2.4)
    seen = look(decoder, path, tmp_path / "seen", shots=(Shot(0.0, 2.4),))
    assert [(shot.start_s, shot.transition) for shot in seen.shots] == [(0.0, "start")]
