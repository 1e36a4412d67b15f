"""Checks of the library for `dam doctor`: catalogue, derived files, search index, graph, Dagster."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from dam_pipeline.catalogue.inspection import (
    Fault,
    FaultKind,
    dead_leases,
    faults,
    unknown_folders,
)
from dam_pipeline.cli.findings import Finding, well, wrong
from dam_pipeline.cli.output import bar
from dam_pipeline.records import StageRow, State
from dam_pipeline.stages import STAGES
from dam_pipeline.stages.recording import stage_row
from dam_pipeline.stages.work import Toolbox

if TYPE_CHECKING:
    import dagster as dg

NAMED = 3  # files that are named in a finding; the rest are counted
REBUILD = "`dam rebuild` makes it again from the derived files."


def check_leases(tools: Toolbox) -> Finding:
    """Leases of processes that were killed."""
    count = dead_leases(tools.catalogue)
    if not count:
        return well("leases", "No killed process holds a lease.")
    text = f"{count} leases belong to processes that were killed; the next run takes them over."
    states = tools.catalogue.states
    return wrong(
        "leases",
        text,
        "`dam doctor --repair` deletes them.",
        lambda: f"{states.drop_dead_leases()} deleted",
    )


def check_folders(tools: Toolbox) -> Finding:
    """Derived files of media that the catalogue does not know."""
    unknown = unknown_folders(tools.catalogue, tools.derived)
    if not unknown:
        return well("media", "The catalogue knows every media that has derived files.")
    text = f"The catalogue does not know {len(unknown)} media that have derived files."
    return wrong("media", text, "`dam rebuild` reads them in.", lambda: _rebuild(tools))


def check_derived(tools: Toolbox) -> Iterator[Finding]:
    """Derived files that cannot be read, and states that do not fit them."""
    with bar("derived files", len(tools.catalogue.all_media(superseded=True))) as tell:
        found = list(faults(tools.catalogue, tools.derived, tuple(STAGES), stage_row, tell))
    by_kind: dict[FaultKind, list[Fault]] = defaultdict(list)
    for one in found:
        by_kind[one.kind].append(one)
    if not found:
        yield well("derived files", "All can be read, and the catalogue says what they say.")
    if bad := by_kind[FaultKind.DAMAGED] + by_kind[FaultKind.GONE]:
        yield wrong(
            "derived files",
            f"{len(bad)} results cannot be read: {_named(bad)}.",
            "`dam doctor --repair` forgets them; `dam ingest` or `dam retry --all` on these files "
            "then makes them again.",
            lambda: _forget(tools, bad),
        )
    if behind := by_kind[FaultKind.BEHIND]:
        rows = [one.row for one in behind if one.row]
        yield wrong(
            "states",
            f"{len(rows)} results were written and not recorded: {_named(behind)}.",
            "`dam doctor --repair` records them.",
            lambda: _record(tools, rows),
        )
    if lost := by_kind[FaultKind.NO_MEDIA_FILE]:
        yield wrong(
            "media.json",
            f"{len(lost)} media could not be rebuilt: {_named(lost)}.",
            "`dam doctor --repair` writes it from the catalogue.",
            lambda: _write_media(tools, lost),
        )


def check_index(tools: Toolbox) -> Finding:
    """Whether the vector store answers and holds every file that the catalogue says it does."""
    from dam_pipeline.search.index_rows import VECTOR_STAGES

    store = tools.store
    place, counts = store.describe(), store.counts()
    rows = tools.catalogue.states.of([one.media_id for one in tools.catalogue.all_media()])
    indexed, apart = _done(rows, "search_index"), tools.catalogue.spaces.apart()
    lost = set(indexed) if not any(counts.values()) else set[str]()
    for kind, stage in VECTOR_STAGES.items():
        spaces = [one for one in store.spaces() if one.kind == kind and one.name not in apart]
        held = [store.media_in(space) for space in spaces]
        lost |= (_done(rows, stage) & indexed).difference(*held)
    if lost:
        return wrong(
            "search index",
            f"{place} lacks {len(lost)} of {len(indexed)} files that were put into it.",
            REBUILD,
            lambda: _index(tools, sorted(lost)),
        )
    found = ", ".join(f"{n} {name}" for name, n in counts.items()) or "empty"
    return well("search index", f"{place}: {len(indexed)} files, {found}")


def _done(rows: Mapping[str, Mapping[str, StageRow]], stage: str) -> set[str]:
    return {
        media_id
        for media_id, stages in rows.items()
        if stage in stages and stages[stage].state is State.DONE
    }


def check_graph(tools: Toolbox, instance: "dg.DagsterInstance") -> Finding:
    """Whether there is a graph that opens."""
    from dam_pipeline.errors import StoreUnavailable
    from dam_pipeline.graph.read import graph_counts
    from dam_pipeline.launch import run_graph

    if not tools.catalogue.all_media():
        return well("graph", "No media, no graph.")
    try:
        edges = graph_counts(tools.settings).edges
    except StoreUnavailable as error:
        return wrong(
            "graph",
            str(error),
            REBUILD,
            lambda: f"built in run {run_graph(tools.settings, instance)}",
        )
    counts = ", ".join(f"{count} {kind}" for kind, count in edges.items())
    return well("graph", counts or "no two files are related")


def check_runs(instance: "dg.DagsterInstance") -> Finding:
    """Runs whose process was killed and that Dagster still takes for running."""
    from dam_pipeline.launch import end_lost_runs
    from dam_pipeline.restoring import lost_runs

    lost = list(lost_runs(instance))
    if not lost:
        return well("runs", "No run has lost its process.")
    return wrong(
        "runs",
        f"{len(lost)} runs have lost their process ({', '.join(run[:8] for run in lost[:NAMED])}).",
        "`dam doctor --repair` marks them as failed; the next `dam ingest` does so too.",
        lambda: f"{len(end_lost_runs(instance))} marked as failed",
    )


def check_dagster(tools: Toolbox, instance: "dg.DagsterInstance") -> Iterator[Finding]:
    """Files that are no partitions, and results that Dagster has not heard of."""
    from dam_pipeline import restoring

    keys = restoring.missing_keys(instance, tools.catalogue)
    if keys:
        yield wrong(
            "partitions",
            f"Dagster lacks {len(keys)} partitions ({', '.join(keys[:NAMED])}).",
            "`dam doctor --repair` adds them; so does the next run of these files.",
            lambda: f"{restoring.restore_partitions(instance, tools.catalogue)} added",
        )
    else:
        yield well("partitions", "Every file is a partition in Dagster.")
    unheard = restoring.unheard_results(instance, tools.catalogue)
    if not unheard:
        yield well("results", "Dagster has heard of every result.")
        return

    def repair() -> str:
        with bar("Dagster", len(unheard)) as tell:
            restoring.restore_results(instance, tools, unheard, tell)
        return f"{len(unheard)} reported"

    names = ", ".join(f"{one.media.partition_key} {one.row.stage}" for one in unheard[:NAMED])
    yield wrong(
        "results",
        f"Dagster has not heard of {len(unheard)} results ({names}).",
        "`dam doctor --repair` reports them.",
        repair,
    )


def _named(found: Sequence[Fault]) -> str:
    names = [f"{one.path} {one.reason}".strip() for one in found[:NAMED]]
    return ", ".join([*names, "…"] if len(found) > NAMED else names)


def _forget(tools: Toolbox, bad: Sequence[Fault]) -> str:
    for one in bad:
        tools.catalogue.states.forget([one.media_id], [one.stage])
        tools.derived.forget(one.media_id, [f"{one.stage}.json", f"{one.stage}.parquet"])
    tools.derived.flush()
    return f"{len(bad)} forgotten"


def _record(tools: Toolbox, rows: Sequence[StageRow]) -> str:
    tools.catalogue.states.record(rows)
    return f"{len(rows)} recorded"


def _write_media(tools: Toolbox, lost: Sequence[Fault]) -> str:
    ids = [one.media_id for one in lost]
    media, places = tools.catalogue.media(ids), tools.catalogue.locations_of(ids)
    for media_id, one in media.items():
        tools.derived.write_media(one, places[media_id])
    tools.derived.flush()
    return f"{len(media)} written"


def _rebuild(tools: Toolbox) -> str:
    from dam_pipeline.catalogue.rebuilding import rebuild_catalogue

    rebuilt = rebuild_catalogue(tools.catalogue, tools.derived, tuple(STAGES), stage_row)
    left = f", {len(rebuilt.damaged)} damaged" if rebuilt.damaged else ""
    return f"{rebuilt.media} media read{left}"


def _index(tools: Toolbox, media_ids: Sequence[str]) -> str:
    from dam_pipeline.search.index_rows import index_media

    tools.derived.bring(media_ids)
    index_media(tools.store, tools.derived, media_ids, tools.catalogue.spaces.apart())
    tools.store.optimise()
    return f"{len(media_ids)} files indexed"
