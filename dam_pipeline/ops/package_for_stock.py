"""The job `package_for_stock`: `dam stock package` from the launchpad or over GraphQL."""

from collections.abc import Sequence
from pathlib import Path

import dagster as dg
from pydantic import Field

from dam_pipeline.agencies.agency import Agency
from dam_pipeline.assets.metadata import Metadata
from dam_pipeline.assets.stock import DELIVERABLE, PACKAGE, evaluation, table, told
from dam_pipeline.event_log.batches import report_in_run
from dam_pipeline.ops.requesting import answer, failures_told
from dam_pipeline.packaging.making import Packaged, package_media
from dam_pipeline.packaging.manifest import MANIFEST_FILE, PackagedItem
from dam_pipeline.stages.work import Toolbox
from dam_pipeline.stock.record import Verdict
from resources.library import LibraryResource


class PackageConfig(dg.Config):
    """What is packaged, and for whom."""

    agency: str = Field(
        description="Id of the agency, as `dam stock agencies` lists them: adobe-stock."
    )
    media: list[str] = Field(
        default=[],
        description="Media ids, partition keys, or paths as the workers see them. Empty: the shortlist.",
    )
    out: str = Field(
        default="",
        description=(
            "Folder of the package as the workers see it: new, empty, or a package to go on with. "
            "Empty: one below DAM_HOME/packages."
        ),
    )
    again: bool = Field(
        default=False, description="Also what this agency already has by an earlier delivery."
    )
    strict: bool = Field(
        default=False,
        description="Make no package when any item has an error; else such items are left out.",
    )


@dg.op(
    name="make_package",
    out=dg.Out(dg.Nothing),
    description=(
        "Holds the chosen media against the agency's rules, leaves out and names those with errors, "
        "and makes a package of the others. Originals are only read."
    ),
)
def make_package(
    context: dg.OpExecutionContext, config: PackageConfig, library: LibraryResource
) -> None:
    """Package media for one agency."""
    with failures_told(), library.open() as tools:
        packaged = package_media(
            tools,
            config.agency,
            config.media,
            Path(config.out) if config.out else None,
            again=config.again,
            tell_checked=lambda agency, verdicts: _gate(context, config, agency, verdicts),
        )
        if not packaged.manifest.items:
            lines = "\n".join(f"{one['media']}: {one['errors']}" for one in _left_out(packaged))
            raise dg.Failure(
                description=f"Nothing was packaged, as no item could be made:\n{lines}",
                allow_retries=False,
            )
        _tell(context, tools, packaged)


def _gate(
    context: dg.OpExecutionContext,
    config: PackageConfig,
    agency: Agency,
    verdicts: Sequence[Verdict],
) -> None:
    """Tell the check what was found, and go no further where nothing may be packaged."""
    if not config.media:  # the check is about the whole shortlist
        # Dagster takes it, though its types do not say so.
        context.log_event(evaluation(context.instance, agency, verdicts))  # type: ignore[arg-type]
    bad = [one for one in verdicts if one.errors]
    for one in bad:
        context.log.warning(f"Left out: {told(one)}")
    if bad and (config.strict or len(bad) == len(verdicts)):
        why = "`strict` is on" if config.strict else "no item is without an error"
        lines = "\n".join(told(one) for one in bad)
        raise dg.Failure(
            description=f"Nothing was packaged, as {why}:\n{lines}", allow_retries=False
        )


def _tell(context: dg.OpExecutionContext, tools: Toolbox, packaged: Packaged) -> None:
    folder, manifest = packaged.folder, packaged.manifest
    report_in_run(
        context,
        [
            dg.AssetMaterialization(
                DELIVERABLE,
                partition=one.partition_key,
                metadata=_described(tools, packaged, one),
                tags={"dagster/data_version": one.sha256},
            )
            for one in manifest.items
        ],
    )
    left_out = _left_out(packaged)
    counts = {"items": len(manifest.items), "left_out": len(left_out)}
    report_in_run(
        context,
        [
            dg.AssetMaterialization(
                PACKAGE,
                metadata={
                    "agency": f"{manifest.agency} {manifest.agency_version}",
                    **counts,
                    "folder": dg.MetadataValue.path(str(folder)),
                    "manifest": dg.MetadataValue.path(str(folder / MANIFEST_FILE)),
                    "packaged": table([_row(one) for one in manifest.items]),
                    "not_packaged": table(left_out),
                    "tools": ", ".join(f"{k} {v}" for k, v in manifest.tools.items()),
                },
            )
        ],
    )
    document = {"folder": str(folder), "media": [one.media_id for one in manifest.items], **counts}
    answer(context, document, {"folder": str(folder), **counts})


def _left_out(packaged: Packaged) -> list[dict[str, str]]:
    return [
        {"media": one.partition_key, "errors": "; ".join(str(e["message"]) for e in one.errors)}
        for one in packaged.manifest.left_out
    ]


def _row(item: PackagedItem) -> Metadata:
    return {
        "media": item.partition_key,
        "file": item.file,
        "title": item.title,
        "keywords": len(item.keywords),
        "warnings": len(item.warnings),
    }


def _described(tools: Toolbox, packaged: Packaged, item: PackagedItem) -> Metadata:
    """Picture and page first, as on every partition of a media."""
    key, address = item.partition_key, tools.settings.preview_address
    return {
        "picture": dg.MetadataValue.md(f"![{key}]({address}/poster/{key}.jpg)"),
        "page": dg.MetadataValue.url(f"{address}/media/{key}"),
        "agency": packaged.manifest.agency,
        "title": item.title,
        "keywords": ", ".join(item.keywords),
        "file": dg.MetadataValue.path(str(packaged.folder / item.file)),
        "made_by": str(item.rendition.get("how", "")),
        "size_bytes": item.size_bytes,
        "sha256": item.sha256,
        "master_sha256": item.master_sha256,
        "warnings": "; ".join(str(one["message"]) for one in item.warnings),
        "lineage": dg.MetadataValue.json(dict(item.lineage)),
    }
