"""Near duplicates: copies at their times, however edited; never for a slate, bars, black or a logo."""

import base64
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

import cv2
import numpy as np
import pytest

from dam_pipeline.graph.edges import Edge
from dam_pipeline.graph.near_duplicate import Prints, near_duplicates
from dam_pipeline.graph.print_vectors import View, fitted, vectors_of
from dam_pipeline.media.prints import print_of_photo
from dam_pipeline.records import Print

HOP_S = 0.5
Film = list[np.ndarray]  # the mean pictures of half seconds, (h, w, 3) uint8


def texture(seed: int, width: int = 192, height: int = 108) -> np.ndarray:
    """A picture full of detail of all sizes, as photographs are."""
    random = np.random.default_rng(seed)
    picture = np.zeros((height, width, 3), np.float32)
    for cells in (3, 6, 12, 24, 48):
        grain = random.normal(0, 60 / cells**0.5, (cells, cells, 3)).astype(np.float32)
        picture += cv2.resize(grain, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(picture + 120, 0, 255).astype(np.uint8)


def film(seed: int, prints: int = 24) -> Film:
    """A camera that travels over a large picture, with a cut in the middle."""
    shots = []
    for half in range(2):
        big = texture(2 * seed + half, 384, 216)
        for at in range(prints // 2):
            shots.append(big[2 * at : 2 * at + 108, 7 * at : 7 * at + 192])
    return shots


def noisy(pictures: Film, seed: int = 0) -> Film:
    """As after another encoding."""
    random = np.random.default_rng(seed)
    return [
        np.clip(one + random.normal(0, 4, one.shape), 0, 255).astype(np.uint8) for one in pictures
    ]


def cropped(pictures: Film) -> Film:
    return [one[11:, 19:] for one in pictures]


def card(kind: str) -> np.ndarray:
    picture = np.full((108, 192, 3), 20, np.uint8)
    if kind == "slate":
        for line in range(4):
            cv2.putText(picture, "SCENE 12 TAKE 3", (10, 25 + 22 * line), 0, 0.6, (240,) * 3, 2)
    elif kind == "bars":
        for bar in range(7):
            picture[:, 27 * bar : 27 * bar + 28] = np.array([bar & 1, bar & 2, bar & 4]) > 0
        picture *= 190
    elif kind == "logo":
        picture[:] = 235
        cv2.circle(picture, (96, 54), 30, (40, 40, 200), -1)
    elif kind == "white":
        picture[:] = 255
    elif kind == "black":
        picture[:] = 0
    return picture


def unpacked(text: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), np.uint8)


def library(media: Mapping[str, Film | np.ndarray]) -> Prints:
    """The prints of films and photographs by name."""
    names = sorted(media)
    rows: list[tuple[int, Print]] = []
    for number, name in enumerate(names):
        one = media[name]
        pictures = one if isinstance(one, list) else [one]
        hop_s = HOP_S if isinstance(one, list) else 0.0
        for at, picture in enumerate(pictures):
            made = print_of_photo(picture)
            rows.append((number, replace(made, start_s=at * hop_s, end_s=(at + 1) * hop_s)))
    return Prints(
        media_ids=names,
        is_photo=np.array([not isinstance(media[name], list) for name in names], bool),
        media=np.array([number for number, _ in rows], np.int64),
        start_s=np.array([one.start_s for _, one in rows]),
        end_s=np.array([one.end_s for _, one in rows]),
        luma=np.array([unpacked(one.luma) for _, one in rows]).reshape(-1, 256),
        chroma=np.array([unpacked(one.chroma) for _, one in rows]).reshape(-1, 32),
        detail=np.array([one.detail for _, one in rows], np.float32),
    )


def edges(**media: Film | np.ndarray) -> list[Edge]:
    return list(near_duplicates(library(media)))


def times(edge: Edge) -> tuple[float, float, float, float]:
    return edge.a_start_s, edge.a_end_s, edge.b_start_s, edge.b_end_s


def test_a_copy_matches_over_its_whole_length() -> None:
    (edge,) = edges(a=film(1), b=noisy(film(1)))
    assert (edge.kind, edge.a_media, edge.b_media) == ("near_duplicate", "a", "b")
    assert times(edge) == (0, 12, 0, 12)
    assert edge.weight > 0.95
    assert edge.evidence["a_share"] == edge.evidence["b_share"] == 1.0
    assert not edge.evidence["is_mirrored"]


@pytest.mark.parametrize("copy_first", [True, False])
def test_a_trimmed_copy_tells_where_it_comes_from(copy_first: bool) -> None:
    whole, part = film(1), noisy(film(1)[6:20])
    (edge,) = edges(a=part, b=whole) if copy_first else edges(a=whole, b=part)
    of_whole, of_part = (times(edge)[2:], times(edge)[:2])
    if not copy_first:
        of_whole, of_part = of_part, of_whole
    assert of_whole == pytest.approx((3, 10), abs=0.1)
    assert of_part == pytest.approx((0, 7), abs=0.1)
    assert edge.evidence["offset_s"] == pytest.approx(3 if copy_first else -3, abs=0.1)


def test_a_copy_whose_prints_fall_between_ours_is_found_to_half_a_print() -> None:
    pictures = [one.astype(np.float32) for one in film(1)]
    between = [((a + b) / 2).astype(np.uint8) for a, b in pairwise(pictures)]
    (edge,) = edges(a=film(1), b=between)
    assert edge.evidence["offset_s"] == pytest.approx(-0.25, abs=0.1)


def test_black_in_front_is_left_out_of_the_stretch() -> None:
    (edge,) = edges(a=film(1), b=[card("black")] * 4 + film(1))
    assert times(edge) == pytest.approx((0, 12, 2, 14), abs=0.1)


def test_a_crop_is_found() -> None:
    (edge,) = edges(a=film(1), b=cropped(film(1)), c=film(2))
    assert (edge.a_media, edge.b_media) == ("a", "b")
    assert times(edge) == pytest.approx((0, 12, 0, 12), abs=0.1)


def test_a_mirrored_copy_is_found_and_told_apart() -> None:
    (edge,) = edges(a=film(1), b=[one[:, ::-1] for one in noisy(film(1))])
    assert edge.evidence["is_mirrored"]
    assert times(edge) == (0, 12, 0, 12)


def test_a_logo_in_the_picture_does_not_hide_a_copy() -> None:
    with_logo = [one.copy() for one in film(1)]
    for one in with_logo:
        one[6:20, 150:184] = 250
    (edge,) = edges(a=film(1), b=with_logo)
    assert times(edge) == (0, 12, 0, 12)


def test_two_stretches_are_told_of_and_the_longer_one_is_the_edges() -> None:
    (edge,) = edges(
        a=film(1)[:18] + film(3), b=film(4)[:6] + film(1)[:8] + film(5)[:5] + film(3)[:12]
    )
    first, second = edge.evidence["matches"]
    assert times(edge) == (
        first["a_start_s"],
        first["a_end_s"],
        first["b_start_s"],
        first["b_end_s"],
    )
    assert times(edge) == pytest.approx((9, 15, 9.5, 15.5), abs=0.6)
    assert second["a_start_s"] == pytest.approx(0, abs=0.3)
    assert second["b_start_s"] == pytest.approx(3, abs=0.3)


@pytest.mark.parametrize("kind", ["black", "white", "slate", "bars", "logo"])
@pytest.mark.parametrize("at_end", [False, True])
def test_a_card_that_two_films_share_is_no_evidence(kind: str, at_end: bool) -> None:
    films = [film(seed, 12) for seed in (1, 2)]
    held = [card(kind)] * 8
    assert not edges(
        **{n: (f + held if at_end else held + f) for n, f in zip("ab", films, strict=True)}
    )


def test_a_leader_of_bars_slate_and_black_is_no_evidence() -> None:
    leader = [card("bars")] * 6 + [card("slate")] * 4 + [card("black")] * 2
    assert not edges(a=leader + film(1), b=leader + film(2))


def test_a_logo_that_fades_in_is_no_evidence() -> None:
    fade = [(card("logo") * (share / 8)).astype(np.uint8) for share in range(9)] + [
        card("logo")
    ] * 2
    assert not edges(a=fade + film(1), b=fade + film(2))


def test_a_rich_still_that_two_films_share_is_no_evidence() -> None:
    assert not edges(a=[texture(9)] * 6 + film(1), b=[texture(9)] * 6 + film(2))


def take(seed: int, prints: int = 24) -> Film:
    """Something moves through a place that is the same in all takes."""
    random, pictures = np.random.default_rng(seed), []
    at, by = random.uniform(20, 80, 2), random.uniform(-6, 6, 2)
    for _ in range(prints):
        at = at + by
        by = np.where((at < 10) | (at > 98), -by, by) + random.normal(0, 1, 2)
        picture = texture(7)
        cv2.circle(picture, (int(at[0] * 1.7), int(at[1])), 14, (230, 230, 40), -1)
        pictures.append(picture)
    return pictures


@pytest.mark.parametrize("prints", [5, 24])
def test_two_takes_of_one_place_are_no_copies(prints: int) -> None:
    assert not edges(a=take(1, prints), b=take(2, prints), c=take(3, prints))
    assert len(edges(a=take(1, prints), b=noisy(take(1, prints)))) == 1


def test_a_film_of_one_rich_still_matches_its_copy_and_a_film_of_one_card_does_not() -> None:
    (edge,) = edges(a=[texture(1)] * 12, b=noisy([texture(1)] * 14))
    assert edge.a_end_s == 6
    for kind in ("slate", "bars", "logo"):
        assert not edges(a=[card(kind)] * 12, b=[card(kind)] * 12)


@pytest.mark.parametrize("edit", ["reencoded", "resized", "cropped", "brighter"])
def test_edited_photographs_match_and_others_do_not(edit: str) -> None:
    photo = texture(1)
    copy = {
        "reencoded": noisy([photo])[0],
        "resized": cv2.resize(photo, (60, 40)),
        "cropped": photo[:98, 12:185],
        "brighter": np.clip(photo * 1.1 + 8, 0, 255).astype(np.uint8),
    }[edit]
    found = edges(a=photo, b=copy, **{f"c{seed}": texture(seed) for seed in range(2, 12)})
    assert [(one.a_media, one.b_media) for one in found] == [("a", "b")]
    assert times(found[0]) == (0, 0, 0, 0)


def test_a_mirrored_photograph_is_told_apart() -> None:
    (edge,) = edges(a=texture(1), b=texture(1)[:, ::-1])
    assert edge.evidence["is_mirrored"]


def test_photographs_of_other_colours_are_no_copies() -> None:
    assert not edges(a=texture(1), b=255 - cv2.cvtColor(255 - texture(1), cv2.COLOR_RGB2BGR))


def test_a_film_that_shows_a_photograph_matches_where_it_shows_it() -> None:
    (edge,) = edges(a=film(1)[:8] + [texture(1)] * 6 + film(2)[:8], b=texture(1))
    assert times(edge) == (4, 7, 0, 0)


def test_media_added_step_by_step_get_the_edges_of_one_look_at_all() -> None:
    media: dict[str, Film | np.ndarray] = {}
    for seed in range(4):
        media |= {
            f"{seed}": film(seed),
            f"{3 - seed}-copy": noisy(film(seed)),
            f"{seed}-trim": film(seed)[5:17],
            f"{3 * seed % 7}-mirror-{seed}": [one[:, ::-1] for one in film(seed)],
            f"{seed}-photo": film(seed)[3],
        }
    whole = list(near_duplicates(library(media)))
    assert len(whole) >= 24
    names = sorted(media, key=lambda name: name[::-1])
    steps: list[Edge] = []
    for start in range(0, len(names), 4):
        known = library({name: media[name] for name in names[: start + 4]})
        new = np.isin(np.array(known.media_ids), names[start : start + 4])
        found = list(near_duplicates(known, new))
        assert all({edge.a_media, edge.b_media} & set(names[start : start + 4]) for edge in found)
        steps += found
    assert sorted(steps, key=lambda edge: (edge.a_media, edge.b_media)) == whole


def test_no_prints_give_no_edges() -> None:
    none = library({})
    assert not list(near_duplicates(none))
    assert not list(near_duplicates(replace(none, media_ids=["a"], is_photo=np.array([False]))))


def test_a_window_is_fitted_to_within_two_parts_in_a_hundred() -> None:
    luma = library({"a": texture(3)}).luma
    cut = library({"a": texture(3)[8:100, 10:180]}).luma
    found = fitted(luma, cut, View())
    expected = (8 / 108, 100 / 108, 10 / 192, 180 / 192)
    assert (found.top, found.bottom, found.left, found.right) == pytest.approx(expected, abs=0.02)
    assert vectors_of(luma, found).shape == (1, 63)
