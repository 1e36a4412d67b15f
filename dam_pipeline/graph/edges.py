"""What an edge of the graph is; each kind is found in a file of its own."""

from collections.abc import Sequence
from dataclasses import dataclass

from dam_pipeline.records import Json

NEAR_DUPLICATE = "near_duplicate"
LOOKS_LIKE = "looks_like"
SAME_FACE = "same_face"
SAME_WORDS = "same_words"
CONTINUES = "continues"
EDGE_KINDS = (NEAR_DUPLICATE, LOOKS_LIKE, SAME_FACE, SAME_WORDS, CONTINUES)


@dataclass(frozen=True, slots=True)
class Edge:
    """A relation of two media, `a_media` < `b_media`, with the stretch it is about on each side.

    `weight` is 0–1 and comparable within a kind. In `evidence`, keys that start with `a_` and `b_`
    speak of the two sides, also inside its lists of matches.
    """

    kind: str
    a_media: str
    a_start_s: float
    a_end_s: float
    b_media: str
    b_start_s: float
    b_end_s: float
    weight: float
    evidence: Json


Span = tuple[float, float]
EVIDENCE_KEPT = 8  # matches that an edge tells of
TOUCH_S = 0.05  # a frame or so lies between rounded times


def stretches_around(matches: Sequence[tuple[Span, Span]]) -> tuple[Span, Span]:
    """The stretches of both media around the first match: those of all matches that lead to it.

    A match leads there when its spans touch the stretches on both sides, so that two takes with
    one passage in common get that passage, however often a part of it comes again elsewhere.
    """
    a, b = matches[0]
    waiting = list(matches[1:])
    while True:
        touching = [match for match in waiting if _touch(match[0], a) and _touch(match[1], b)]
        if not touching:
            return a, b
        for match in touching:
            a, b = _hull(a, match[0]), _hull(b, match[1])
        waiting = [match for match in waiting if match not in touching]


def _touch(one: Span, other: Span) -> bool:
    return one[0] <= other[1] + TOUCH_S and other[0] <= one[1] + TOUCH_S


def _hull(one: Span, other: Span) -> Span:
    return min(one[0], other[0]), max(one[1], other[1])
