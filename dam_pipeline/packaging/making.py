"""From what a person names to a package: the one way of the command line and of Dagster's job."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dam_pipeline.agencies.agency import Agency
from dam_pipeline.agencies.loading import find_agency
from dam_pipeline.agencies.templates import require_template
from dam_pipeline.catalogue.registry import list_sources
from dam_pipeline.errors import ConfigurationError
from dam_pipeline.identity import uri_to_path
from dam_pipeline.packaging.manifest import PACKAGES, Manifest
from dam_pipeline.packaging.package import Progress, make_package
from dam_pipeline.packaging.recipes import needed_bytes, package_name
from dam_pipeline.settings import Settings
from dam_pipeline.sources.originals import is_remote
from dam_pipeline.stages.work import Toolbox
from dam_pipeline.stock.items import load_items
from dam_pipeline.stock.record import Verdict
from dam_pipeline.stock.rules import check_items
from dam_pipeline.stock.shortlist import chosen


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be packaged, and where; `needed_bytes` is an estimate."""

    agency: Agency
    verdicts: tuple[Verdict, ...]
    folder: Path
    needed_bytes: int

    @property
    def good(self) -> tuple[Verdict, ...]:
        """The items without errors."""
        return tuple(one for one in self.verdicts if not one.errors)


@dataclass(frozen=True, slots=True)
class Packaged:
    """A package that was made; nothing is in the folder where its manifest has no items."""

    folder: Path
    manifest: Manifest


def plan_package(
    tools: Toolbox,
    agency_id: str,
    references: Sequence[str],
    out: Path | None = None,
    *,
    again: bool = False,
) -> Plan:
    """What a package of these media (else of the shortlist) would be; nothing is written.

    Raises ConfigurationError for an unknown agency or media, for a folder in a watched source, and
    without a needed template.
    """
    agency = find_agency(tools.settings, agency_id)
    require_template(agency)
    items = load_items(tools, chosen(tools, references))
    verdicts = tuple(check_items(tools, items, agency, again=again))
    folder = out or tools.settings.home / PACKAGES / package_name(agency, verdicts)
    folder = Path(os.path.abspath(folder))  # without `..`: it stands in the ledger
    _refuse_source(tools.settings, folder)
    good = [one for one in verdicts if not one.errors]
    return Plan(agency, verdicts, folder, needed_bytes(agency, good))


def _refuse_source(settings: Settings, folder: Path) -> None:
    """Raise ConfigurationError for a folder whose files would be taken in as originals."""
    for source in list_sources(settings):
        if not is_remote(source.uri) and folder.resolve().is_relative_to(
            uri_to_path(source.uri).resolve()
        ):
            raise ConfigurationError(
                f"{folder} lies in the source {source.name} ({source.place}), so what is packaged "
                "would be taken in as new originals. Choose another --out."
            )


def package_media(
    tools: Toolbox,
    agency_id: str,
    references: Sequence[str],
    out: Path | None = None,
    *,
    again: bool = False,
    link: bool = False,
    progress: Progress = lambda _done, _total, _note: None,
    tell_checked: Callable[[Agency, Sequence[Verdict]], None] = lambda _agency, _verdicts: None,
) -> Packaged:
    """Check the media that are named (else the shortlist) and package those that the agency takes.

    `tell_checked` hears what the rules said before anything is made, and may raise. Raises as
    `plan_package` and `make_package`.
    """
    plan = plan_package(tools, agency_id, references, out, again=again)
    tell_checked(plan.agency, plan.verdicts)
    manifest = make_package(tools, plan.agency, plan.verdicts, plan.folder, progress, link=link)
    return Packaged(plan.folder, manifest)
