"""`dam rebuild`: databases from derived files."""

from typing import TYPE_CHECKING

from dam_pipeline.cli.options import AsJson
from dam_pipeline.cli.output import Exit, bar, command, print_json, say
from dam_pipeline.settings import load_settings

if TYPE_CHECKING:
    import dagster as dg

    from dam_pipeline.catalogue.rebuilding import Rebuilt
    from dam_pipeline.stages.work import Toolbox
    from dam_pipeline.stores.derived import DerivedFiles

INDEXED_AT_ONCE = 20_000  # rows: each write takes a pass over what is there already


@command
def run(as_json: AsJson = False) -> int:
    """Make the catalogue, Dagster's partitions, the search index and the graph from derived files.

    Safe to repeat. Nothing is computed anew; originals are not read. Exit code 3 when some derived
    file is damaged and had to be passed over.

    Example: dam rebuild
    """
    from dam_pipeline.cli.processing import opened

    with opened(load_settings()) as (tools, instance):
        rebuilt = _catalogue(tools)
        report = {
            "media": rebuilt.media,
            "locations": rebuilt.locations,
            "states": rebuilt.states,
            **_dagster(tools, instance),
            "indexed": _index(tools, rebuilt.damaged),
            "graph_run_id": _graph(tools, instance),
            "damaged": rebuilt.damaged,
        }
    if as_json:
        print_json(report)
    else:
        say(
            f"{report['media']} files: {report['states']} states, {report['partitions']} partitions "
            f"and {report['materializations']} results restored, {report['indexed']} indexed."
        )
    for line in rebuilt.damaged:
        say(f"passed over: {line}")
    return Exit.SOME_FAILED if rebuilt.damaged else Exit.OK


def _catalogue(tools: "Toolbox") -> "Rebuilt":
    from dam_pipeline.catalogue.rebuilding import rebuild_catalogue
    from dam_pipeline.spaces.decisions import bring_up
    from dam_pipeline.stages import STAGES
    from dam_pipeline.stages.recording import stage_row

    bring_up(tools.settings, tools.catalogue)
    tools.follow_spaces()
    count = sum(1 for _media_id in tools.derived.media_ids())
    with bar("catalogue", count) as tell:
        rebuilt = rebuild_catalogue(tools.catalogue, tools.derived, tuple(STAGES), stage_row, tell)
    for record in tools.catalogue.spaces.beside_active():
        view = tools.in_space(record)
        with bar(record.name, count) as tell:
            rebuild_catalogue(view.catalogue, view.derived, (record.stage,), stage_row, tell)
    return rebuilt


def _dagster(tools: "Toolbox", instance: "dg.DagsterInstance") -> dict[str, int]:
    from dam_pipeline import restoring

    partitions = restoring.restore_partitions(instance, tools.catalogue)
    restoring.restore_observations(instance, tools.catalogue)
    unheard = restoring.unheard_results(instance, tools.catalogue)
    with bar("Dagster", len(unheard)) as tell:
        restoring.restore_results(instance, tools, unheard, tell)
    return {"partitions": partitions, "materializations": len(unheard)}


def _index(tools: "Toolbox", damaged: list[str]) -> int:
    """Put every media's rows into the vector store, take out what is no media; gives how many.

    Tables that cannot be read are passed over and added to `damaged`.
    """
    from dam_pipeline.errors import SchemaMismatch
    from dam_pipeline.search.index_rows import IndexRows, collect, put
    from dam_pipeline.spaces.building import index_space

    ids = [one.media_id for one in tools.catalogue.all_media(superseded=True)]
    store, files = tools.store, _segmented(tools)
    apart = tools.catalogue.spaces.beside_active()
    with bar("search index", len(ids)) as tell:
        rows, group, count = IndexRows(), list[str](), 0
        for number, media_id in enumerate(ids, 1):
            try:
                count += sum(collect(rows, files, media_id).values())
            except SchemaMismatch as error:
                damaged.append(str(error))
            group.append(media_id)
            if count >= INDEXED_AT_ONCE or number == len(ids):
                put(store, group, rows, [one.name for one in apart])
                rows, group, count = IndexRows(), [], 0
                tell(number, "")
    for record in apart:
        index_space(tools, record, ids)
    strangers = set[str]().union(*(store.media_in(space) for space in store.spaces())) - set(ids)
    if strangers:
        store.remove(strangers)
    store.optimise()
    return len(ids)


def _segmented(tools: "Toolbox") -> "DerivedFiles":
    """The derived files with what search and graph both read in segments, made anew."""
    from dam_pipeline.search.index_rows import TRANSCRIPT, VECTOR_STAGES
    from dam_pipeline.stores.segments import SegmentedFiles, Segments

    stages = (*VECTOR_STAGES.values(), TRANSCRIPT)
    segments = Segments(tools.derived)
    segments.forget()
    stamps = tools.catalogue.states.stamps(stages)
    media = [one.media_id for one in tools.catalogue.all_media()]
    found = {}
    with bar("segments", len(stages)) as tell:
        for number, stage in enumerate(stages, 1):
            known = {media_id: stamps[stage].get(media_id, "") for media_id in media}
            found[stage] = segments.refresh(stage, known)
            tell(number, stage)
    return SegmentedFiles(tools.derived, found)


def _graph(tools: "Toolbox", instance: "dg.DagsterInstance") -> str | None:
    from dam_pipeline.launch import run_graph

    if not tools.catalogue.all_media():
        return None
    say("linking the library …")
    return run_graph(tools.settings, instance, full=True)
