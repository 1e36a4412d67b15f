"""Takes that continue one another: in which order, for which reasons, and what rules it out."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from dam_pipeline.graph.continues import Take, continues, metres_between, take_of
from dam_pipeline.graph.edges import Edge
from dam_pipeline_tests.handmade import PICTURES, axis, between

HARBOUR = (53.5461, 9.9661)
TOWER = (48.8584, 2.2945)
Looks = dict[str, tuple[np.ndarray, np.ndarray]]


def take(media_id: str, name: str, created_at: str | None = None, **probe: Any) -> Take:
    """A take of 60 s, unless its probe says otherwise."""
    says = {"duration_s": 60.0, "created_at": created_at, "camera": "FX6", "frame_rate": 25.0}
    return take_of(media_id, name, False, says | probe)


def edges_of(*takes: Take, looks: Looks | None = None) -> list[Edge]:
    return list(continues(takes, (looks or {}).get, PICTURES))


def one_edge(*takes: Take, looks: Looks | None = None) -> Edge:
    (edge,) = edges_of(*takes, looks=looks)
    return edge


def reasons(edge: Edge) -> dict[str, Any]:
    return edge.evidence["reasons"]


A = take("a", "C0001.MP4", "2026-03-01T10:00:00")
NEXT = take("b", "C0002.MP4", "2026-03-01T10:01:04")


def test_the_next_take_of_a_camera_is_told_with_each_reason_and_its_value() -> None:
    edge = one_edge(A, NEXT)
    assert (edge.kind, edge.a_media, edge.b_media) == ("continues", "a", "b")
    assert (edge.evidence["from"], edge.evidence["to"]) == ("a", "b")
    assert (edge.evidence["a_role"], edge.evidence["b_role"]) == ("first", "next")
    assert reasons(edge)["time"]["gap_s"] == 4.0
    assert reasons(edge)["camera"]["camera"] == "FX6"
    assert reasons(edge)["name"]["names"] == ["C0001.MP4", "C0002.MP4"]
    # 1 - (1 - 0.5 * (1 - 4/300)) (1 - 0.2) (1 - 0.3)
    assert edge.weight == pytest.approx(1 - (1 - 0.5 * (1 - 4 / 300)) * 0.8 * 0.7, abs=1e-6)


def test_the_direction_does_not_depend_on_the_ids() -> None:
    later = take("0", "C0002.MP4", "2026-03-01T10:01:04")
    edge = one_edge(A, later)
    assert (edge.a_media, edge.b_media) == ("0", "a")
    assert (edge.evidence["from"], edge.evidence["to"]) == ("a", "0")
    assert (edge.evidence["a_role"], edge.evidence["b_role"]) == ("next", "first")


def test_a_take_is_followed_by_its_next_alone() -> None:
    last = take("c", "C0003.MP4", "2026-03-01T10:02:10")
    pairs = {(edge.evidence["from"], edge.evidence["to"]) for edge in edges_of(last, A, NEXT)}
    assert pairs == {("a", "b"), ("b", "c")}


@pytest.mark.parametrize(
    "other",
    [
        take("b", "C0002.MP4", "2026-03-01T10:07:00"),
        take("b", "C0002.MP4", "2026-03-01T10:00:30"),
        take("b", "C0002.MP4", "2026-03-01T10:01:04", camera="A7"),
        take("b", "C0002.MP4", "2026-03-01T10:01:04+00:00"),
        take("b", "C0002.MP4"),
    ],
    ids=["six minutes later", "while it runs", "another camera", "another clock", "no time"],
)
def test_what_does_not_fit_is_no_continuation(other: Take) -> None:
    assert edges_of(A, other) == []


def test_a_place_far_away_rules_it_out_and_the_same_place_speaks_for_it() -> None:
    here = take("a", "x.mp4", "2026-03-01T10:00:00", gps=_gps(HARBOUR))
    near = take("b", "y.mp4", "2026-03-01T10:01:10", gps=_gps((53.5462, 9.9662)))
    far = take("b", "y.mp4", "2026-03-01T10:01:10", gps=_gps(TOWER))
    assert reasons(one_edge(here, near))["place"]["distance_m"] == pytest.approx(13, abs=1)
    assert edges_of(here, far) == []


def test_timecodes_that_follow_are_enough_without_a_clock() -> None:
    first = take("a", "x.mxf", timecode="10:00:00:00")
    second = take("b", "y.mxf", timecode="10:01:00:00")
    late = take("b", "y.mxf", timecode="10:01:02:00")
    assert reasons(one_edge(first, second))["timecode"]["gap_s"] == 0
    assert edges_of(first, late) == []


def test_how_the_end_of_one_looks_like_the_start_of_the_other_counts() -> None:
    plain = one_edge(A, NEXT)
    looks = {"a": (axis(0), axis(1)), "b": (between(1, 2, 0.95), axis(3))}
    alike = one_edge(A, NEXT, looks=looks)
    assert reasons(alike)["look"]["cosine"] == pytest.approx(0.95, abs=1e-6)
    assert alike.weight > plain.weight
    assert alike.evidence["space"] == PICTURES.name
    other = {"a": (axis(1), axis(0)), "b": (axis(1), axis(3))}
    assert "look" not in reasons(one_edge(A, NEXT, looks=other))


def test_photographs_of_a_burst_follow_one_another() -> None:
    shots = [
        take_of(
            name, f"IMG_{name}.JPG", True, {"created_at": f"2026-03-01T10:00:0{at}", "camera": "R5"}
        )
        for at, name in enumerate(("0997", "0998", "0999"))
    ]
    assert [_names(edge) for edge in edges_of(*shots)] == [("0997", "0998"), ("0998", "0999")]


def test_numbers_in_names_are_counted_on_and_not_compared_as_text() -> None:
    nine = take("a", "take9.mov", "2026-03-01T10:00:00")
    ten = take("b", "take10.mov", "2026-03-01T10:01:00")
    other = take("b", "scene10.mov", "2026-03-01T10:01:00")
    assert "name" in reasons(one_edge(nine, ten))
    assert "name" not in reasons(one_edge(nine, other))


def test_distances_are_those_of_an_atlas() -> None:
    # Hamburg's harbour to the Eiffel tower: some 746 km
    assert metres_between(HARBOUR, TOWER) / 1000 == pytest.approx(746, abs=5)


def _gps(place: Sequence[float]) -> dict[str, float]:
    return {"lat": place[0], "lon": place[1]}


def _names(edge: Edge) -> tuple[str, str]:
    return edge.evidence["from"], edge.evidence["to"]
