"""Edges from a take to the one that goes on where it ends: by time, timecode, camera, name, place, look.

A take has one next take a way of finding it, so these edges are always found anew for the whole
library: a new file between two others takes their place. That costs a sort of the media.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

import numpy as np

from dam_pipeline.graph.edges import CONTINUES, Edge
from dam_pipeline.records import Json, Space

LONGEST_GAP_S = 300.0  # from the end of a take to the start of the next
LARGEST_OVERLAP_S = 2.0  # clocks are written in whole seconds, and split files share a few frames
SAME_PLACE_M = 150.0
OTHER_PLACE_M = 2000.0  # nobody gets there in between
TIMECODE_SLACK_S = 1.0
LEAST_WEIGHT = 0.5
# What each reason is worth at best; all of them together: 1 − Π(1 − worth).
WORTH = {"time": 0.5, "timecode": 0.6, "camera": 0.2, "name": 0.3, "place": 0.2, "look": 0.3}
EARTH_RADIUS_M = 6_371_000.0
_COUNTED = re.compile(r"(.*?)(\d{1,9})(\D*)")
_TIMECODE = re.compile(r"(\d{2}):(\d{2}):(\d{2})[:;.](\d{2,3})")


@dataclass(frozen=True, slots=True)
class Take:
    """A file as its probe tells of it; `start` is when it begins, in seconds, or None.

    `clock` tells times with a zone from those without; `timecode_s` counts from midnight. `first` and
    `last` are the spans of its first and last keyframe, and their vectors or None.
    """

    media_id: str
    name: str
    duration_s: float
    is_photo: bool
    clock: str = ""
    start: float | None = None
    camera: str | None = None
    gps: tuple[float, float] | None = None
    timecode_s: float | None = None
    first: tuple[float, float] = (0.0, 0.0)
    last: tuple[float, float] = (0.0, 0.0)


Ends = Callable[[str], tuple[np.ndarray, np.ndarray] | None]


def take_of(media_id: str, name: str, is_photo: bool, probe: Mapping[str, Json]) -> Take:
    """A take from what its probe says."""
    duration_s = float(probe.get("duration_s") or 0.0)
    clock, start = _clock(probe.get("created_at"))
    gps = probe.get("gps")
    end = (duration_s, duration_s)
    return Take(
        media_id,
        name,
        duration_s,
        is_photo,
        clock,
        start,
        probe.get("camera"),
        (gps["lat"], gps["lon"]) if gps else None,
        _timecode_s(probe.get("timecode"), probe.get("frame_rate")),
        last=end,
    )


def continues(takes: Sequence[Take], ends: Ends, space: Space | None) -> Iterator[Edge]:
    """One edge a pair of takes of which one goes on where the other ends.

    `ends` gives the vectors of a media's first and last keyframe; without a `space`, looks say
    nothing. In the evidence `a_role` and `b_role` are `first` and `next`, `from` and `to` the media
    ids; each reason stands there with its value and what it is worth.
    """
    seen: set[tuple[str, str]] = set()
    for one, other in sorted(_candidates(takes), key=lambda pair: _ids(*pair)):
        if _ids(one, other) not in seen:
            seen.add(_ids(one, other))
            reasons = _reasons(one, other, ends, space)
            weight = round(1 - math.prod(1 - reason["worth"] for reason in reasons.values()), 6)
            if weight >= LEAST_WEIGHT and reasons.keys() & {"time", "timecode"}:
                yield _edge(one, other, weight, reasons, space)


def _ids(one: Take, other: Take) -> tuple[str, str]:
    return one.media_id, other.media_id


def _candidates(takes: Sequence[Take]) -> Iterator[tuple[Take, Take]]:
    """Each take with the next of its camera by time, by timecode, and by the number in its name."""
    timed = [one for one in takes if one.start is not None]
    yield from _successors(timed, lambda one: (one.clock, one.camera or "", one.is_photo), _start)
    coded = [one for one in takes if one.timecode_s is not None]
    yield from _successors(coded, lambda one: (one.camera or "",), _timecode)
    counted = [(one, found) for one in takes if (found := _series(one.name))]
    ordered = sorted(counted, key=lambda pair: (*pair[1], pair[0].media_id))
    yield from ((a, b) for (a, _), (b, _) in pairwise(ordered) if _follows_by_name(a.name, b.name))


def _successors(
    takes: Sequence[Take],
    group: Callable[[Take], tuple[Json, ...]],
    order: Callable[[Take], float],
) -> Iterator[tuple[Take, Take]]:
    ordered = sorted(takes, key=lambda one: (group(one), order(one), one.name, one.media_id))
    return ((one, other) for one, other in pairwise(ordered) if group(one) == group(other))


def _reasons(one: Take, other: Take, ends: Ends, space: Space | None) -> dict[str, dict[str, Json]]:
    """What speaks for `other` going on where `one` ends; nothing when something rules it out."""
    if one.is_photo != other.is_photo or (
        one.camera and other.camera and one.camera != other.camera
    ):
        return {}
    found: dict[str, dict[str, Json]] = {}
    if one.start is not None and other.start is not None and one.clock == other.clock:
        gap_s = round(other.start - one.start - one.duration_s, 3)
        if not -LARGEST_OVERLAP_S <= gap_s <= LONGEST_GAP_S:
            return {}
        found["time"] = {"gap_s": gap_s, "worth": _worth("time", 1 - max(gap_s, 0) / LONGEST_GAP_S)}
    if one.gps and other.gps:
        distance_m = round(metres_between(one.gps, other.gps), 1)
        if distance_m > OTHER_PLACE_M:
            return {}
        if distance_m <= SAME_PLACE_M:
            found["place"] = {"distance_m": distance_m, "worth": _worth("place", 1.0)}
    if one.timecode_s is not None and other.timecode_s is not None:
        gap_s = round(other.timecode_s - one.timecode_s - one.duration_s, 3)
        if one.duration_s and abs(gap_s) <= TIMECODE_SLACK_S:
            found["timecode"] = {"gap_s": gap_s, "worth": _worth("timecode", 1.0)}
    if one.camera and one.camera == other.camera:
        found["camera"] = {"camera": one.camera, "worth": _worth("camera", 1.0)}
    if _follows_by_name(one.name, other.name):
        found["name"] = {"names": [one.name, other.name], "worth": _worth("name", 1.0)}
    if found and space:
        found |= _look(one, other, ends, space)
    return found


def _look(one: Take, other: Take, ends: Ends, space: Space) -> dict[str, dict[str, Json]]:
    before, after = ends(one.media_id), ends(other.media_id)
    if before is None or after is None:
        return {}
    product = (before[1] * after[0]).sum(dtype=np.float64)
    cosine = round(min(float(product), 1.0), 6)
    if cosine < space.alike_floor:
        return {}
    return {"look": {"cosine": cosine, "worth": _worth("look", 1.0)}}


def _edge(
    one: Take, other: Take, weight: float, reasons: Mapping[str, Json], space: Space | None
) -> Edge:
    is_forward = one.media_id < other.media_id
    a, b = ((one, one.last), (other, other.first))[:: 1 if is_forward else -1]
    return Edge(
        CONTINUES,
        a[0].media_id,
        *a[1],
        b[0].media_id,
        *b[1],
        weight=weight,
        evidence={
            "a_role": "first" if is_forward else "next",
            "b_role": "next" if is_forward else "first",
            "from": one.media_id,
            "to": other.media_id,
            **({"space": space.name} if space and "look" in reasons else {}),
            "reasons": dict(reasons),
        },
    )


def metres_between(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Great-circle distance of two (latitude, longitude) in degrees (haversine formula)."""
    lat, lon, other_lat, other_lon = map(math.radians, (*one, *other))
    half = (
        math.sin((other_lat - lat) / 2) ** 2
        + math.cos(lat) * math.cos(other_lat) * math.sin((other_lon - lon) / 2) ** 2
    )
    return 2 * EARTH_RADIUS_M * math.asin(min(1.0, math.sqrt(half)))


