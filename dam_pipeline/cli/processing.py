"""Running stages from the command line with a progress bar; used by `ingest` and `retry`."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from dam_pipeline.catalogue.catalogue import Catalogue
from dam_pipeline.cli.output import bar, say
from dam_pipeline.events import open_sink
from dam_pipeline.graph.read import is_behind
from dam_pipeline.records import Media
from dam_pipeline.settings import Settings
from dam_pipeline.stages import STAGES
from dam_pipeline.stages.work import Toolbox

if TYPE_CHECKING:
    import dagster as dg

    from dam_pipeline.catalogue.discovery import Discovery


def process(
    settings: Settings,
    catalogue: Catalogue,
    media: Sequence[Media],
    stages: Sequence[str] | None = None,
    found: "Discovery | None" = None,
) -> list[str]:
    """Run these media through Dagster in this process, then the graph; returns the run ids.

    Dagster is told first of what was `found`. What a run left that was killed is made up for also
    when there is nothing to run: results that Dagster has not heard of, a graph that is behind.
    """
    from dam_pipeline.assets.lineage import tell_dagster
    from dam_pipeline.launch import end_lost_runs, run_graph, run_media
    from dam_pipeline.restoring import restore_cut_off

    is_graph_due = bool(media) or is_behind(settings, catalogue)
    cut_off = catalogue.beats.cut_off()
    has_news = found and (found.sidecars or found.returned or found.superseded)
    if not (is_graph_due or has_news or cut_off):
        return []
    by_key = {one.partition_key: one for one in media}
    with opened(settings) as (tools, instance):
        end_lost_runs(instance)
        if cut_off:
            restore_cut_off(instance, tools, cut_off)
        if found:
            tell_dagster(instance, found)
        run_ids: list[str] = []
        if media:
            with bar("processing", len(media) * len(stages or STAGES)) as tell:
                _listen(tools, tell)
                run_ids = list(run_media(settings, instance, by_key, stages))
        if is_graph_due:
            say("linking the library …")
            run_ids.append(run_graph(settings, instance))
    return run_ids


@contextmanager
def opened(settings: Settings) -> "Iterator[tuple[Toolbox, dg.DagsterInstance]]":
    """The tools and Dagster's instance, as runs in this process use them."""
    from dam_pipeline.dagster_home import open_instance
    from dam_pipeline.launch import quiet_dagster
    from resources.library import LibraryResource, close_libraries

    quiet_dagster()
    with ExitStack() as resources:
        instance = resources.enter_context(open_instance(settings))
        resources.callback(close_libraries)
        yield resources.enter_context(LibraryResource(home=str(settings.home)).open()), instance


def tell_others(tools: Toolbox) -> None:
    """Send the events that wait; whom they do not reach now is told later, by the next sender."""
    delivery = tools.catalogue.outbox.deliver(lambda name: open_sink(tools.settings, name))
    for trouble in delivery.troubles.values():
        say(f"note: {trouble}")


def _listen(tools: Toolbox, tell: Callable[[int, str], None]) -> None:
    finished = 0
    note = ""

    def on_finished(key: str, stage: str, state: str) -> None:
        nonlocal finished, note
        finished += 1
        note = f"{key} {stage}"
        tell(finished, note)

    tools.tell_finished = on_finished
    tools.tell_progress = lambda key, share: tell(finished, f"{key} {share:.0%}")
