"""Edges between media in which the same words are spoken, by shingles of their transcripts.

A shingle is four normalised words in a row. One that many media share (a greeting, a jingle) says
little, so it counts the less the more media hold it.
"""

import hashlib
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dam_pipeline.graph.edges import EVIDENCE_KEPT, SAME_WORDS, Edge
from dam_pipeline.records import Json

SHINGLE_WORDS = 4
MOST_MEDIA = 50  # a shingle in more media than this is a phrase of the language or a jingle
LEAST_SHARED = 1.0  # one shingle that no third media holds, or several that some others hold
HALF_WEIGHT = 4.0  # distinctive shingles that make a weight of one half


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """A word as it was heard, its normalised form and its span in seconds."""

    text: str
    plain: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class _Run:
    """Consecutive shared words: from word `a` and word `b` on, `words` of them."""

    a: int
    b: int
    words: int


def same_words(transcripts: Sequence[tuple[str, Sequence[SpokenWord]]]) -> Iterator[Edge]:
    """One edge for each pair of media that share shingles; `transcripts` by media id, ascending.

    A shingle counts 2 / (media that hold it), so 1 when only these two do; `weight` is s / (s + 4)
    of the sum s. The edge is about the longest run of shared words.
    """
    places = [_shingles(words) for _, words in transcripts]
    holders: dict[bytes, list[int]] = defaultdict(list)
    for media, found in enumerate(places):
        for shingle in found:
            holders[shingle].append(media)
    shared: dict[tuple[int, int], list[bytes]] = defaultdict(list)
    for shingle, media_list in holders.items():
        if 2 <= len(media_list) <= MOST_MEDIA:
            for at, a in enumerate(media_list):
                for b in media_list[at + 1 :]:
                    shared[a, b].append(shingle)
    for (a, b), shingles in sorted(shared.items()):
        total = sum(2 / len(holders[shingle]) for shingle in shingles)
        if total >= LEAST_SHARED:
            runs = _runs([(places[a][one], places[b][one]) for one in shingles])
            yield _edge(transcripts[a], transcripts[b], runs, total)


def spoken_words(segments: Sequence[Json]) -> list[SpokenWord]:
    """Words of transcript rows in order; a row without word times lends its own span to its words."""
    words: list[SpokenWord] = []
    for segment in segments:
        timed = segment["words"] or [
            {"text": text, "start_s": segment["start_s"], "end_s": segment["end_s"]}
            for text in segment["text"].split()
        ]
        for word in timed:
            plain = normalised(word["text"])
            if plain:
                text = word["text"].strip()
                words.append(SpokenWord(text, plain, word["start_s"], word["end_s"]))
    return words


def normalised(word: str) -> str:
    """A word without case, marks and compatibility forms; empty when nothing is left."""
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", word).casefold())


def _shingles(words: Sequence[SpokenWord]) -> dict[bytes, int]:
    """Place of the first word of each shingle, where it first comes; hashed to 8 bytes."""
    places: dict[bytes, int] = {}
    for at in range(len(words) - SHINGLE_WORDS + 1):
        text = " ".join(word.plain for word in words[at : at + SHINGLE_WORDS])
        places.setdefault(hashlib.blake2b(text.encode(), digest_size=8).digest(), at)
    return places


def _runs(places: Sequence[tuple[int, int]]) -> list[_Run]:
    """Shingles that follow each other on both sides as runs of words, the longest first."""
    runs: list[_Run] = []
    for a, b in sorted(places, key=lambda place: (place[1] - place[0], place[0])):
        last = runs[-1] if runs else None
        gap = a - last.a if last else 0
        if last and b - a == last.b - last.a and gap <= last.words:
            runs[-1] = _Run(last.a, last.b, gap + SHINGLE_WORDS)
        else:
            runs.append(_Run(a, b, SHINGLE_WORDS))
    return sorted(runs, key=lambda run: (-run.words, run.a, run.b))


def _edge(
    a: tuple[str, Sequence[SpokenWord]],
    b: tuple[str, Sequence[SpokenWord]],
    runs: Sequence[_Run],
    total: float,
) -> Edge:
    matches = [_match(a[1], b[1], run) for run in runs[:EVIDENCE_KEPT]]
    best = matches[0]
    return Edge(
        SAME_WORDS,
        a[0],
        best["a_start_s"],
        best["a_end_s"],
        b[0],
        best["b_start_s"],
        best["b_end_s"],
        weight=round(total / (total + HALF_WEIGHT), 6),
        evidence={
            "text": best["text"],
            "words": sum(run.words for run in runs),
            "count": len(runs),
            "matches": matches,
        },
    )


def _match(a: Sequence[SpokenWord], b: Sequence[SpokenWord], run: _Run) -> dict[str, Json]:
    own, other = a[run.a : run.a + run.words], b[run.b : run.b + run.words]
    return {
        "text": " ".join(word.text for word in own),
        "words": run.words,
        "a_start_s": own[0].start_s,
        "a_end_s": own[-1].end_s,
        "b_start_s": other[0].start_s,
        "b_end_s": other[-1].end_s,
    }
