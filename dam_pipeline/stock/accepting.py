"""Suggestions that a person accepts: they become that person's words."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from dam_pipeline.errors import ConfigurationError
from dam_pipeline.records import Json
from dam_pipeline.stock.record import Item, Suggestion
from dam_pipeline.stock.suggestions import FACTS

WORDS = ("title", "description", "keywords", "category")
ALL = "all"
AT_LEAST = 0.3  # above what a model says of things that it does not understand


@dataclass(frozen=True, slots=True)
class Accepted:
    """Changes for `people.edit_record`, and for what there was nothing to accept, with the reason."""

    changes: dict[str, Json] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)


def acceptable(names: Sequence[str]) -> list[str]:
    """The fields that are named, each once; `all` means words, for facts stand in the record already.

    Raises ConfigurationError for a field that nothing is ever suggested for.
    """
    if unknown := sorted({*names} - {*WORDS, *FACTS, ALL}):
        raise ConfigurationError(
            f"Nothing is suggested for {', '.join(unknown)}: {', '.join((*WORDS, *FACTS))} or {ALL}."
        )
    return list(dict.fromkeys(field for n in names for field in (WORDS if n == ALL else (n,))))


def accept(item: Item, fields: Sequence[str], at_least: float = AT_LEAST) -> Accepted:
    """The best suggestion for each field, of keywords all; nothing less sure than `at_least`.

    What a person or the file says stands: keywords come behind theirs, other fields are left.
    """
    accepted = Accepted()
    for name in fields:
        offered = [one for one in item.suggestions if one.field == name]
        sure = [one for one in offered if one.confidence >= at_least]
        if name != "keywords" and item.said_by.get(name) in ("person", "file"):
            accepted.left_out[name] = f"the {item.said_by[name]} says it already"
        elif sure:
            accepted.changes[name] = _value(sure)
        else:
            accepted.left_out[name] = _why_not(offered)
    return accepted


def _value(offered: Sequence[Suggestion]) -> Json:
    best = offered[0]
    return {"add": [one.value for one in offered]} if best.field == "keywords" else best.value


def _why_not(offered: Sequence[Suggestion]) -> str:
    if not offered:
        return "nothing is suggested"
    return f"the best suggestion, {offered[0].value!r}, has confidence {offered[0].confidence:.2f}"
