"""Quoted phrases in a query for words: what they are, and whether a text holds them."""

import re
import unicodedata
from collections.abc import Sequence

_QUOTED = re.compile(r'["“”„«»]([^"“”„«»]*)["“”„«»]')


def phrases_of(text: str) -> list[str]:
    """The phrases in double quotes of any style; one without a word is none."""
    return [one.strip() for one in _QUOTED.findall(text) if plain_words(one)]


def loose_words(text: str) -> str:
    """The text without its phrases."""
    return _QUOTED.sub(" ", text).strip()


def plain_words(text: str) -> list[str]:
    """The words in order, without case, accents and marks."""
    apart = unicodedata.normalize("NFKD", text).casefold()
    return re.findall(r"\w+", "".join(c for c in apart if not unicodedata.combining(c)))


def holds_all(text: str, phrases: Sequence[str]) -> bool:
    """Whether the text holds the words of every phrase, just these and in this order."""
    said = f" {' '.join(plain_words(text))} "
    return all(f" {' '.join(plain_words(phrase))} " in said for phrase in phrases)
