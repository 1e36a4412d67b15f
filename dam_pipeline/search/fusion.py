"""From ranked lists of matches to moments: joined in time, fused by reciprocal rank.

Reciprocal rank fusion: Cormack, Clarke and Büttcher, SIGIR 2009, with their k = 60. Ranks are used
because the lists cannot be added: a picture is nearer to pictures than to any text (cosines of 0.8
against 0.3 in CLIP), and BM25 has no upper end.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from dam_pipeline.search.hits import Evidence, ListKey, evidence_order

RANK_CONSTANT = 60
TOUCH_S = 0.05  # spans this close are adjacent: a frame or so lies between rounded times
EVIDENCE_KEPT = 3  # of each list in one moment


@dataclass(frozen=True, slots=True)
class Moment:
    """A stretch of one media with its evidence, best first."""

    media_id: str
    start_s: float
    end_s: float
    score: float
    evidence: tuple[Evidence, ...]


@dataclass(slots=True)
class _Stretch:
    media_id: str
    start_s: float
    end_s: float
    found: list[Evidence] = field(default_factory=list)
    ranks: dict[ListKey, int] = field(default_factory=dict)

    def touches(self, start_s: float, end_s: float) -> bool:
        return start_s <= self.end_s + TOUCH_S and self.start_s <= end_s + TOUCH_S

    def take(self, start_s: float, end_s: float, found: Iterable[Evidence]) -> None:
        self.start_s, self.end_s = min(self.start_s, start_s), max(self.end_s, end_s)
        self.found.extend(found)

    def best(self, key: ListKey) -> float:
        return max(one.score for one in self.found if one.list_key == key)


def fuse(lists: Mapping[ListKey, Sequence[tuple[str, Evidence]]]) -> list[Moment]:
    """Moments of all media, best first, of the matches (media id, evidence of any rank) by list.

    Touching matches of one media become one moment, but a weak one does not join a strong one: a
    take that resembles the query a little all along, and much for ten seconds, gives these ten
    seconds. Ranks are counted among moments, so such a take fills one place of a list, not all.
    The score is 1 for what is first in every list.
    """
    by_media: dict[str, list[_Stretch]] = {}
    for key in sorted(lists, key=lambda key: key.kind != "picture"):
        for media_id, group in _grouped(lists[key]).items():
            stretches = by_media.setdefault(media_id, [])
            _join(stretches, _stretches(media_id, group))
    everything = [stretch for stretches in by_media.values() for stretch in stretches]
    for key in lists:
        _rank(everything, key)
    return sorted((_moment(one, len(lists)) for one in everything), key=_order)


def _grouped(matches: Iterable[tuple[str, Evidence]]) -> dict[str, list[Evidence]]:
    grouped: dict[str, list[Evidence]] = {}
    for media_id, one in matches:
        grouped.setdefault(media_id, []).append(one)
    return grouped


def _stretches(media_id: str, found: Sequence[Evidence]) -> list[_Stretch]:
    """One list's matches of a media, the best first, each joined to a stretch of its strength.

    A match is of a stretch's strength when it is at least half as far above the floor as the
    stretch's best; its neighbours come in by score, so chains form from strong to weak.
    """
    made: list[_Stretch] = []
    best_above: list[float] = []
    for one in sorted(found, key=lambda one: (-one.score, one.start_s)):
        fitting = (
            stretch
            for stretch, above in zip(made, best_above, strict=True)
            if stretch.touches(one.start_s, one.end_s) and 2 * one.above_floor >= above
        )
        home = next(fitting, None)
        if home is None:
            home = _Stretch(media_id, one.start_s, one.end_s)
            made.append(home)
            best_above.append(one.above_floor)
        home.take(one.start_s, one.end_s, [one])
    return made


def _join(known: list[_Stretch], new: Iterable[_Stretch]) -> None:
    """Add another list's stretches: each to the first (best) known one that it touches, or alone."""
    before = list(known)
    for stretch in new:
        home = next((k for k in before if k.touches(stretch.start_s, stretch.end_s)), None)
        if home is None:
            known.append(stretch)
        else:
            home.take(stretch.start_s, stretch.end_s, stretch.found)


def _rank(stretches: Iterable[_Stretch], key: ListKey) -> None:
    own = [one for one in stretches if any(found.list_key == key for found in one.found)]
    own.sort(key=lambda one: (-one.best(key), one.media_id, one.start_s))
    for rank, stretch in enumerate(own, start=1):
        stretch.ranks[key] = rank


def _moment(stretch: _Stretch, lists: int) -> Moment:
    score = sum((RANK_CONSTANT + 1) / (RANK_CONSTANT + rank) for rank in stretch.ranks.values())
    kept: list[Evidence] = []
    for key, rank in stretch.ranks.items():
        own = [one for one in stretch.found if one.list_key == key]
        own.sort(key=lambda one: (-one.score, one.start_s))
        kept.extend(replace(one, rank=rank) for one in own[:EVIDENCE_KEPT])
    evidence = tuple(sorted(kept, key=evidence_order))
    return Moment(stretch.media_id, stretch.start_s, stretch.end_s, score / lists, evidence)


def _order(moment: Moment) -> tuple[float, bool, str, float]:
    is_vague = moment.evidence[0].kind != "words"
    return -moment.score, is_vague, moment.media_id, moment.start_s
