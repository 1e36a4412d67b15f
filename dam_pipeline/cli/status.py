"""`dam status`: how far every file is, and why not further."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from dam_pipeline.cli.options import AsJson
from dam_pipeline.cli.output import Exit, command, print_json, say, table
from dam_pipeline.cli.troubles import is_in_trouble, tell_troubles
from dam_pipeline.settings import Settings, load_settings

if TYPE_CHECKING:
    from dam_pipeline.stages.listing import Listing


@command
def run(
    paths: Annotated[
        list[str] | None, typer.Argument(metavar="PATH", help="Only what lies below these.")
    ] = None,
    metrics: Annotated[
        bool,
        typer.Option("--metrics", help="Numbers of the whole library instead: queue, throughput …"),
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Show the state of every file and stage, with the reason of each failure.

    Exit code 3 when some file has failed or is blocked. With DAM_DAGSTER_URL, what that webserver
    knows of its library.

    Examples: dam status · dam status /media/tapes · dam status --metrics --json
    """
    settings = load_settings()
    if settings.dagster_url:
        from dam_pipeline.cli import remote_library

        return remote_library.status(settings, paths, metrics=metrics, as_json=as_json)
    if metrics:
        return _tell_metrics(settings, as_json)
    from dam_pipeline.stages.choosing import media_below
    from dam_pipeline.stages.listing import list_media, totals
    from dam_pipeline.stages.work import Toolbox

    with Toolbox.open(settings) as tools:
        media = media_below(tools.catalogue, paths) if paths else tools.catalogue.all_media()
        listings = list_media(tools, media)
    counts = totals(listings)
    if as_json:
        print_json({"media": [one.to_json() for one in listings], "totals": counts})
    elif not listings:
        say("No media here yet. `dam ingest FOLDER` adds some.")
    else:
        _print(listings, counts)
    return Exit.SOME_FAILED if is_in_trouble(listings) else Exit.OK


def _tell_metrics(settings: Settings, as_json: bool) -> int:
    from dam_pipeline.cli.metrics import metrics_of, tell, to_json
    from dam_pipeline.stages.work import Toolbox

    with Toolbox.open(settings) as tools:
        found = metrics_of(tools)
    if as_json:
        print_json(to_json(found))
    else:
        tell(found)
    return Exit.OK


def _print(listings: Sequence["Listing"], counts: dict[str, dict[str, int]]) -> None:
    table(
        ("file", "kind", "state", "key"),
        [
            (one.media.first_name, one.media.kind.value, one.state.value, one.media.partition_key)
            for one in listings
        ],
    )
    say("")
    states = sorted({state for count in counts.values() for state in count})
    table(
        ("stage", *states),
        [
            (stage, *(str(count.get(state, "")) for state in states))
            for stage, count in counts.items()
        ],
    )
    tell_troubles(listings)
