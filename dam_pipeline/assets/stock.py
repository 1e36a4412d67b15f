"""Stock in Dagster: what people chose, held against each agency; what was packaged and delivered of it.

Files go the way of their partition: `stock_deliverable` is the copy of a media that an agency gets,
`stock_delivery` what became of it over there. Both are made by jobs, `package_for_stock` and
`publish_packages`, whose runs stand behind each event.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.definitions.asset_checks.asset_check_evaluation import (
    AssetCheckEvaluationTargetMaterializationData,
)

from dam_pipeline.agencies.agency import Agency
from dam_pipeline.agencies.loading import OWN, find_agency, shipped_files
from dam_pipeline.assets.metadata import OWNER
from dam_pipeline.errors import PackageInvalid
from dam_pipeline.packaging.manifest import MANIFEST_FILE, PACKAGES, read_manifest
from dam_pipeline.packaging.verification import verify_package
from dam_pipeline.partitions import media_partitions
from dam_pipeline.publishing.approving import approved_packages
from dam_pipeline.records import Json
from dam_pipeline.settings import Settings
from dam_pipeline.stages.work import Toolbox
from dam_pipeline.stock.items import load_items
from dam_pipeline.stock.record import Finding, Item, Verdict
from dam_pipeline.stock.rules import check_items
from dam_pipeline.stock.shortlist import shortlisted
from resources.library import LibraryResource

GROUP = "stock"
SHORTLIST = "stock_shortlist"
DELIVERABLE = "stock_deliverable"
PACKAGE = "stock_package"
DELIVERY = "stock_delivery"
NAMED = 100
"""Items that an event names one by one; all are counted."""

DESCRIBED_BY = ("probe", "checksum", "tags", "transcript", "face_embeddings")
"""Stages whose results a stock record and its suggestions are made from."""

stock_deliverable = dg.AssetSpec(
    DELIVERABLE,
    deps=[*DESCRIBED_BY, SHORTLIST],
    description=(
        "The copy of a media that an agency gets: in the form it takes, with title and keywords in "
        "the file. Made by the job `package_for_stock`."
    ),
    partitions_def=media_partitions,
    group_name=GROUP,
    owners=[OWNER],
    kinds={"file"},
)

stock_package = dg.AssetSpec(
    PACKAGE,
    deps=[DELIVERABLE],
    description=(
        "A folder that an agency can take as it is: deliverables, table, thumbnails, manifest and "
        "the checklist for the human part. Made by the job `package_for_stock`."
    ),
    group_name=GROUP,
    owners=[OWNER],
    kinds={"file"},
)

stock_delivery = dg.AssetSpec(
    DELIVERY,
    deps=[DELIVERABLE, PACKAGE],
    description=(
        "A deliverable at an agency's server: delivered, its bytes verified. Whether the agency has "
        "accepted it is said by people (`dam stock deliveries`). Made by the job `publish_packages`."
    ),
    partitions_def=media_partitions,
    group_name=GROUP,
    owners=[OWNER],
    kinds={"file"},
)


@dg.asset(
    name=SHORTLIST,
    deps=list(DESCRIBED_BY),
    group_name=GROUP,
    owners=[OWNER],
    kinds={"file"},
)
def stock_shortlist(library: LibraryResource) -> dg.MaterializeResult:
    """The media that people chose for stock (`dam stock shortlist`), with what is said of them.

    Its checks hold them against the rules of each agency; an item with an error is left out of that
    agency's package.
    """
    with library.open() as tools:
        items = _items(tools)
    rows = [
        {
            "media": one.media.partition_key,
            "title": one.record.title,
            "keywords": len(one.record.keywords),
            "usage": one.record.usage,
            "master": one.uri,
        }
        for one in items
    ]
    return dg.MaterializeResult(metadata={"media": len(items), "items": table(rows)})


def stock_checks(settings: Settings) -> dg.AssetChecksDefinition:
    """One check an agency, each of which can be run by itself."""
    # Only files at hand: loading the location asks no storage.
    own = {path.stem for path in (settings.home / OWN).glob("*.toml")}
    agencies = {check_name(one): one for one in sorted({*shipped_files(), *own})}

    @dg.multi_asset_check(
        name="stock_checks",
        specs=[
            dg.AssetCheckSpec(
                name,
                asset=SHORTLIST,
                description=f"{agency} takes every item of the shortlist as it is described now.",
            )
            for name, agency in agencies.items()
        ],
        can_subset=True,
    )
    def checks(
        context: dg.AssetCheckExecutionContext, library: LibraryResource
    ) -> Iterator[dg.AssetCheckResult]:
        with library.open() as tools:
            items = _items(tools)
            for key in sorted(context.selected_asset_check_keys):
                agency = find_agency(tools.settings, agencies[key.name])
                verdicts = check_items(tools, items, agency)
                yield fitness(agency, verdicts)

    return checks


@dg.asset_check(
    asset=PACKAGE,
    name="is_whole",
    description=(
        "Every package that waits to be published, or lies in DAM_HOME/packages, is what its manifest "
        "says, byte for byte. One that is not is refused by `publish_packages`."
    ),
)
def package_check(library: LibraryResource) -> dg.AssetCheckResult:
    """Packages read whole and compared with their manifests."""
    with library.open() as tools:
        waiting = {one.folder for one in approved_packages(tools.settings)}
        kept = (tools.settings.home / PACKAGES).glob(f"*/{MANIFEST_FILE}")
        folders = sorted(waiting | {path.parent for path in kept})
    rows = [{"package": str(one), "problem": fault} for one in folders for fault in _faults(one)]
    return dg.AssetCheckResult(
        passed=not rows, metadata={"packages": len(folders), "problems": table(rows)}
    )


def _faults(folder: Path) -> list[str]:
    try:
        return [str(one) for one in verify_package(folder, read_manifest(folder))]
    except PackageInvalid as error:
        return [str(error)]


def evaluation(
    instance: dg.DagsterInstance, agency: Agency, verdicts: Sequence[Verdict]
) -> dg.AssetCheckEvaluation:
    """The same check as an event of a job that has just held the shortlist against an agency."""
    found = fitness(agency, verdicts)
    return dg.AssetCheckEvaluation(
        asset_key=dg.AssetKey(SHORTLIST),
        check_name=check_name(agency.id),
        passed=found.passed,
        metadata=found.metadata,
        severity=found.severity,
        description=found.description,
        target_materialization_data=_newest(instance),
    )


def _newest(
    instance: dg.DagsterInstance,
) -> AssetCheckEvaluationTargetMaterializationData | None:
    """The newest shortlist in Dagster: the UI takes no notice of a check of anything else."""
    records = instance.fetch_materializations(dg.AssetKey(SHORTLIST), limit=1).records
    if not records:
        return None
    (newest,) = records
    return AssetCheckEvaluationTargetMaterializationData(
        storage_id=newest.storage_id, run_id=newest.run_id, timestamp=newest.timestamp
    )


def check_name(agency_id: str) -> str:
    """What the check of an agency is called."""
    return f"fits_{agency_id.replace('-', '_')}"


def fitness(agency: Agency, verdicts: Sequence[Verdict]) -> dg.AssetCheckResult:
    """Whether all items fit an agency, and what is wrong with those that do not."""
    bad = [one for one in verdicts if one.errors]
    return dg.AssetCheckResult(
        asset_key=SHORTLIST,
        check_name=check_name(agency.id),
        passed=not bad,
        description=_in_short(bad, len(verdicts)),
        metadata={
            "items": len(verdicts),
            "with_errors": len(bad),
            "with_warnings": sum(bool(one.warnings) for one in verdicts),
            "fixed_by_itself": sum(bool(one.fixes) for one in verdicts),
            "rules": f"{agency.name}, {agency.version}, confidence {agency.confidence}",
            "findings": table([row for one in verdicts for row in _findings(one)]),
        },
    )


def _in_short(bad: Sequence[Verdict], count: int) -> str:
    if not bad:
        return f"All {count} items fit."
    keys = ", ".join(one.item.media.partition_key for one in bad[:NAMED])
    return f"{len(bad)} of {count} items would be left out: {keys}"


def told(verdict: Verdict) -> str:
    """One line: which item, and all its errors."""
    errors = "; ".join(f"{one.message} {one.fix}".strip() for one in verdict.errors)
    return f"{verdict.item.media.partition_key}: {errors}"


def table(rows: Sequence[Mapping[str, Json]]) -> dg.MetadataValue[Any]:
    """The first rows as a table."""
    records = [dg.TableRecord(dict(one)) for one in rows[:NAMED]]
    columns = [dg.TableColumn(name) for name in (rows[0] if rows else {"nothing": ""})]
    return dg.MetadataValue.table(records, dg.TableSchema(columns))


def _findings(verdict: Verdict) -> Iterator[dict[str, Json]]:
    kinds: tuple[tuple[str, Sequence[Finding]], ...] = (
        ("error", verdict.errors),
        ("warning", verdict.warnings),
    )
    for kind, findings in kinds:
        for one in findings:
            yield {
                "media": verdict.item.media.partition_key,
                "is": kind,
                "rule": one.rule,
                "message": one.message,
                "fix": one.fix,
            }


def _items(tools: Toolbox) -> list[Item]:
    return load_items(tools, shortlisted(tools.settings, tools.catalogue))
