"""One specification: from the text of a TOML file to an `Agency`, or to words on what is wrong.

The form is that of the records in `agency`; what they cannot say stands in `_problems`.
"""

import json
import re
import tomllib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass
from datetime import date
from functools import lru_cache
from string import Formatter
from types import UnionType
from typing import Any, get_args, get_origin, get_type_hints

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from dam_pipeline.agencies.agency import Agency, CategoryRules, TableRules
from dam_pipeline.agencies.columns import VALUES
from dam_pipeline.errors import ConfigurationError
from dam_pipeline.records import Json

COMPUTED = ("id", "confidence")
"""Fields that no file holds: the id is the file's name, the confidence the least of the sources'."""

XML_ENCODINGS = ("utf-8", "utf-8-sig", "utf-16")
"""Those that every reader of XML knows, by the names that Python has for them."""

CAPTION_FIELDS = {"city", "region", "country", "date", "CITY", "REGION", "COUNTRY", "DATE", "text"}

_XML_NAME = re.compile(r"[A-Za-z_][\w.-]*", re.ASCII)
_READER = TypeAdapter(list[Agency], config=ConfigDict(extra="forbid", strict=True))


@lru_cache(maxsize=64)
def parse_agency(text: str, agency_id: str, path: str) -> Agency:
    """The agency that a TOML text describes; raises ConfigurationError naming the file and the key."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"{path} is no TOML: {error}. Mend that line.") from error
    if taken := [name for name in COMPUTED if name in document]:
        raise ConfigurationError(
            f"{path}: {taken[0]} may not stand here. The id is the file's name, the confidence the "
            "least of the sources'."
        )
    try:
        agency = _READER.validate_json(json.dumps([_completed(document, agency_id)], default=str))[
            0
        ]
    except ValidationError as error:
        told = "; ".join(_told(one) for one in error.errors()[:3])
        raise ConfigurationError(f"{path}: {told}.") from error
    if problems := list(_problems(agency)):
        raise ConfigurationError(f"{path}: {'; '.join(problems)}.")
    return agency


def _completed(document: dict[str, Json], agency_id: str) -> dict[str, Json]:
    sources = document.get("sources", [])
    said = [one.get("confidence", "") for one in sources if isinstance(one, dict)]
    media = document.get("media", {})
    if isinstance(media, dict):
        media = {
            kind: {"kind": kind, **rules} if isinstance(rules, dict) else rules
            for kind, rules in media.items()
        }
    table = document.get("table")
    if isinstance(table, dict):
        document = {**document, "table": {"file_name": _table_name(table), **table}}
    worst = max((one for one in said if one in ("A", "B", "C")), default="C")
    return {**document, "media": media, "id": agency_id, "confidence": worst}


def _table_name(table: dict[str, Json]) -> str:
    return f"metadata.{table.get('format', 'csv')}"


def _told(error: ErrorDetails) -> str:
    """One error of the reader: the key, what is wrong, and what is allowed there."""
    place = error["loc"][1:]
    key = ".".join(str(one) for one in place if one != "[key]")
    if error["type"] == "unexpected_keyword_argument":
        allowed = ", ".join(_allowed(place[:-1]))
        return f"{key} is no key of a specification; allowed there: {allowed}"
    if error["type"] in ("missing", "missing_argument"):
        return f"{key} is missing"
    wanted = error["msg"].replace("Input should be", "is to be")
    return f"{key} {wanted}, not {json.dumps(error['input'], default=str)[:60]}"


def _allowed(place: tuple[int | str, ...]) -> list[str]:
    """The keys that may stand at a place of a specification."""
    here: Any = Agency
    for step in place:
        if isinstance(here, type) and is_dataclass(here):
            here = _plain(get_type_hints(here)[str(step)])
        elif get_origin(here) is not None:
            inner = [one for one in get_args(here) if one is not Ellipsis]
            here = _plain(inner[-1])
    names = [field.name for field in fields(here)] if is_dataclass(here) else []
    return [name for name in names if here is not Agency or name not in COMPUTED]


def _plain(hint: Any) -> Any:
    """A type without its `| None`."""
    if get_origin(hint) is UnionType:
        return next(one for one in get_args(hint) if one is not type(None))
    return hint


def _problems(agency: Agency) -> Iterator[str]:
    """What the form of the records allows, but no agency can be worked with."""
    groups = {field.name for field in fields(Agency)} - {*COMPUTED, "sources", "version", "name"}
    if not agency.sources:
        yield "sources are missing: say where the rules come from, when read, and how sure they are"
    for source in agency.sources:
        for unknown in sorted(set(source.what) - groups):
            yield f"sources: {unknown} is no group of rules; there are {_listed(groups)}"
    yield from _problems_of_categories(agency.categories)
    if agency.table:
        yield from _problems_of_a_table(agency.table, agency.categories)
    yield from _problems_of_words(agency)


def _problems_of_words(agency: Agency) -> Iterator[str]:
    """Dates, suffixes, the class of characters and the caption's template."""
    for day in (agency.verified_on, *(one.read_on for one in agency.sources)):
        try:
            date.fromisoformat(day)
        except ValueError:
            yield f"{day!r} is no date; write it as 2026-11-21"
    for kind, rules in agency.media.items():
        for suffix in (one for one in rules.suffixes if one != one.lower().strip(".")):
            yield f"media.{kind}.suffixes: write {suffix!r} in small letters and without a dot"
        made = rules.transcode.suffix if rules.transcode else ""
        if made and rules.suffixes and made not in rules.suffixes:
            yield f"media.{kind}.transcode.suffix: {made} is not one of the suffixes that are taken"
    try:
        re.compile(f"[{agency.file_name.allowed}]")
    except re.error as error:
        yield f"file_name.allowed is no class of characters ({error}); an example is A-Za-z0-9_"
    try:
        found = {name for _, name, _, _ in Formatter().parse(agency.editorial.caption) if name}
        for name in sorted(found - CAPTION_FIELDS):
            yield f"editorial.caption: {{{name}}} is unknown; there are {_listed(CAPTION_FIELDS)}"
    except ValueError as error:
        yield f"editorial.caption is no template: {error}"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))


