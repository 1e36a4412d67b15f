"""Keywords from tags and the place: the trusted first, then the surest; wider terms after narrower."""

from collections.abc import Iterable, Iterator

from dam_pipeline.stock.record import Suggestion
from dam_pipeline.stock.suggestions.known import Known
from dam_pipeline.stock.suggestions.whereabouts import place_of
from dam_pipeline.tagging.effective import EffectiveTag

PERSON = 0.95  # typed as a tag, not as a keyword
MOST = 0.9  # a model's score is no probability
WARNED = 0.2  # at most, where the model does not understand what is asked of it
COLOUR = 0.25  # of little use to a buyer
WIDER = 0.95  # of the narrower term's
SAID, FOUND = 0.9, 0.8  # a place that somebody said, and one by GPS
ENGLISH = "en"


def suggest(known: Known) -> Iterator[Suggestion]:
    """One suggestion for each tag, and for each part of the place; words of the file are not repeated."""
    wider = {parent for tag in known.tags for parent in tag.parents}
    for tag in known.tags:
        if tag.source == "file":
            continue
        confidence = confidence_of(tag, known) * (WIDER if tag.tag in wider else 1.0)
        word = known.library.vocabulary.label(tag.tag, ENGLISH)
        evidence, warning = evidence_of(tag, known), warning_for([tag], known)
        yield Suggestion("keywords", word, "tags", round(confidence, 2), evidence, warning)
    yield from _of_place(known)


def confidence_of(tag: EffectiveTag, known: Known) -> float:
    """How sure a tag is as a word for the media, 0–1."""
    if tag.source in ("person", "file"):
        return PERSON
    if tag.source == "colour":
        return COLOUR
    return min(tag.score or 0.0, WARNED if known.warning else MOST)


def evidence_of(tag: EffectiveTag, known: Known) -> str:
    """Who says so, and where it is seen."""
    if tag.source in ("person", "file"):
        return "a person tagged it so" if tag.source == "person" else "a keyword in the file"
    share = tag.score or 0.0
    if tag.source == "colour":
        return f"{share:.0%} of the picture"
    when = f", {tag.start_s:.1f}–{tag.end_s:.1f} s" if tag.end_s > tag.start_s else ""
    model = known.tagger.partition("@")[0] or "the model"
    return f"score {share:.2f} by {model}{when}"


def warning_for(tags: Iterable[EffectiveTag], known: Known) -> str:
    """What to know of the model, where one of the tags is its own."""
    return known.warning if any(tag.source == "model" for tag in tags) else ""


def _of_place(known: Known) -> Iterator[Suggestion]:
    place = place_of(known)
    sure, evidence = (SAID, "the record's place") if known.record.place else (FOUND, "by GPS")
    for word in (place.city, place.country):
        if word:
            yield Suggestion("keywords", word, "gazetteer", sure, evidence)
