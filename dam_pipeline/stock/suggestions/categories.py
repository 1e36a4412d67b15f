"""A category from tags, by the words that the agencies' own lists of categories have for them."""

from collections import defaultdict
from collections.abc import Iterator

from dam_pipeline.stock.record import Suggestion
from dam_pipeline.stock.suggestions.keywords import ENGLISH, confidence_of, evidence_of, warning_for
from dam_pipeline.stock.suggestions.known import Known, singular
from dam_pipeline.tagging.effective import EffectiveTag

LEAP = 0.8  # from a thing that is seen to what the picture is about
MOST = 3


def suggest(known: Known) -> Iterator[Suggestion]:
    """The categories that most of what is seen belongs to, at most three."""
    found: dict[str, list[EffectiveTag]] = defaultdict(list)
    for tag in known.tags:
        if category := _category(tag, known):
            found[category].append(tag)
    weights = {name: sum(confidence_of(t, known) for t in tags) for name, tags in found.items()}
    total = sum(weights.values()) or 1.0
    for name in sorted(weights, key=lambda one: -weights[one])[:MOST]:
        best = max(found[name], key=lambda tag: confidence_of(tag, known))
        sure = LEAP * confidence_of(best, known) * (1 + weights[name] / total) / 2
        evidence, warning = f"{best.label}: {evidence_of(best, known)}", warning_for([best], known)
        yield Suggestion("category", name, "tags", round(sure, 2), evidence, warning)


def _category(tag: EffectiveTag, known: Known) -> str | None:
    if tag.source == "colour":
        return None
    term = known.library.vocabulary.terms.get(tag.tag)
    names = (tag.tag, *(term.names.get(ENGLISH, ()) if term else ()))
    found = (known.library.categories.get(singular(name)) for name in names)
    return next((one for one in found if one), None)
