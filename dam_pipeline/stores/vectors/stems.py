"""Words as a store finds them whose own text index knows neither stems nor accents.

English words are cut to their stems by the Porter stemmer of SQLite's FTS5 (M. F. Porter, "An
algorithm for suffix stripping", 1980). Scripts without spaces are cut into letters and pairs.
"""

import re
import sqlite3
from collections.abc import Iterable, Sequence
from itertools import pairwise

from dam_pipeline.stores.vectors.phrases import plain_words

# Thai to Lao, Burmese, Khmer, kana and Han.
_SPACELESS = re.compile(
    "([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\U00020000-\U0003ffff]+)"
)


def stems_of(texts: Sequence[str]) -> list[str]:
    """For each text all that queries may ask of it: its stems, apart by spaces, in order."""
    return [" ".join(found) for found in _stemmed(_pieces(text, is_query=False) for text in texts)]


def stems_asked(text: str) -> list[str]:
    """The stems that a text must hold to hold every word of this query; none for no words."""
    return _stemmed([_pieces(text, is_query=True)])[0]


def _pieces(text: str, is_query: bool) -> str:
    """The text's words without case and accents; of a spaceless run letters and neighbours.

    A query asks for neighbours alone, as letters that stand apart from each other are no word.
    """
    pieces: list[str] = []
    for word in plain_words(text):
        for run in filter(None, _SPACELESS.split(word)):
            if not _SPACELESS.match(run):
                pieces.append(run)
                continue
            pairs = [a + b for a, b in pairwise(run)]
            pieces += pairs if pairs and is_query else [*run, *pairs]
    return " ".join(pieces)


def _stemmed(texts: Iterable[str]) -> list[list[str]]:
    found: list[list[str]] = []
    index = sqlite3.connect(":memory:")
    try:
        index.execute("CREATE VIRTUAL TABLE said USING fts5(text, content='', tokenize='porter')")
        index.execute("CREATE VIRTUAL TABLE stems USING fts5vocab(said, 'instance')")
        for number, text in enumerate(texts):
            index.execute("INSERT INTO said(rowid, text) VALUES (?, ?)", (number, text))
            found.append([])
        for number, stem in index.execute("SELECT doc, term FROM stems ORDER BY doc, offset"):
            found[number].append(stem)
    finally:
        index.close()
    return found
