"""`dam stock package`: a folder that an agency can take as it is, or what it would be."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dam_pipeline.cli.options import AgencyId, AsJson, MediaOrShortlist
from dam_pipeline.cli.output import Exit, command, print_json, say, table, total_bar
from dam_pipeline.records import Json
from dam_pipeline.settings import load_settings

if TYPE_CHECKING:
    from dam_pipeline.packaging.making import Packaged, Plan


@command
def run(
    media: MediaOrShortlist = None,
    agency: AgencyId = "",
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The package itself; else a folder in DAM_HOME/packages."),
    ] = None,
    link: Annotated[
        bool,
        typer.Option(
            "--link",
            help="Where a file keeps all its bytes, link it to its master: edit neither then.",
        ),
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Also what the agency has already.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell what would be made; change nothing.")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Make a package: files as the agency takes them, described inside, with table and checklist.

    Originals are only read. Items with errors are left out and named, and the exit code is 3. After
    a stop the same command goes on; the same selection gives the same bytes.

    Examples: dam stock package --agency adobe-stock --out ~/packages/spring ·
    dam stock package --agency pond5 reel-4e2c3 --dry-run
    """
    from dam_pipeline.errors import ConfigurationError
    from dam_pipeline.packaging.making import package_media, plan_package
    from dam_pipeline.stages.work import Toolbox

    if not agency:
        raise ConfigurationError("Say for whom: --agency ID (`dam stock agencies` lists them).")
    references = media or ()
    folder = out.expanduser() if out else None
    with Toolbox.open(load_settings()) as tools:
        if dry_run:
            return _tell_plan(plan_package(tools, agency, references, folder, again=again), as_json)
        with total_bar("packaging") as progress:
            made = package_media(
                tools, agency, references, folder, again=again, link=link, progress=progress
            )
    if as_json:
        print_json(_document(made))
    else:
        _tell(made)
    return Exit.SOME_FAILED if made.manifest.left_out else Exit.OK


def _document(made: "Packaged") -> dict[str, Json]:
    """The documented shape of `package --json`."""
    from dam_pipeline.packaging.manifest import MANIFEST_FILE

    folder, manifest = made.folder, made.manifest
    return {
        "agency": manifest.agency,
        "folder": str(folder) if manifest.items else None,
        "items": [
            {
                "media_id": one.media_id,
                "file": str(folder / one.file),
                "sha256": one.sha256,
                "master_sha256": one.master_sha256,
                "title": one.title,
                "keywords": list(one.keywords),
                "warnings": [dict(warning) for warning in one.warnings],
            }
            for one in manifest.items
        ],
        "left_out": [
            {"media_id": one.media_id, "errors": [dict(error) for error in one.errors]}
            for one in manifest.left_out
        ],
        "csv": str(folder / manifest.table.file) if manifest.table else None,
        "manifest": str(folder / MANIFEST_FILE) if manifest.items else None,
        "checklist": str(folder / manifest.checklist.file) if manifest.checklist else None,
    }


def _tell(made: "Packaged") -> None:
    from dam_pipeline.packaging.recipes import size

    manifest = made.manifest
    for left in manifest.left_out:
        errors = "; ".join(f"{one['message']} {one['fix']}".strip() for one in left.errors)
        say(f"left out: {left.partition_key}: {errors}")
    if not manifest.items:
        say("Nothing was packaged, and no folder was made.")
        return
    rows = [
        (
            one.partition_key,
            one.file,
            str(one.rendition["how"]),
            size(one.size_bytes),
            str(len(one.warnings) or ""),
        )
        for one in manifest.items
    ]
    table(("media", "file", "made by", "size", "warnings"), rows)
    say(f"{len(rows)} packaged, {len(manifest.left_out)} left out: {made.folder}")
    if manifest.checklist:
        say(f"What is left to do stands in {made.folder / manifest.checklist.file}")


def _tell_plan(plan: "Plan", as_json: bool) -> int:
    from dam_pipeline.packaging.recipes import size

    left_out = [one for one in plan.verdicts if one.errors]
    code = Exit.SOME_FAILED if left_out else Exit.OK
    if as_json:
        print_json(_planned(plan))
        return code
    rows = [
        (
            one.item.media.partition_key,
            one.submission.file_name,
            one.submission.rendition.how,
            str(len(one.warnings) or ""),
        )
        for one in plan.good
    ]
    table(("media", "file", "made by", "warnings"), rows)
    for one in left_out:
        errors = "; ".join(f"{error.message} {error.fix}".strip() for error in one.errors)
        say(f"left out: {one.item.media.partition_key}: {errors}")
    needed = f"about {size(plan.needed_bytes)}"
    say(f"{len(rows)} would be packaged ({needed}), {len(left_out)} left out: {plan.folder}")
    say("Nothing was changed.")
    return code


def _planned(plan: "Plan") -> dict[str, Json]:
    """The same shape, of what would be made: without hashes, and without files."""
    return {
        "agency": plan.agency.id,
        "folder": str(plan.folder),
        "items": [
            {
                "media_id": one.item.media.media_id,
                "file": str(plan.folder / "media" / one.submission.file_name),
                "sha256": None,
                "master_sha256": one.item.sha256 or None,
                "title": one.submission.title,
                "keywords": list(one.submission.keywords),
                "warnings": [warning.to_json() for warning in one.warnings],
                "made_by": one.submission.rendition.how,
            }
            for one in plan.good
        ],
        "left_out": [
            {
                "media_id": one.item.media.media_id,
                "errors": [error.to_json() for error in one.errors],
            }
            for one in plan.verdicts
            if one.errors
        ],
        "csv": None,
        "manifest": None,
        "checklist": None,
        "needed_bytes": plan.needed_bytes,
    }
