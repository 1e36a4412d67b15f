"""What stands in the cells of an agency's table: a submission's values in the table's form."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path

from dam_pipeline.agencies.agency import Agency, Column, TableRules
from dam_pipeline.errors import PackageInvalid
from dam_pipeline.stock.record import Place, Submission

Cell = str | tuple[str, ...]
"""A text, or a list whose form depends on the column."""


def cells(agency: Agency, table: TableRules, one: Submission) -> dict[str, Cell]:
    """All of `agencies.columns.VALUES` of a submission; lists are still apart."""
    names: Mapping[str, str] = {known.code: known.name for known in agency.categories.known}
    place = one.place or Place()
    models, properties = _releases(one, "model"), _releases(one, "property")
    return {
        "file_name": one.file_name,
        "title": one.title,
        "description": one.description,
        "keywords": one.keywords,
        "categories": one.categories,
        "category_names": tuple(names.get(code, code) for code in one.categories),
        **{f"category_{n + 1}": "".join(one.categories[n : n + 1]) for n in range(3)},
        "releases": models + properties,
        "model_releases": models,
        "property_releases": properties,
        "has_model_release": _yes_or_no(table, bool(models)),
        "has_property_release": _yes_or_no(table, bool(properties)),
        "editorial": _yes_or_no(table, one.usage == "editorial" if one.usage else None),
        "usage": one.usage,
        "mature": _yes_or_no(table, one.is_mature),
        "illustration": _yes_or_no(table, one.is_illustration),
        "generated": _yes_or_no(table, one.is_generated),
        "people": "" if one.people is None else str(one.people),
        "city": place.city,
        "region": place.region,
        "country": place.country,
        "country_code": place.country_code,
        "date": _date(table, one.date),
        "price": "" if one.price_usd is None else f"{one.price_usd:.2f}".removesuffix(".00"),
        "creator": one.creator,
        "copyright": one.copyright,
    }


def joined(table: TableRules, column: Column, entries: Cell) -> str:
    """A cell as one text; raises PackageInvalid where an entry holds what separates entries."""
    if isinstance(entries, str):
        return entries
    separator = table.keyword_separator if column.value == "keywords" else table.list_separator
    mark = separator.strip() or separator
    if broken := [one for one in entries if mark in one]:
        raise PackageInvalid(
            f"{broken[0]!r} in {column.heading} holds {mark!r}, which stands between its entries. "
            "Write it without"
        )
    return separator.join(entries)


def _yes_or_no(table: TableRules, value: bool | None) -> str:
    return "" if value is None else table.yes if value else table.no


def _releases(submission: Submission, kind: str) -> tuple[str, ...]:
    found = [one for one in submission.releases if one.kind == kind]
    return tuple(one.name or Path(one.path).name for one in found)


def _date(table: TableRules, text: str) -> str:
    """The day in the table's form; a year or a month alone as it is."""
    try:
        return date.fromisoformat(text[:10]).strftime(table.date_format)
    except ValueError:
        return text
