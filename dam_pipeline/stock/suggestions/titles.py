"""Titles and descriptions from tags, place and date: plain sentences of what is known, no more."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from dam_pipeline.stock.record import Place, Suggestion
from dam_pipeline.stock.suggestions.keywords import ENGLISH, confidence_of, evidence_of, warning_for
from dam_pipeline.stock.suggestions.known import Known
from dam_pipeline.stock.suggestions.whereabouts import place_of
from dam_pipeline.tagging.effective import EffectiveTag

WORDS_IN_TITLE = 3
HONESTY = 0.7  # a list of things seen is a poor title even where all of it is right


def suggest(known: Known) -> Iterator[Suggestion]:
    """What is seen and where as a title; with the month also as a description."""
    tags = _telling(known)
    if not tags:
        return
    names = [known.library.vocabulary.label(one.tag, ENGLISH) for one in tags]
    title = f"{_listed(names)}{_where(place_of(known))}"
    title = title[0].upper() + title[1:]
    confidence = round(HONESTY * min(confidence_of(one, known) for one in tags), 2)
    seen = (f"{n}: {evidence_of(one, known)}" for n, one in zip(names, tags, strict=True))
    evidence, warning = "; ".join(seen), warning_for(tags, known)
    yield Suggestion("title", title, "tags", confidence, evidence, warning)
    description = f"{title}{_when(known.record.date or known.probe.created_at or '')}."
    yield Suggestion("description", description, "tags", confidence, evidence, warning)


def _telling(known: Known) -> Sequence[EffectiveTag]:
    """The surest tags that are things: no colours, no wider term, no guess beside a word."""
    wider = {parent for tag in known.tags for parent in tag.parents}
    things = [one for one in known.tags if one.source != "colour" and one.tag not in wider]
    things.sort(key=lambda one: -confidence_of(one, known))
    best = confidence_of(things[0], known) if things else 0.0
    return [one for one in things if confidence_of(one, known) > best / 2][:WORDS_IN_TITLE]


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else names[0]


def _where(place: Place) -> str:
    parts = [part for part in (place.city, place.country) if part]
    return f" in {', '.join(parts)}" if parts else ""


def _when(date: str) -> str:
    try:
        return f", {datetime.fromisoformat(date):%B %Y}"
    except ValueError:
        return ""
