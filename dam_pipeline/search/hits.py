"""What a search answers with: hits with their evidence, and the JSON of both."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from dam_pipeline.records import Json, MediaKind

EvidenceKind = Literal["picture", "words", "meaning"]
QueryPart = Literal["text", "image"]


class ListKey(NamedTuple):
    """A ranked list: what was looked at, and with which half of the query."""

    kind: EvidenceKind
    query: QueryPart


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why a hit is there: a keyframe near the query, words of it, or a sentence that means it.

    `query` says which half of the query it answers; `score` is BM25 for words, else a cosine;
    `rank` counts from 1 among the moments in that list; `floor` is the least score there. `item` is
    the index of the keyframe, segment or sentence; `text` is what is said.
    """

    kind: EvidenceKind
    query: QueryPart
    score: float
    rank: int
    time_s: float
    start_s: float
    end_s: float
    space: str
    item: int
    floor: float = 0.0
    text: str | None = None

    @property
    def list_key(self) -> ListKey:
        """The ranked list that this is from."""
        return ListKey(self.kind, self.query)

    @property
    def above_floor(self) -> float:
        """How far a cosine lies above its floor; words have them all, so they are equally strong."""
        return 0.0 if self.kind == "words" else self.score - self.floor

    def to_json(self) -> dict[str, Json]:
        """The documented form; `text` only of what is said."""
        document = {
            "kind": self.kind,
            "query": self.query,
            "score": round(self.score, 6),
            "rank": self.rank,
            "time_s": self.time_s,
            "start_s": self.start_s,
            "end_s": self.end_s,
            "space": self.space,
        }
        return document if self.text is None else {**document, "text": self.text}


@dataclass(frozen=True, slots=True)
class Hit:
    """A stretch [start_s, end_s) of one media that answers the query.

    `score` is 1 for a hit that is first in every list asked and falls with its ranks; `space` is
    that of the evidence with the best rank, `words` for spoken words. `keyframe` is a path relative
    to DAM_HOME, None for sound. `present` is False when no known place has the file now.
    """

    media_id: str
    partition_key: str
    uri: str
    kind: MediaKind
    start_s: float
    end_s: float
    score: float
    space: str
    keyframe: str | None
    evidence: tuple[Evidence, ...]
    present: bool = True

    def to_json(self) -> dict[str, Json]:
        """The documented form."""
        return {
            "media_id": self.media_id,
            "partition_key": self.partition_key,
            "uri": self.uri,
            "kind": self.kind.value,
            "start_s": self.start_s,
            "end_s": self.end_s,
            "score": round(self.score, 6),
            "space": self.space,
            "keyframe": self.keyframe,
            "evidence": [one.to_json() for one in self.evidence],
            "present": self.present,
        }


@dataclass(frozen=True, slots=True)
class SearchResult:
    """Hits, best first, and what the person should know about how they came about."""

    hits: tuple[Hit, ...]
    warnings: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Json]:
        """The document of `dam search --json`."""
        return {
            "hits": [hit.to_json() for hit in self.hits],
            "warnings": list(self.warnings),
        }


def evidence_order(one: Evidence) -> tuple[int, bool, bool, float, float]:
    """Sort key: the best rank first, words, which match exactly, before pictures of that rank."""
    return one.rank, one.kind != "words", one.query != "text", -one.score, one.start_s
