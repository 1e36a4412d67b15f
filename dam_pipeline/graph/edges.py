"""What an edge of the graph is; each kind is found in a file of its own."""

from dataclasses import dataclass

from dam_pipeline.records import Json

LOOKS_LIKE = "looks_like"
SAME_FACE = "same_face"
SAME_WORDS = "same_words"
EDGE_KINDS = (LOOKS_LIKE, SAME_FACE, SAME_WORDS)


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
TOUCH_S = 0.05  # a frame or so lies between rounded times


def stretch_around(spans: list[Span], best: Span) -> Span:
    """The stretch that holds `best` and all `spans` that touch it, directly or in a chain."""
    start_s, end_s = best
    for other_start_s, other_end_s in sorted(spans):
        if other_start_s <= end_s + TOUCH_S and other_end_s >= start_s - TOUCH_S:
            end_s = max(end_s, other_end_s)
    for other_start_s, other_end_s in sorted(spans, key=lambda span: -span[1]):
        if other_end_s >= start_s - TOUCH_S and other_start_s <= end_s:
            start_s = min(start_s, other_start_s)
    return start_s, end_s
