"""Words as agencies take them: cleaned, cut, split and counted. Pure functions of text.

Lengths count characters as the agencies' own pages do: Unicode code points of the composed (NFC)
text, so an emoji of a family is several. Cuts never fall inside what a reader sees as one character
(an extended grapheme cluster, Unicode annex 29, as `regex` finds it).
"""

import string
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

import regex

from dam_pipeline.agencies.agency import EditorialRules, KeywordRules
from dam_pipeline.errors import ConfigurationError
from dam_pipeline.stock.record import Place

# Controls, lone surrogates, private and non-characters; what is invisible and turns text around
# (embeddings, overrides, isolates), the byte order mark, soft hyphens and zero-width spaces. Joiners
# stay (emoji and Persian need them), and so do the marks of direction.
_DROPPED = regex.compile(
    r"[\p{Cs}\p{Co}\p{Noncharacter_Code_Point}\u00ad\u200b\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]"
)
_SPACES = regex.compile(r"[\s\p{Cc}]+")
_CLUSTER = regex.compile(r"\X")
_UNSPACED = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]")
_SEPARATORS = regex.compile(r"[,;|\t\r\n、，；،؛]+")
_SAYS_SOMETHING = regex.compile(r"[\p{L}\p{N}\p{S}]")

_INSTEAD = {
    "&": (" and ",),
    '"': ("'",),
    "“": ('"', "'"),
    "”": ('"', "'"),
    "„": ('"', "'"),
    "'": ("’",),
    "’": ("'",),
    ":": (" - ",),
    "–": ("-",),
    "—": ("-",),
    "…": ("...",),
}
_QUOTES = " \"'“”„‘’«»"

# Words that nothing can end with: conjunctions, articles and prepositions.
_DANGLING = frozenset(
    regex.findall(
        r"\w+",
        "a an the and or nor but with without of in on at to for from by as into over under near "
        "und oder mit ohne der die das ein eine von vom im am zu zur zum für bei auf aus "
        "et ou avec sans le la les un une de du des en dans sur pour par "
        "y o con sin el los las del para por",
    )
)


def clean(text: str) -> str:
    """The text composed (NFC), on one line, without controls and what turns text around unseen."""
    shown = _DROPPED.sub("", text)
    return " ".join(_SPACES.split(unicodedata.normalize("NFC", shown))).strip()


def without(text: str, forbidden: str) -> str:
    """The text without forbidden characters, each replaced by what reads best.

    A text with one comma gets " -" for it, one with several has spaces; the comma of a number such
    as 1,000 goes. Others become a look-alike (quotes), a word (&) or a space.
    """
    text = clean(text)
    if not forbidden or not any(character in forbidden for character in text):
        return text
    if "," in forbidden:
        text = regex.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", text)
        instead = " - " if text.count(",") == 1 and "-" not in forbidden else " "
        text = regex.sub(r",\s*", instead, text)
    replaced = "".join(_instead(one, forbidden) if one in forbidden else one for one in text)
    return " ".join(replaced.split()) if " " not in forbidden else replaced


def cut_at_word(text: str, length: int) -> str:
    """The text, or as many of its words as fit into a length in characters; 0 means any length.

    A cut text does not end in punctuation or in a word such as "and". A first word that is longer
    by itself is cut between two clusters; where even the first cluster is longer, nothing is left.
    """
    text = clean(text)
    if not length or len(text) <= length:
        return text
    clusters = _fitting(text, length)
    following = text[sum(map(len, clusters))]
    end = len(clusters)
    if not following.isspace():
        end = _last_break(clusters, following) or end
    return "".join(_ended_well(clusters[:end]))


@dataclass(frozen=True, slots=True)
class TidyKeywords:
    """Keywords as an agency takes them, in the person's order; and those it does not get, by why."""

    kept: tuple[str, ...]
    doubled: tuple[str, ...] = ()
    too_long: tuple[str, ...] = ()
    surplus: tuple[str, ...] = ()


def tidy_keywords(words: Iterable[str], rules: KeywordRules) -> TidyKeywords:
    """Keywords split at commas and the like, cleaned, each once, as many as the agency takes.

    The order is the person's, which is the rank. Two are the same whose letters are, in whatever
    case. Singular and plural both stay: glass and glasses, good and goods are not one thing, and no
    rule for English tells them apart.
    """
    kept: dict[str, str] = {}
    doubled, too_long, surplus = [], [], []
    for word in _single_keywords(words, rules.forbidden):
        key = unicodedata.normalize("NFC", word.casefold())
        if key in kept:
            doubled.append(word)
        elif rules.max_length and len(word) > rules.max_length:
            too_long.append(word)
        elif rules.max_count and len(kept) >= rules.max_count:
            surplus.append(word)
        else:
            kept[key] = word
    return TidyKeywords(tuple(kept.values()), tuple(doubled), tuple(too_long), tuple(surplus))


