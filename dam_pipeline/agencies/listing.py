"""An agency's rules as lines of text, for people: every rule that is set, under its name in the file."""

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any

from dam_pipeline.agencies.agency import Agency, Category, Column

APART = ("id", "name", "version", "verified_on", "sources", "confidence", "human_steps", "notes")
"""Fields of an agency that are no rules."""


def rules_of(agency: Agency) -> Iterator[tuple[str, str]]:
    """Each rule that says something: its name such as `title.max_length`, and its value.

    Left out is what is empty or 0 unless that itself says something.
    """
    for field in fields(agency):
        if field.name not in APART:
            yield from _rules(field.name, getattr(agency, field.name), field.default)


def _rules(name: str, value: Any, default: Any) -> Iterator[tuple[str, str]]:
    if is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            if field.name != "kind":
                yield from _rules(f"{name}.{field.name}", getattr(value, field.name), field.default)
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            found = list(_rules(f"{name}.{key}", inner, MISSING))
            yield from found or [(f"{name}.{key}", "taken as it is")]
    elif value or value != default:
        yield name, _text(value)


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(_text(one) for one in value)
    if isinstance(value, Column):
        return f"{value.heading} = {value.value or repr(value.text)}"
    if isinstance(value, Category):
        return value.name if value.code == value.name else f"{value.code} {value.name}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return f"{value:,.10g}" if isinstance(value, float) else f"{value:,}"
    text = str(value)
    return text if any(letter.isalnum() for letter in text) else repr(text)
