"""`dam retry`: run again what failed, waits or is stale, or what a person names."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from dam_pipeline.cli.options import AsJson, StageName
from dam_pipeline.cli.output import Exit, command, print_json, say, table
from dam_pipeline.cli.troubles import is_in_trouble, tell_troubles
from dam_pipeline.errors import ConfigurationError
from dam_pipeline.records import Filters, Media, MediaKind, State
from dam_pipeline.settings import Settings, load_settings

if TYPE_CHECKING:
    from dam_pipeline.catalogue.catalogue import Catalogue
    from dam_pipeline.cli.listing import Listing
    from dam_pipeline.stages.freshness import Verdict
    from dam_pipeline.stages.work import Toolbox

WANTED = frozenset({State.FAILED, State.STALE, State.BLOCKED})
EVERYTHING = frozenset(State) - {State.RUNNING, State.REMOVED}


@dataclass(frozen=True, slots=True)
class Chosen:
    """A file and those of its stages that are to run again."""

    listing: "Listing"
    stages: Mapping[str, "Verdict"]

    @property
    def media(self) -> Media:
        """The file."""
        return self.listing.media


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
    still has a failed or blocked stage afterwards.

    Examples: dam retry · dam retry --failed --kind video · dam retry --stage transcript --all
    """
    from dam_pipeline.cli.selection import check_stages
    from dam_pipeline.stages.work import Toolbox

    if everything and (failed or stale):
        raise ConfigurationError("--all already holds --failed and --stale; give it alone.")
    states = _states(failed, stale, everything)
    wanted = check_stages(stage)
    settings = load_settings()
    with Toolbox.open(settings) as tools:
        files = _files(tools.catalogue, media or [], Filters(kinds=tuple(kind or ()), path=path))
        chosen = _choose(tools, files, states, wanted)
        if dry_run or not chosen:
            return _tell_plan(chosen, as_json)
        run_ids = _run(settings, tools, chosen, forget=everything)
        return _report(tools, chosen, run_ids, as_json)


def _states(failed: bool, stale: bool, everything: bool) -> frozenset[State]:
    if everything:
        return EVERYTHING
    asked = {State.FAILED: failed, State.STALE: stale}
    return frozenset(state for state, is_asked in asked.items() if is_asked) or WANTED


def _files(catalogue: "Catalogue", references: Sequence[str], filters: Filters) -> list[Media]:
    """The files that the arguments and filters name, in the order of their keys."""
    from dam_pipeline.cli.selection import media_below

    if references:
        found: dict[str, Media] = {}
        for one in references:
            is_path = "://" in one or os.sep in one or os.path.lexists(one)
            for media in media_below(catalogue, [one]) if is_path else [catalogue.find(one)]:
                found[media.partition_key] = media
        files = [found[key] for key in sorted(found)]
    else:
        files = catalogue.all_media()
    allowed = catalogue.matching(filters)
    return [one for one in files if allowed is None or one.media_id in allowed]


def _choose(
    tools: "Toolbox", files: Sequence[Media], states: frozenset[State], stages: Sequence[str]
) -> list[Chosen]:
    from dam_pipeline.cli.listing import list_media

    chosen = []
    for listing in list_media(tools, files):
        picked = {
            stage: verdict
            for stage, verdict in listing.verdicts.items()
            if verdict.state in states and (not stages or stage in stages)
        }
        if picked:
            chosen.append(Chosen(listing, picked))
    return chosen


def _run(
    settings: Settings, tools: "Toolbox", chosen: Sequence[Chosen], *, forget: bool
) -> list[str]:
    from dam_pipeline.cli.processing import process

    if forget:
        for one in chosen:
            tools.catalogue.states.forget([one.media.media_id], list(one.stages))
    stages = with_dependants({stage for one in chosen for stage in one.stages})
    return process(settings, [one.media for one in chosen], stages)


def with_dependants(chosen: set[str]) -> list[str]:
    """The stages and all that is made from what they give, each after its inputs."""
    from dam_pipeline.stages import STAGES

    found = set(chosen)
    for stage in STAGES.values():
        if found.intersection((*stage.inputs, *stage.enrichments)):
            found.add(stage.name)
    return [name for name in STAGES if name in found]


def _tell_plan(chosen: Sequence[Chosen], as_json: bool) -> int:
    if as_json:
        print_json({"run_ids": [], "media": [_plan_json(one) for one in chosen]})
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


def _plan_json(one: Chosen) -> dict[str, object]:
    return {
        "media_id": one.media.media_id,
        "partition_key": one.media.partition_key,
        "uri": one.listing.uri,
        "state": one.listing.state.value,
        "stages": {
            stage: {"state": verdict.state.value, "reason": verdict.reason}
            for stage, verdict in one.stages.items()
        },
    }


def _report(
    tools: "Toolbox", chosen: Sequence[Chosen], run_ids: Sequence[str], as_json: bool
) -> int:
    from dam_pipeline.cli.listing import list_media

    after = list_media(tools, [one.media for one in chosen])
    states = [one.state for one in after]
    counts = {
        state.value: states.count(state) for state in (State.DONE, State.FAILED, State.BLOCKED)
    }
    if as_json:
        media = [
            _plan_json(one) | {"state": now.state.value}
            for one, now in zip(chosen, after, strict=True)
        ]
        print_json({**counts, "run_ids": list(run_ids), "media": media})
    else:
        say(f"{len(chosen)} files ran again: " + ", ".join(f"{n} {s}" for s, n in counts.items()))
        tell_troubles(after)
    return Exit.SOME_FAILED if is_in_trouble(after) else Exit.OK