def _problems_of_categories(rules: CategoryRules) -> Iterator[str]:
    for what in ("code", "name"):
        counted = Counter(getattr(one, what).casefold() for one in rules.known)
        for twice in (text for text, count in counted.items() if count > 1):
            yield f"categories.known has the {what} {twice} twice"
    if rules.min_count and not rules.known:
        yield "categories.min_count asks for categories, but categories.known is empty"


def _problems_of_a_table(table: TableRules, categories: CategoryRules) -> Iterator[str]:
    if not table.columns:
        yield "table.columns is empty: leave the table out where the agency takes none"
    for column in table.columns:
        if column.value and column.value not in VALUES:
            yield (
                f"table.columns: {column.value} of {column.heading!r} is no value; there are "
                f"{', '.join(VALUES)}"
            )
    if table.format == "csv":
        yield from _problems_of_csv(table, categories)
    else:
        names = [table.root, table.row, *(one.heading for one in table.columns)]
        entries = [one.entry for one in table.columns if one.entry]
        for name in (one for one in (*names, *entries) if not _XML_NAME.fullmatch(one)):
            yield f"table: {name!r} is no name of an XML element; root, row and headings are such"
        if table.encoding not in XML_ENCODINGS:
            yield f"table.encoding of XML is {' or '.join(XML_ENCODINGS)}, not {table.encoding}"
    if table.needs_template and not table.template_help:
        yield "table.template_help is missing: say where the user finds the template"
    try:
        "".encode(table.encoding)
    except LookupError:
        yield f"table.encoding: there is no {table.encoding}; an example is utf-8"


def _problems_of_csv(table: TableRules, categories: CategoryRules) -> Iterator[str]:
    if len(table.delimiter) != 1:
        yield f"table.delimiter is to be one character, not {table.delimiter!r}"
    if not table.keyword_separator:
        yield "table.keyword_separator is empty: keywords would run into each other"
    if categories.max_count != 1:
        for one in categories.known:
            if table.list_separator in one.code:
                yield f"categories.known: {one.code} holds the table's list_separator"
