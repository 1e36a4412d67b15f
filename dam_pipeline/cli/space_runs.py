"""Runs that `dam space` starts in this process, on the instance that the UI shows."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dam_pipeline.cli.output import Exit, bar, print_json, say
from dam_pipeline.records import Media, State
from dam_pipeline.settings import load_settings

if TYPE_CHECKING:
    from dam_pipeline.catalogue.spaces import SpaceRecord
    from dam_pipeline.stages.work import Toolbox


def run_builds(tools: "Toolbox", media: Sequence[Media], record: "SpaceRecord") -> list[str]:
    """Build a space for these files through Dagster, with a progress bar; gives the run ids."""
    from dam_pipeline.cli.processing import opened
    from dam_pipeline.launch import end_lost_runs, run_build

    if not media:
        return []
    with opened(tools.asked) as (own, instance), bar("building", len(media)) as tell:
        end_lost_runs(instance)
        done = 0

        def on_finished(key: str, _stage: str, _state: str) -> None:
            nonlocal done
            done += 1
            tell(done, key)

        own.in_space(record).tell_finished = on_finished
        by_key = {one.partition_key: one for one in media}
        return list(run_build(tools.asked, instance, by_key, record.name))


def follow(record: "SpaceRecord", run_id: str | None, later: bool, as_json: bool) -> int:
    """Bring up to date what is made of the vectors, and tell."""
    from dam_pipeline.cli.processing import process
    from dam_pipeline.stages.choosing import Choice, choose, with_dependants
    from dam_pipeline.stages.work import Toolbox

    run_ids = [run_id] if run_id else []
    settings = load_settings()
    stages = with_dependants({record.stage})
    with Toolbox.open(settings) as tools:
        wanted = Choice(states=frozenset({State.STALE, State.NEVER}), stages=tuple(stages))
        media = [one.media for one in choose(tools, wanted)]
        if not later:
            run_ids += process(settings, tools.catalogue, media, stages)
    if as_json:
        document = {"space": record.name, "kind": record.kind, "model": record.model}
        print_json({**document, "is_active": True, "stale": len(media), "run_ids": run_ids})
    elif later and media:
        say(f"{len(media)} files have stale tags or scenes: `dam retry --stale` makes them anew.")
    return Exit.OK