def _worth(reason: str, share: float) -> float:
    return round(WORTH[reason] * min(share, 1.0), 6)


def _start(one: Take) -> float:
    return one.start or 0.0


def _timecode(one: Take) -> float:
    return one.timecode_s or 0.0


def _clock(created_at: str | None) -> tuple[str, float | None]:
    """Whether a time has a zone, and the time in seconds; nothing for one that cannot be read."""
    try:
        moment = datetime.fromisoformat(created_at or "")
    except ValueError:
        return "", None
    if moment.tzinfo is None:
        return "local", moment.replace(tzinfo=UTC).timestamp()
    return "zoned", moment.timestamp()


def _timecode_s(timecode: str | None, frame_rate: float | None) -> float | None:
    """Seconds from midnight; drop-frame codes are taken at face value, off by 0.1 s in two minutes."""
    found = _TIMECODE.fullmatch(timecode or "")
    if not found or not frame_rate:
        return None
    hours, minutes, seconds, frames = map(int, found.groups())
    return hours * 3600 + minutes * 60 + seconds + frames / frame_rate


def _series(name: str) -> tuple[tuple[str, str, str], int] | None:
    """A name around its last number, and that number; None for a name without one."""
    stem, dot, extension = name.rpartition(".")
    found = _COUNTED.fullmatch(stem if dot else name)
    if found is None:
        return None
    return (found[1], found[3], extension.casefold() if dot else ""), int(found[2])


def _follows_by_name(one: str, other: str) -> bool:
    before, after = _series(one), _series(other)
    return before is not None and after == (before[0], before[1] + 1)
