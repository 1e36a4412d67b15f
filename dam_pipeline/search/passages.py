"""From transcript rows to passages: sentences with times, long enough to carry a meaning.

What they mean is the sentence model's affair; finding words in them is the vector store's.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dam_pipeline.records import Json

PAUSE_S = 2.0  # a pause this long ends a passage also where no mark was written
LEAST_WORDS = 4  # shorter sentences ("Yes. Of course.") join what comes next
MOST_WORDS = 50  # a sentence model reads some 200 words; one vector of many topics finds none
_END = re.compile(r"[.!?…。！？]['\"”’»)]*$")


@dataclass(frozen=True, slots=True)
class Passage:
    """A sentence, or several short ones, as said in one language."""

    start_s: float
    end_s: float
    text: str
    language: str


@dataclass(frozen=True, slots=True)
class _Token:
    start_s: float
    end_s: float
    text: str
    language: str


def passages(segments: Sequence[Json]) -> list[Passage]:
    """Passages of transcript rows in order; a row without word times is taken as it stands."""
    made: list[Passage] = []
    held: list[_Token] = []
    words = 0
    for token in _tokens(segments):
        if held and _is_apart(held[-1], token):
            made.append(_passage(held))
            held, words = [], 0
        held.append(token)
        words += len(token.text.split())
        is_whole = words >= LEAST_WORDS and _END.search(token.text)
        if is_whole or words >= MOST_WORDS:
            made.append(_passage(held))
            held, words = [], 0
    return [*made, _passage(held)] if held else made


def _tokens(segments: Sequence[Json]) -> Iterator[_Token]:
    for segment in segments:
        for part in segment["words"] or [segment]:
            if text := part["text"].strip():
                yield _Token(part["start_s"], part["end_s"], text, segment["language"])


def _is_apart(before: _Token, after: _Token) -> bool:
    return after.start_s - before.end_s >= PAUSE_S or after.language != before.language


def _passage(tokens: Sequence[_Token]) -> Passage:
    # Whisper writes no spaces between words of Chinese, Japanese and Thai.
    glue = "" if tokens[0].language in ("zh", "ja", "th", "yue") else " "
    text = glue.join(token.text for token in tokens)
    return Passage(tokens[0].start_s, tokens[-1].end_s, text, tokens[0].language)
