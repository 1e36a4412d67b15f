"""Finding agencies' specifications: those that ship, and a library's own in their place.

A specification is one TOML file, named after the agency's id: in `specifications` beside this
module, or in `agencies` of DAM_HOME (of the storage, where workers share one).
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from dam_pipeline.agencies.agency import Agency
from dam_pipeline.agencies.specification import parse_agency
from dam_pipeline.agencies.templates import ENDING, Template, read_template, with_template
from dam_pipeline.errors import ConfigurationError
from dam_pipeline.settings import Settings
from dam_pipeline.stores.library_files import library_files

OWN = "agencies"
SPECIFICATION = ".toml"
SHIPPED = Path(__file__).with_name("specifications")
AGENCY_ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


@dataclass(frozen=True, slots=True)
class KnownAgency:
    """An agency as the library knows it, and the file that says so; `shipped` is what it replaces."""

    agency: Agency
    path: Path
    is_own: bool
    shipped: Agency | None
    template: Template | None


def find_agency(settings: Settings, agency_id: str) -> Agency:
    """The specification of an agency, with the template that was imported for it.

    Raises ConfigurationError naming those there are, or what is wrong in its file.
    """
    return known_agency(settings, agency_id).agency


def known_agency(settings: Settings, agency_id: str) -> KnownAgency:
    """What the library knows of an agency; raises ConfigurationError naming those there are."""
    return _known(agency_id, _own_files(settings, agency_id))


def specification_file(settings: Settings, agency_id: str) -> Path:
    """The specification of an agency that counts; raises ConfigurationError naming those there are."""
    own = _own_files(settings, agency_id)
    return own.get(agency_id + SPECIFICATION) or shipped_files()[agency_id]


def own_files(settings: Settings, agency_id: str) -> list[str]:
    """The library's own files about an agency by their names there, also damaged ones.

    Raises ConfigurationError naming the agencies that there are.
    """
    own = _own_files(settings, agency_id)
    names = (agency_id + SPECIFICATION, agency_id + ENDING)
    return [f"{OWN}/{name}" for name in names if name in own]


def _own_files(settings: Settings, agency_id: str) -> Mapping[str, Path]:
    own = library_files(settings, OWN)
    known = _ids(own)
    if agency_id not in known:
        raise ConfigurationError(
            f"There is no agency {agency_id!r}. There are {', '.join(known)}; a file "
            f"{OWN}/<id>.toml in DAM_HOME adds one (docs/how-to/add-an-agency.md)."
        )
    return own


def known_agencies(settings: Settings) -> list[KnownAgency]:
    """What the library knows of all agencies whose files are well, by id; see `broken_agencies`."""
    own, found = library_files(settings, OWN), []
    for agency_id in _ids(own):
        with suppress(ConfigurationError):
            found.append(_known(agency_id, own))
    return found


def broken_agencies(settings: Settings) -> dict[str, str]:
    """By id what is wrong in the files of the other agencies."""
    own, wrong = library_files(settings, OWN), {}
    for agency_id in _ids(own):
        try:
            _known(agency_id, own)
        except ConfigurationError as error:
            wrong[agency_id] = str(error)
    return wrong


def shipped_files() -> dict[str, Path]:
    """The specifications that ship, by id."""
    return {path.stem: path for path in sorted(SHIPPED.glob("*.toml"))}


def shipped_agencies() -> list[Agency]:
    """The agencies that ship, whatever a library has of its own."""
    return [read_agency(path) for path in shipped_files().values()]


def read_agency(path: Path) -> Agency:
    """The agency of a file; raises ConfigurationError naming what is wrong in it."""
    if not AGENCY_ID.fullmatch(path.stem):
        raise ConfigurationError(
            f"{path}: {path.stem} is no id of an agency. Name the file with small letters, digits "
            "and -, such as my-agency.toml."
        )
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"The specification {path} cannot be read: {error}.") from error
    return parse_agency(text, path.stem, str(path))


def _ids(own: Mapping[str, Path]) -> list[str]:
    mine = (Path(name).stem for name in own if name.endswith(SPECIFICATION))
    return sorted({*shipped_files(), *mine})


def _known(agency_id: str, own: Mapping[str, Path]) -> KnownAgency:
    mine, kept = own.get(agency_id + SPECIFICATION), own.get(agency_id + ENDING)
    shipped = shipped_files().get(agency_id)
    template = read_template(kept, agency_id) if kept else None
    path = mine or shipped_files()[agency_id]
    return KnownAgency(
        agency=_without_separators(with_template(read_agency(path), template)),
        path=path,
        is_own=mine is not None,
        shipped=read_agency(shipped) if shipped and mine else None,
        template=template,
    )


def _without_separators(agency: Agency) -> Agency:
    """The agency with what separates keywords in its table among what no keyword may hold."""
    if agency.table is None:
        return agency
    forbidden = {*agency.keywords.forbidden, *_mark(agency.table.keyword_separator)}
    return replace(agency, keywords=replace(agency.keywords, forbidden="".join(sorted(forbidden))))


def _mark(separator: str) -> str:
    """What shows where an entry ends: of ", " the comma."""
    return separator.strip() or separator
