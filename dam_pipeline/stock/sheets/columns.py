"""The columns of a sheet: which part of a stock record each holds, and what a changed cell asks for.

Columns whose name begins with `_` are for reading; of those only `_version` is looked at again.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from dam_pipeline.records import Json
from dam_pipeline.stock.fields import checked
from dam_pipeline.stock.record import Item, Place, StockRecord
from dam_pipeline.stock.sheets.cells import (
    COUNT,
    DATE,
    FLAG,
    LIST,
    PRICE,
    TEXT,
    USAGE,
    Cell,
    Kind,
    listed,
)

KEY = "media"
VERSION = "_version"
CATEGORY_OF = "category:"  # followed by an agency's id
SUGGESTED = ("title", "description", "keywords", "category")
PLACE = ("city", "region", "country", "country_code")
RELEASES = {"model_releases": "model", "property_releases": "property"}


@dataclass(frozen=True, slots=True)
class Column:
    """A column that people edit: its heading, the kind of its cells, and its part of a record."""

    name: str
    kind: Kind
    value: Callable[[StockRecord], Json]


def _field(name: str, kind: Kind, heading: str = "") -> Column:
    def value(record: StockRecord) -> Json:
        found = getattr(record, name)
        return list(found) if isinstance(found, tuple) else found

    return Column(heading or name, kind, value)


def _place_part(name: str) -> Column:
    return Column(name, TEXT, lambda record: getattr(record.place or Place(), name))


def _paths(name: str) -> Column:
    kind = RELEASES[name]
    return Column(
        name, LIST, lambda record: sorted(x.path for x in record.releases if x.kind == kind)
    )


def _category_of(name: str) -> Column:
    agency = name.removeprefix(CATEGORY_OF)

    def value(record: StockRecord) -> str:
        found = (x for id_, x in record.categories.items() if id_.casefold() == agency.casefold())
        return next(found, "")

    return Column(name, TEXT, value)


COLUMNS: Mapping[str, Column] = {
    one.name: one
    for one in (
        _field("title", TEXT),
        _field("description", TEXT),
        _field("keywords", LIST),
        _field("category", TEXT),
        _field("usage", USAGE),
        *map(_paths, RELEASES),
        *map(_place_part, PLACE),
        _field("date", DATE),
        _field("people", COUNT),
        _field("is_generated", FLAG, "generated"),
        _field("is_mature", FLAG, "mature"),
        _field("is_illustration", FLAG, "illustration"),
        _field("price_usd", PRICE),
        _field("creator", TEXT),
        _field("copyright", TEXT),
    )
}
"""The columns that every sheet has; those of single agencies' categories come besides."""

_FIELDS = {
    "generated": "is_generated",
    "mature": "is_mature",
    "illustration": "is_illustration",
}


def column_named(heading: str) -> Column | None:
    """The column with this heading, None for one that is not known."""
    if heading.startswith(CATEGORY_OF) and len(heading) > len(CATEGORY_OF):
        return _category_of(heading)
    return COLUMNS.get(heading)


def columns_for(records: Iterable[StockRecord]) -> list[Column]:
    """The columns of a sheet of these records."""
    agencies = sorted({agency for record in records for agency in record.categories})
    return [*COLUMNS.values(), *(_category_of(CATEGORY_OF + one) for one in agencies)]


def reading_cells(item: Item) -> dict[str, Cell]:
    """What stands beside a record for reading: the file, who said what, and the best suggestions."""
    said_by = "; ".join(f"{name}: {who}" for name, who in sorted(item.said_by.items()))
    name = os.fsencode(item.media.first_name).decode(errors="replace")
    suggested = {f"_suggested_{one}": _suggested(item, one) for one in SUGGESTED}
    return {"_file": name, **suggested, "_said_by": said_by}


def _suggested(item: Item, name: str) -> str:
    """The surest suggestion for a field; of keywords, of which each is one, all."""
    offered = sorted(
        (one for one in item.suggestions if one.field == name), key=lambda one: -one.confidence
    )
    if name == "keywords":
        return listed(dict.fromkeys(str(one.value) for one in offered))
    return str(offered[0].value) if offered else ""


def changes_of(record: StockRecord, values: Mapping[str, Json]) -> dict[str, Json]:
    """What to tell `people.edit_record` so that a record gets these values of columns.

    None takes a person's word back.
    """
    changes: dict[str, Json] = {}
    for name, value in values.items():
        if name.startswith(CATEGORY_OF):
            agency = name.removeprefix(CATEGORY_OF)
            changes.setdefault("categories", {})[agency] = value
        elif name in COLUMNS and name not in PLACE and name not in RELEASES:
            changes[_FIELDS.get(name, name)] = value
    if place := {name: values[name] for name in PLACE if name in values}:
        changes["place"] = _place(record, place)
    if any(name in values for name in RELEASES):
        changes["releases"] = _releases(record, values)
    return changes


def _place(record: StockRecord, parts: Mapping[str, Json]) -> dict[str, Json]:
    """All of the place, as what a person says of it replaces what is known from elsewhere."""
    known = record.place or Place()
    whole = {name: parts.get(name, getattr(known, name)) for name in PLACE}
    country, code = "country" in parts, "country_code" in parts
    if country != code:  # one of the two gives the other
        del whole["country_code" if country else "country"]
    return whole


def _releases(record: StockRecord, values: Mapping[str, Json]) -> dict[str, list[dict[str, Json]]]:
    add, remove = [], []
    for name, kind in RELEASES.items():
        if name not in values:
            continue
        known = {one.path for one in record.releases if one.kind == kind}
        wanted = set(values[name])
        add += [{"kind": kind, "path": path} for path in sorted(wanted - known)]
        remove += [{"path": path} for path in sorted(known - wanted)]
    return {"add": add, "remove": remove}


def as_kept(column: Column, record: StockRecord, value: Json, folder: Path) -> Json:
    """A value of a column as the journal would keep it: paths absolute, countries in English, …

    Paths of releases are relative to `folder`. Raises ConfigurationError for what cannot be.
    """
    if column.name in RELEASES:
        return sorted(os.path.abspath(folder / Path(path).expanduser()) for path in value)
    if value == column.kind.empty:
        return value
    kept = checked(changes_of(record, {column.name: value}))
    if column.name.startswith(CATEGORY_OF):
        return kept["categories"][column.name.removeprefix(CATEGORY_OF)]
    if column.name in PLACE:
        return kept["place"][column.name]
    return kept[_FIELDS.get(column.name, column.name)]
