"""Edges between media that hold the same pictures: copies, re-encoded, cropped, trimmed, mirrored.

Here: from the prints of a library to edges. Which pairs are looked at is in `print_seeds`, what a
pair shares in `print_matching`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from dam_pipeline.graph.edges import EVIDENCE_KEPT, NEAR_DUPLICATE, Edge
from dam_pipeline.graph.print_evidence import LEAST_QUALITY
from dam_pipeline.graph.print_matching import Match, Side, matches
from dam_pipeline.graph.print_seeds import Seeds, seeds
from dam_pipeline.records import Json

SURE_QUALITY = 0.985  # of a stretch over all of one media: no other way is looked for
WAYS_TRIED = 3  # windows through which a pair is looked at closely


@dataclass(frozen=True, slots=True)
class Prints:
    """Prints in the order of their media: arrays of n rows, spans in seconds.

    `media` numbers into `media_ids`, ascending; `is_photo` is by media. `luma` (n, 256), `chroma`
    (n, 32) uint8 and `detail` (n,) as the stage `fingerprints` keeps them.
    """

    media_ids: Sequence[str]
    is_photo: np.ndarray
    media: np.ndarray
    start_s: np.ndarray
    end_s: np.ndarray
    luma: np.ndarray
    chroma: np.ndarray
    detail: np.ndarray


def near_duplicates(prints: Prints, new: np.ndarray | None = None) -> Iterator[Edge]:
    """One edge for each pair of media that share pictures worth a word, in the order of the media.

    `new` (by media): only pairs of which one at least is new. What two media share is decided by
    these two alone, so adding media step by step finds what one look at all finds. The edge is
    about the longest stretch; `weight` is the mean likeness of its prints.
    """
    media = prints.media.astype(np.int64)
    if new is None:
        new = np.ones(len(prints.media_ids), bool)
    bounds = np.searchsorted(media, np.arange(len(prints.media_ids) + 1))
    for pair in seeds(prints.luma, media, prints.is_photo, new):
        sides = {one: _side(prints, bounds, one) for one in (pair.a, pair.b)}
        best: _Shared | None = None
        for outer, view in pair.ways[:WAYS_TRIED]:
            inner = pair.b if outer == pair.a else pair.a
            found = matches(sides[outer], sides[inner], view)
            if found and (best is None or _strength(found) > _strength(best.matches)):
                best = _Shared(found, outer == pair.b, view.is_mirrored)
            if best and _is_complete(best.matches, list(sides.values())):
                break
        if best:
            yield _edge(prints, pair, (sides[pair.a], sides[pair.b]), best)


def _side(prints: Prints, bounds: np.ndarray, media: int) -> Side:
    rows = slice(int(bounds[media]), int(bounds[media + 1]))
    return Side(
        bool(prints.is_photo[media]),
        prints.start_s[rows],
        prints.end_s[rows],
        prints.luma[rows],
        prints.chroma[rows],
        prints.detail[rows],
    )


@dataclass(frozen=True, slots=True)
class _Shared:
    """What two media share, `is_turned` when b is the outer one."""

    matches: list[Match]
    is_turned: bool
    is_mirrored: bool


def _strength(found: list[Match]) -> float:
    """How many prints are how much alike; by this one way of seeing a pair is better than another."""
    return sum(match.prints * max(match.quality - LEAST_QUALITY, 0.0) for match in found)


def _is_complete(found: list[Match], sides: list[Side]) -> bool:
    """Whether the first stretch is all of one media, and as good as can be."""
    shortest_s = min(side.length_s for side in sides)
    first = found[0]
    return first.quality >= SURE_QUALITY and first.outer[1] - first.outer[0] >= 0.97 * shortest_s


def _edge(prints: Prints, pair: Seeds, sides: tuple[Side, Side], shared: _Shared) -> Edge:
    stretches = [_stretch(match, shared.is_turned) for match in shared.matches]
    first = stretches[0]
    quality = round(shared.matches[0].quality, 4)
    return Edge(
        NEAR_DUPLICATE,
        prints.media_ids[pair.a],
        first["a_start_s"],
        first["a_end_s"],
        prints.media_ids[pair.b],
        first["b_start_s"],
        first["b_end_s"],
        weight=quality,
        evidence={
            "offset_s": first["offset_s"],
            "prints": first["prints"],
            "distance": round(1 - quality, 4),
            "is_mirrored": shared.is_mirrored,
            "a_share": _share(sides[0], [(one["a_start_s"], one["a_end_s"]) for one in stretches]),
            "b_share": _share(sides[1], [(one["b_start_s"], one["b_end_s"]) for one in stretches]),
            "matches": stretches[:EVIDENCE_KEPT],
        },
    )


def _stretch(match: Match, is_turned: bool) -> dict[str, Json]:
    """The stretch as sides a and b: b time = a time + `offset_s`."""
    a, b = (match.inner, match.outer) if is_turned else (match.outer, match.inner)
    return {
        "a_start_s": round(a[0], 3),
        "a_end_s": round(a[1], 3),
        "b_start_s": round(b[0], 3),
        "b_end_s": round(b[1], 3),
        "offset_s": round(-match.offset_s if is_turned else match.offset_s, 3),
        "prints": match.prints,
    }


def _share(side: Side, spans: list[tuple[float, float]]) -> float:
    """The share of a media's length that the spans cover; a photograph is covered whole."""
    if side.length_s <= 0:
        return 1.0
    covered_s, until_s = 0.0, -np.inf
    for start_s, end_s in sorted(spans):
        covered_s += max(0.0, end_s - max(start_s, until_s))
        until_s = max(until_s, end_s)
    return round(min(covered_s / side.length_s, 1.0), 4)
