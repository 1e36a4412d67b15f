"""What the options of `dam stock edit` say, as changes for `stock.people.edit_record`."""

from collections.abc import Sequence
from pathlib import Path

from dam_pipeline.errors import ConfigurationError
from dam_pipeline.records import Json


def given(**values: Json) -> dict[str, Json]:
    """Those options that were given."""
    return {name: value for name, value in values.items() if value is not None}


def names(texts: Sequence[str] | None) -> list[str]:
    """Names that may be given one by one or with commas between."""
    return [name.strip() for text in texts or () for name in text.split(",") if name.strip()]


def keywords_said(replaced: str | None, added: str | None, removed: str | None) -> dict[str, Json]:
    """The change of the keywords: all of them, or some to add and to take away."""
    if replaced is not None and (added is not None or removed is not None):
        raise ConfigurationError("--keywords replaces all: give it alone.")
    if replaced is not None:
        return {"keywords": _words(replaced)}
    parts = given(
        add=None if added is None else _words(added),
        remove=None if removed is None else _words(removed),
    )
    return {"keywords": parts} if parts else {}


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def categories_said(texts: Sequence[str]) -> dict[str, Json]:
    """Changes of the category for all agencies, and of those for single ones."""
    of_one = dict(text.split("=", 1) for text in texts if "=" in text)
    of_any = [text for text in texts if "=" not in text]
    if len(of_any) > 1:
        raise ConfigurationError(
            f"{', '.join(of_any)}: give one category, or AGENCY=NAME for each."
        )
    changes: dict[str, Json] = {"category": of_any[0]} if of_any else {}
    if of_one:
        changes["categories"] = {agency.strip(): name for agency, name in of_one.items()}
    return changes


def releases_said(
    model: Sequence[str], of_property: Sequence[str], removed: Sequence[str]
) -> dict[str, Json]:
    """The change of the releases."""
    added = [_release("model", text) for text in model]
    added += [_release("property", text) for text in of_property]
    parts: dict[str, Json] = {"add": added} if added else {}
    if removed:
        parts["remove"] = list(removed)
    return {"releases": parts} if parts else {}


def _release(kind: str, text: str) -> dict[str, str]:
    """A release of FILE or NAME=FILE; a file whose name has an = in it is a file."""
    name, sign, path = text.partition("=")
    if not sign or Path(text).exists():
        return {"kind": kind, "path": text}
    return {"kind": kind, "path": path, "name": name.strip()}


def place_said(place: str | None, region: str | None, country: str | None) -> dict[str, Json]:
    """The change of the parts of the place that are named."""
    parts: dict[str, Json] = {}
    if place is not None:
        city, _, beside = place.partition(",")
        parts |= {"city": city.strip(), "region": beside.strip()}
    parts |= given(region=region, country=country)
    return {"place": parts} if parts else {}
