"""`dam retry`: run again what failed, waits or is stale, or what a person names."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from dam_pipeline.cli.options import AsJson, StageName
from dam_pipeline.cli.output import Exit, command, print_json, say, table
from dam_pipeline.cli.troubles import is_in_trouble, tell_troubles
from dam_pipeline.records import Filters, MediaKind, State
from dam_pipeline.settings import Settings, load_settings

if TYPE_CHECKING:
    from dam_pipeline.stages.choosing import Choice, Chosen
    from dam_pipeline.stages.work import Toolbox


@command
def run(
    media: Annotated[
        list[str] | None,
        typer.Argument(metavar="MEDIA|PATH", help="Only these files, or what lies below."),
    ] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Only what has failed.")] = False,
    stale: Annotated[bool, typer.Option("--stale", help="Only what is stale.")] = False,
    stage: StageName = None,
    path: Annotated[str, typer.Option(metavar="GLOB", help="Only paths that fit or hold it.")] = "",
    kind: Annotated[
        list[MediaKind] | None, typer.Option(help="Only this kind; may be repeated.")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Also what is done and fresh: compute it anew.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would run.")] = False,
    as_json: AsJson = False,
) -> int:
    """Run again what failed, is stale or was blocked, and all that depends on it.

    What is done and fresh stays as it is, unless --all is given. Exit code 3 when some chosen file
    still has a failed or blocked stage afterwards. With DAM_DAGSTER_URL on that webserver's library.

    Examples: dam retry · dam retry --failed --kind video · dam retry --stage transcript --all
    """
    from dam_pipeline.cli.processing import tell_others
    from dam_pipeline.stages.choosing import asked_for, choose
    from dam_pipeline.stages.work import Toolbox

    filters = Filters(kinds=tuple(kind or ()), path=path)
    choice = asked_for(
        media or (), filters, stage or (), failed=failed, stale=stale, everything=everything
    )
    settings = load_settings()
    if settings.dagster_url:
        from dam_pipeline.cli import remote_library

        asked = {"failed": failed, "stale": stale, "everything": everything, "dry_run": dry_run}
        return remote_library.retry(
            settings,
            {
                **asked,
                "media": media or [],
                "stages": stage or [],
                "kinds": [one.value for one in kind or ()],
                "path": path,
            },
            as_json=as_json,
        )
    with Toolbox.open(settings) as tools:
        chosen = choose(tools, choice)
        if dry_run or not chosen:
            return _tell_plan(chosen, as_json)
        run_ids = _run(settings, tools, choice, chosen)
        tell_others(tools)
        return _report(tools, chosen, run_ids, as_json)


def _run(
    settings: Settings, tools: "Toolbox", choice: "Choice", chosen: Sequence["Chosen"]
) -> list[str]:
    from dam_pipeline.cli.processing import process
    from dam_pipeline.stages.choosing import prepare_again

    stages = prepare_again(tools, choice, chosen)
    return process(settings, tools.catalogue, [one.media for one in chosen], stages)


def _tell_plan(chosen: Sequence["Chosen"], as_json: bool) -> int:
    if as_json:
        print_json({"run_ids": [], "media": [one.to_json() for one in chosen]})
    elif not chosen:
        say("Nothing to run again.")
    else:
        table(
            ("file", "stage", "state", "reason"),
            [
                (one.media.partition_key, stage, verdict.state.value, verdict.reason)
                for one in chosen
                for stage, verdict in one.stages.items()
            ],
        )
        say(f"{len(chosen)} files would run, and what depends on these stages.")
    return Exit.OK


def _report(
    tools: "Toolbox", chosen: Sequence["Chosen"], run_ids: Sequence[str], as_json: bool
) -> int:
    from dam_pipeline.stages.listing import list_media

    after = list_media(tools, [one.media for one in chosen])
    states = [one.state for one in after]
    counts = {
        state.value: states.count(state) for state in (State.DONE, State.FAILED, State.BLOCKED)
    }
    if as_json:
        media = [
            one.to_json() | {"state": now.state.value}
            for one, now in zip(chosen, after, strict=True)
        ]
        print_json({**counts, "run_ids": list(run_ids), "media": media})
    else:
        say(f"{len(chosen)} files ran again: " + ", ".join(f"{n} {s}" for s, n in counts.items()))
        tell_troubles(after)
    return Exit.SOME_FAILED if is_in_trouble(after) else Exit.OK
