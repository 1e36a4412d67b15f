"""`dam ingest`: find media and process them now."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from dam_pipeline.cli.options import AsJson
from dam_pipeline.cli.output import Exit, bar, command, print_json, say
from dam_pipeline.cli.troubles import is_in_trouble, tell_left_out, tell_troubles
from dam_pipeline.settings import load_settings

if TYPE_CHECKING:
    from dam_pipeline.catalogue.discovery import Discovery
    from dam_pipeline.stages.listing import Listing


@command
def run(
    paths: Annotated[
        list[str], typer.Argument(metavar="PATH", help="Files, folders, s3://bucket/folder.")
    ],
    as_json: AsJson = False,
) -> int:
    """Find all media below the paths and process what is new, changed or unfinished.

    Runs in the foreground, on the instance that `dam ui` shows; with DAM_DAGSTER_URL on that
    webserver's library, with paths as its workers see them. Originals are only read. Exit code 3
    when some file under the paths has failed or is blocked, now or from before.

    Examples: dam ingest /media/tapes · dam ingest a.mov b.jpg --json · dam ingest s3://rushes/2026
    """
    from dam_pipeline.catalogue.discovery import discover
    from dam_pipeline.cli.processing import process, tell_others
    from dam_pipeline.dagster_home import prepare_home
    from dam_pipeline.identity import display_name
    from dam_pipeline.stages.choosing import media_below
    from dam_pipeline.stages.freshness import due_stages
    from dam_pipeline.stages.listing import list_media
    from dam_pipeline.stages.work import Toolbox

    settings = load_settings()
    if settings.dagster_url:
        from dam_pipeline.cli import remote_library

        return remote_library.ingest(settings, paths, as_json=as_json)
    prepare_home(settings)
    with Toolbox.open(settings) as tools:
        with bar("looking", None) as tell:
            found = discover(
                paths,
                tools.catalogue,
                tools.derived,
                settings,
                lambda done, _total, uri: tell(done, display_name(uri)),
            )
        media = media_below(tools.catalogue, paths, may_be_unknown=True)
        due = [
            one.media
            for one in list_media(tools, media)
            if due_stages(one.rows, one.verdicts, settings.max_attempts)
        ]
        run_ids = process(settings, tools.catalogue, due, found=found)
        tell_others(tools)
        listings = list_media(tools, media_below(tools.catalogue, paths, may_be_unknown=True))
    return _report(found, listings, run_ids, as_json)


def _report(
    found: "Discovery", listings: Sequence["Listing"], run_ids: list[str], as_json: bool
) -> int:
    states = [one.state.value for one in listings]
    counts = {name: states.count(name) for name in ("done", "failed", "blocked")}
    if as_json:
        print_json(
            {
                "discovered": found.discovered,
                "new": len(found.new),
                "unchanged": found.unchanged,
                **counts,
                "run_ids": run_ids,
                "media": [
                    {
                        "media_id": one.media.media_id,
                        "partition_key": one.media.partition_key,
                        "uri": one.uri,
                        "state": one.state.value,
                    }
                    for one in listings
                ],
            }
        )
    else:
        say(
            f"{found.discovered} files found, {len(found.new)} new, {found.unchanged} unchanged: "
            f"{counts['done']} done, {counts['failed']} failed, {counts['blocked']} blocked."
        )
        tell_left_out(found.notes, len(found.waiting), asdict(found.skipped))
        tell_troubles(listings)
    return Exit.SOME_FAILED if is_in_trouble(listings) else Exit.OK
