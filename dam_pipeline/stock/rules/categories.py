"""Rules on categories, and how a person's words become the agency's codes."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from difflib import get_close_matches
from functools import lru_cache

from dam_pipeline.agencies.agency import Agency, CategoryRules
from dam_pipeline.stock.record import StockRecord
from dam_pipeline.stock.rules.rule import Advice, Case, Mended, Said, Wrong, rule
from dam_pipeline.stock.wording import clean

NEAREST = 3  # names that are offered for one that is not known
LIKENESS = 0.5  # from which on a name is worth offering (difflib's ratio)


def codes_of(agency: Agency, record: StockRecord) -> tuple[str, ...]:
    """The agency's codes of the record's categories, as far as known, each once.

    Where no list of the agency is known, the person's own words are taken.
    """
    known = _known(agency.categories)
    if not agency.categories.known:
        return tuple(_names(agency, record)) if agency.categories.max_count else ()
    codes = (known.get(_plain(name)) for name in _names(agency, record))
    return tuple(dict.fromkeys(code for code in codes if code))


def notes_on(agencies: Sequence[Agency], said: StockRecord) -> Iterator[str]:
    """What to know of categories that are in no list for which a person said them."""
    listing = [one for one in agencies if one.categories.known]
    unknown = {one.id: _unknown(one, said) for one in listing}
    for agency in listing:
        if agency.id in said.categories:
            for name in unknown[agency.id]:
                yield f"{agency.name} has no category {name!r}.{_nearest([agency], name)}"
    if said.category and all(_unknown(one, replace(said, categories={})) for one in listing):
        yield f"No agency has a category {said.category!r}.{_nearest(listing, said.category)}"


@rule("error", "warning")
def category_unknown(case: Case) -> Iterator[Said]:
    """Categories are in the agency's list; one for all agencies may be missing where none is needed."""
    agency, record = case.agency, case.item.record
    for name in _unknown(agency, record):
        message = f"{agency.name} has no category {name!r}.{_nearest([agency], name)}"
        is_wanted = agency.id in record.categories or agency.categories.min_count
        yield (Wrong if is_wanted else Advice)(message, _fix(case))


@rule("error")
def category_missing(case: Case) -> Iterator[Said]:
    """There are as many categories as the agency asks for at least."""
    found, least = len(case.submission.categories), case.agency.categories.min_count
    if found < least and not _unknown(case.agency, case.item.record):
        message = f"Categories: {found}, {case.agency.name} asks for {least}."
        yield Wrong(message, _fix(case))


@rule("fix")
def categories_too_many(case: Case) -> Iterator[Said]:
    """Of more categories than the agency takes the first are kept."""
    before, most = case.submission.categories, case.agency.categories.max_count
    if len(before) > most:
        message = f"Categories: {len(before)}, {case.agency.name} takes {most}."
        after = before[:most]
        yield Mended(message, ", ".join(before), ", ".join(after), {"categories": after})


RULES = (category_unknown, category_missing, categories_too_many)


def _names(agency: Agency, record: StockRecord) -> list[str]:
    """What a person said: the words for this agency, else those for all."""
    text = record.categories.get(agency.id) or record.category
    if _plain(text) in _known(agency.categories):
        return [text]
    parts = re.split("[;,]", text) if agency.categories.known else text.split(";")
    return [one for one in map(clean, parts) if one]


@lru_cache(maxsize=32)
def _known(rules: CategoryRules) -> Mapping[str, str]:
    """The agency's codes by all the words for them."""
    return {
        _plain(word): one.code
        for one in reversed(rules.known)
        for word in (*one.also, one.name, one.code)
    }


def _plain(text: str) -> str:
    """The words without case, marks and `and`: Food & Drink is Food and Drink."""
    return " ".join(re.findall(r"\w+", re.sub(r"\band\b", " ", text.casefold())))


def _unknown(agency: Agency, record: StockRecord) -> list[str]:
    """A person's words that are not in the agency's list; none where no list is known."""
    known = _known(agency.categories)
    return [one for one in _names(agency, record) if _plain(one) not in known] if known else []


def _nearest(agencies: Sequence[Agency], name: str) -> str:
    by_plain = {
        _plain(one.name): one.name for agency in agencies for one in agency.categories.known
    }
    close = get_close_matches(_plain(name), by_plain, NEAREST, LIKENESS)
    return f" Nearest: {', '.join(by_plain[one] for one in close)}." if close else ""


def _fix(case: Case) -> str:
    names = ", ".join(one.name for one in case.agency.categories.known)
    return f"{case.say('category', '--category NAME')} ({names})"
