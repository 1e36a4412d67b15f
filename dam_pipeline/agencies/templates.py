"""Templates of agencies' tables: the headings of a file that a user downloaded from the portal.

The library keeps what was read as `agencies/<id>.template.json`; it then stands in the place of the
columns that the specification has. How a file is read is the affair of `headings`.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from dam_pipeline.agencies.agency import Agency, Column, TableRules
from dam_pipeline.agencies.columns import VALUES
from dam_pipeline.agencies.headings import plain, read_headings
from dam_pipeline.errors import ConfigurationError
from dam_pipeline.settings import Settings
from dam_pipeline.stores.library_files import keep_library_file

FORMAT = 1
ENDING = ".template.json"


@dataclass(frozen=True, slots=True)
class Template:
    """The headings of a user's own download, and how its file was written.

    Columns without a value stay empty. `delimiter` and `encoding` are empty where the file does not
    tell: then those of the specification are used.
    """

    agency: str
    file: str
    sha256: str
    read_on: str
    columns: tuple[Column, ...]
    delimiter: str = ""
    encoding: str = ""
    format: int = FORMAT

    @property
    def unknown(self) -> tuple[str, ...]:
        """The headings that nothing is known of."""
        return tuple(one.heading for one in self.columns if not one.value and not one.text)


def make_template(agency: Agency, path: Path, said: Sequence[str] = ()) -> Template:
    """The template that a file is, by the headings that the agency's specification knows.

    `said` are further ones, as `Heading=value`. Raises ConfigurationError naming what is not known,
    and for a file in which no column is for the file's name.
    """
    table = _table(agency)
    found = read_headings(path)
    meant = _said(said, found.names)
    known = {plain(one.heading): one for one in table.columns}
    columns = tuple(_column(name, known, meant) for name in found.names)
    if not any(one.value == "file_name" for one in columns):
        raise ConfigurationError(
            f"{path} has no column for the file's name, so it is no template of {agency.name}'s table; "
            f"its headings are {', '.join(found.names)}. If it is one: --map 'HEADING=file_name'."
        )
    return Template(
        agency=agency.id,
        file=path.name,
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        read_on=datetime.now(UTC).date().isoformat(),
        columns=columns,
        delimiter=found.delimiter,
        encoding=found.encoding,
    )


def missing_columns(agency: Agency, template: Template) -> list[str]:
    """What the agency asks for, but no column of its template is for."""
    is_asked = {
        "title": agency.title.is_required,
        "description": agency.description.is_required,
        "keywords": agency.keywords.min_count > 0,
        "categories": agency.categories.min_count > 0,
    }
    there = {one.value for one in template.columns}
    if there & {"category_names", "category_1"}:
        there.add("categories")
    return [name for name, asked in is_asked.items() if asked and name not in there]


def keep_template(settings: Settings, template: Template) -> Path:
    """Make a template that of its agency in the library; gives where it is kept."""
    text = json.dumps(asdict(template), indent=2, ensure_ascii=False)
    with TemporaryDirectory() as folder:
        made = Path(folder) / template_file(template.agency)
        made.parent.mkdir()
        made.write_text(text + "\n", encoding="utf-8")
        return keep_library_file(settings, template_file(template.agency), made)


def template_file(agency_id: str) -> str:
    """The name of an agency's template among the library's files."""
    return f"agencies/{agency_id}{ENDING}"


def read_template(path: Path, agency_id: str) -> Template:
    """The template that was kept in a file; raises ConfigurationError where it is damaged."""
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["format"] != FORMAT:
            raise ValueError(f"form {document['format']}")
        columns = tuple(Column(**one) for one in document.pop("columns"))
        return Template(columns=columns, **document)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigurationError(
            f"{path} is damaged ({error}). Import the template again: "
            f"`dam stock agencies import {agency_id} FILE`."
        ) from error


def with_template(agency: Agency, template: Template | None) -> Agency:
    """The agency with a template's columns; as it is without one."""
    if agency.table is None or template is None:
        return agency
    table = replace(
        agency.table,
        columns=template.columns,
        delimiter=template.delimiter or agency.table.delimiter,
        encoding=template.encoding or agency.table.encoding,
        needs_template=False,
    )
    return replace(agency, table=table)


def require_template(agency: Agency) -> None:
    """Raise ConfigurationError where an agency's table needs a template that nobody imported."""
    if agency.table and agency.table.needs_template:
        raise ConfigurationError(
            f"The headings of {agency.name}'s table are not known for sure, so its own template is "
            f"needed. {agency.table.template_help.rstrip('.')}, then `dam stock agencies import "
            f"{agency.id} FILE`."
        )


def _table(agency: Agency) -> TableRules:
    if agency.table is None:
        raise ConfigurationError(f"{agency.name} takes no table, so there is no template for one.")
    if agency.table.format != "csv":
        raise ConfigurationError(f"{agency.name} takes its table as XML; templates are of CSV.")
    return agency.table


def _column(heading: str, known: Mapping[str, Column], meant: Mapping[str, str]) -> Column:
    if heading in meant:
        return Column(heading, meant[heading])
    found = known.get(plain(heading))
    return Column(heading, found.value, found.text) if found else Column(heading)


def _said(said: Sequence[str], headings: Sequence[str]) -> dict[str, str]:
    """What a person says that headings mean, by the headings word for word."""
    by_plain = {plain(name): name for name in reversed(headings)}
    meant = {}
    for one in said:
        name, _, value = one.rpartition("=")
        if value not in VALUES:
            raise ConfigurationError(
                f"--map {one!r}: {value!r} is no value. Write HEADING=VALUE with one of "
                f"{', '.join(VALUES)}."
            )
        if plain(name) not in by_plain:
            raise ConfigurationError(
                f"--map {one!r}: there is no heading {name!r}. There are {', '.join(headings)}."
            )
        meant[by_plain[plain(name)]] = value
    return meant