def caption_gaps(rules: EditorialRules, place: Place | None, date: str) -> tuple[str, ...]:
    """What the agency's editorial caption wants and nobody said: `city`, `country`, `date`, …"""
    values = _caption_values(rules, place, date)
    names = [name.lower() for name in _fields(rules.caption) if name != "text"]
    return tuple(dict.fromkeys(name for name in names if not values[name]))


def editorial_caption(rules: EditorialRules, text: str, place: Place | None, date: str) -> str:
    """The text with the agency's editorial caption around it, once; without a template the text.

    `date` is ISO 8601. What is not known stays empty: `caption_gaps` tells. Raises
    ConfigurationError for a template with other fields.
    """
    text = clean(text)
    values = _caption_values(rules, place, date)
    _fields(rules.caption)
    before, has_text, after = rules.caption.partition("{text}")
    before, after = (clean(part.format_map(values)) for part in (before, after))
    if not has_text or (before and text.casefold().startswith(before.casefold())):
        return text
    return clean(" ".join((before, text, after)))


def _instead(character: str, forbidden: str) -> str:
    for one in (*_INSTEAD.get(character, ()), " "):
        if not any(part in forbidden for part in one):
            return one
    return ""


def _fitting(text: str, length: int) -> list[str]:
    """The clusters of a text that fit into a length in characters."""
    fitting, used = [], 0
    for found in _CLUSTER.finditer(text):
        used += len(found[0])
        if used > length:
            break
        fitting.append(found[0])
    return fitting


def _last_break(clusters: list[str], following: str) -> int:
    """After how many clusters the last word ends that is whole; 0 where the first one is not.

    Scripts without spaces between words may be cut between any two clusters.
    """
    after = following
    for at in range(len(clusters), 0, -1):
        if after.isspace() or (_UNSPACED.match(clusters[at - 1]) and _UNSPACED.match(after)):
            return at
        after = clusters[at - 1]
    return 0


def _ended_well(clusters: list[str]) -> list[str]:
    """Clusters without punctuation and dangling words at their end, unless there is nothing else."""
    end = _without_punctuation(clusters)
    while end:
        start = end
        while start and not clusters[start - 1].isspace():
            start -= 1
        if start == 0 or "".join(clusters[start:end]).casefold() not in _DANGLING:
            break
        end = _without_punctuation(clusters[:start])
    return clusters[: end or len(clusters)]


def _without_punctuation(clusters: list[str]) -> int:
    end = len(clusters)
    while end and (clusters[end - 1].isspace() or _is_punctuation(clusters, end - 1)):
        end -= 1
    return end


def _is_punctuation(clusters: list[str], at: int) -> bool:
    """Whether this cluster is punctuation that closes nothing, in a text that ends with it."""
    one = clusters[at]
    if unicodedata.category(one[0])[0] != "P" and one not in "&+/":
        return False
    opening = {")": "(", "]": "[", "”": "“", "»": "«"}.get(one)
    return not (opening and opening in clusters[:at])


def _single_keywords(words: Iterable[str], forbidden: str) -> Iterator[str]:
    for text in words:
        for part in _SEPARATORS.split(text):
            word = without(part, forbidden).lstrip(_QUOTES + "#").rstrip(_QUOTES)
            if _SAYS_SOMETHING.search(word):
                yield word


def _fields(caption: str) -> tuple[str, ...]:
    """The names in a template; raises ConfigurationError for one that is not known."""
    try:
        names = tuple(name for _, name, _, _ in string.Formatter().parse(caption) if name)
    except ValueError as error:
        raise ConfigurationError(f"The caption {caption!r} is no template: {error}.") from error
    known = {"text", *_caption_values(EditorialRules(), None, "")}
    unknown = sorted(set(names) - known)
    if unknown:
        raise ConfigurationError(
            f"The caption {caption!r} has {{{unknown[0]}}}; known are {', '.join(sorted(known))}."
        )
    return names


def _caption_values(rules: EditorialRules, place: Place | None, date: str) -> dict[str, str]:
    place = place or Place()
    values = {"city": place.city, "region": place.region, "country": place.country}
    values |= {name.upper(): value.upper() for name, value in values.items()}
    try:
        values["date"] = datetime.fromisoformat(date).strftime(rules.date_format)
    except ValueError:
        values["date"] = ""
    values["DATE"] = values["date"].upper()
    return values
