"""Suggestions for stock records: one source a sibling file, each saying how sure it is, and why.

A source is a function of what is known of one media. A new one is a module with `suggest`, and its
name in `SOURCES`. Facts fill empty fields by themselves; words are only offered to a person.
"""

from collections.abc import Callable, Iterable, Iterator

from dam_pipeline.stock.record import Suggestion
from dam_pipeline.stock.suggestions import (
    categories,
    file_names,
    headcount,
    keywords,
    probed,
    speech,
    titles,
    whereabouts,
)
from dam_pipeline.stock.suggestions.known import Known

Source = Callable[[Known], Iterable[Suggestion]]

SOURCES: tuple[Source, ...] = (
    probed.suggest,
    whereabouts.suggest,
    headcount.suggest,
    titles.suggest,
    speech.suggest,
    file_names.suggest,
    keywords.suggest,
    categories.suggest,
)
FACTS = ("date", "place", "people", "creator", "is_generated")
SURE_ENOUGH = 0.5  # for a fact to fill an empty field


def suggestions(known: Known) -> tuple[Suggestion, ...]:
    """All suggestions for one media, by field, the surest first; one for each keyword, each once."""
    made = (one for source in SOURCES for one in source(known))
    ranked = sorted(made, key=lambda one: (one.field, -one.confidence))
    return tuple(_each_once(ranked))


def _each_once(ranked: Iterable[Suggestion]) -> Iterator[Suggestion]:
    seen = set()
    for one in ranked:
        key = (one.field, str(one.value).casefold())
        if key not in seen:
            seen.add(key)
            yield one
