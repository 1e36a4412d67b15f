"""The library's numbers over time: Dagster draws each number of these materialisations as a curve."""

import dagster as dg

from dam_pipeline.assets.metadata import OWNER
from dam_pipeline.catalogue.metrics import Metrics, measure
from dam_pipeline.stages.freshness import code_versions
from resources.library import LibraryResource

MOST_REASONS = 10


@dg.asset(
    group_name="L3_library",
    owners=[OWNER],
    kinds={"sql"},
    code_version="1",
    deps=["search_index"],
)
def library_metrics(
    context: dg.AssetExecutionContext, library: LibraryResource
) -> dg.MaterializeResult:
    """How the library fares: files and footage, queue, throughput, failures by reason, cost of stages.

    Counted whenever the graph is rebuilt, which is after every batch. The same numbers are in
    `dam status --metrics`, and for Prometheus at `/metrics` of the preview server.
    """
    with library.open() as tools:
        metrics = measure(tools.catalogue, code_versions(tools.settings))
    return dg.MaterializeResult(metadata=_metadata(metrics))


def _metadata(metrics: Metrics) -> dict[str, dg.MetadataValue | int | float]:
    lately = metrics.throughput
    hours = lately.window_s / 3600
    failed = sum(by.get("failed", 0) for by in metrics.states.values())
    return {
        "files": metrics.files,
        "footage_hours": round(metrics.footage_s / 3600, 3),
        "missing": metrics.missing,
        "queue": metrics.queue,
        "running": metrics.running,
        "failed_stages": failed,
        "files_per_hour": round(lately.files / hours, 1),
        "footage_s_per_s": round(lately.footage_per_s, 3),
        "events_waiting": sum(one.count for one in metrics.events.values()),
        "failures": dg.MetadataValue.md(_failures(metrics)),
        "cost": dg.MetadataValue.md(_costs(metrics)),
    }


def _failures(metrics: Metrics) -> str:
    rows = [
        f"| {one.files} | {one.stage} | {one.state.value} | {_cell(one.reason)} | {one.example} |"
        for one in metrics.failures[:MOST_REASONS]
    ]
    if not rows:
        return "None."
    return "\n".join(["| files | stage | state | reason | such as |", "|-|-|-|-|-|", *rows])


def _costs(metrics: Metrics) -> str:
    rows = [
        f"| {stage} | {cost.files} | {cost.seconds_per_file:.2f} | "
        f"{'' if cost.seconds_per_footage_s is None else f'{cost.seconds_per_footage_s:.3f}'} |"
        for stage, cost in metrics.costs.items()
    ]
    head = ["| stage | files | s a file | s a second of footage |", "|-|-|-|-|"]
    return "\n".join([*head, *rows])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
