"""What people give a library about agencies: specifications of their own, and templates of tables."""

from collections.abc import Sequence
from pathlib import Path

from dam_pipeline.agencies.agency import Agency
from dam_pipeline.agencies.loading import (
    OWN,
    SPECIFICATION,
    own_files,
    read_agency,
    shipped_files,
    specification_file,
)
from dam_pipeline.agencies.templates import Template, keep_template, make_template
from dam_pipeline.errors import ConfigurationError
from dam_pipeline.settings import Settings
from dam_pipeline.stores.library_files import forget_library_file, keep_library_file


def import_template(
    settings: Settings, agency_id: str, path: Path, said: Sequence[str] = (), *, dry_run: bool
) -> Template:
    """Read the template of an agency's table from a file and make it the library's.

    `said` are headings that a person explains, as `Heading=value`. Raises ConfigurationError where
    the file is no such template.
    """
    agency = read_agency(specification_file(settings, agency_id))
    template = make_template(agency, path, said)
    if not dry_run:
        keep_template(settings, template)
    return template


def add_agency(settings: Settings, path: Path, *, dry_run: bool) -> Agency:
    """Make a specification the library's, in place of a shipped one or of an earlier one.

    Raises ConfigurationError naming what is wrong in the file.
    """
    if path.suffix != SPECIFICATION:
        raise ConfigurationError(f"{path} is no specification: name it <id>{SPECIFICATION}.")
    agency = read_agency(path)
    if not dry_run:
        keep_library_file(settings, f"{OWN}/{path.name}", path)
    return agency


def forget_agency(settings: Settings, agency_id: str, *, dry_run: bool) -> list[str]:
    """Forget what the library has of its own about an agency, damaged or not; gives the files' names.

    Raises ConfigurationError where it has nothing of its own.
    """
    names = own_files(settings, agency_id)
    if not names:
        shipped = (
            "what ships is all there is" if agency_id in shipped_files() else "nothing is here"
        )
        raise ConfigurationError(
            f"The library has nothing of its own about {agency_id}: {shipped}."
        )
    if not dry_run:
        for name in names:
            forget_library_file(settings, name)
    return names
