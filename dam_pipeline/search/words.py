"""What a text means to a model that lacks some of its words."""

import re
from collections.abc import Collection

# Words that say nothing of what a picture shows; a query of these and unknown words is unknown.
_PLAIN = "a an and are at by for from in into is it its of on or that the this to with"
PLAIN_WORDS = frozenset(_PLAIN.split(" "))


def lacks_meaning(text: str, unknown: Collection[str]) -> bool:
    """Whether nothing is left of a text without its unknown and its plain words."""
    words = {word.casefold() for word in re.findall(r"\w+", text)}
    lost = {part for word in unknown for part in re.findall(r"\w+", word.casefold())}
    return not words - lost - PLAIN_WORDS
