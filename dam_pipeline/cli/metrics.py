"""The library's numbers as `dam status --metrics` tells them."""

from dataclasses import asdict

from dam_pipeline.catalogue.metrics import Metrics, measure
from dam_pipeline.cli.output import say, table
from dam_pipeline.records import Json
from dam_pipeline.stages.freshness import code_versions
from dam_pipeline.stages.work import Toolbox


def metrics_of(tools: Toolbox) -> Metrics:
    """The numbers of an open library."""
    return measure(tools.catalogue, code_versions(tools.settings))


def to_json(metrics: Metrics) -> dict[str, Json]:
    """The documented shape of `status --metrics --json`."""
    lately = metrics.throughput
    return {
        "files": metrics.files,
        "footage_s": round(metrics.footage_s, 3),
        "size_bytes": metrics.size_bytes,
        "missing": metrics.missing,
        "queue": metrics.queue,
        "running": metrics.running,
        "throughput": {
            "window_s": lately.window_s,
            "files": lately.files,
            "footage_s": round(lately.footage_s, 3),
            "busy_s": round(lately.busy_s, 3),
            "footage_s_per_s": round(lately.footage_per_s, 4),
        },
        "states": {stage: dict(counts) for stage, counts in metrics.states.items()},
        "cost": {
            stage: {
                "files": cost.files,
                "seconds": round(cost.seconds, 3),
                "seconds_per_file": round(cost.seconds_per_file, 4),
                "seconds_per_footage_s": cost.seconds_per_footage_s,
            }
            for stage, cost in metrics.costs.items()
        },
        "failures": [asdict(one) | {"state": one.state.value} for one in metrics.failures],
        "events_waiting": {sink: asdict(one) for sink, one in metrics.events.items()},
    }


def tell(metrics: Metrics) -> None:
    """Print the numbers for a person."""
    lately = metrics.throughput
    say(
        f"{metrics.files} files, {metrics.footage_s / 3600:.1f} h of footage, "
        f"{metrics.size_bytes / 1e9:.1f} GB; {metrics.missing} missing, {metrics.queue} not begun, "
        f"{metrics.running} being worked on"
    )
    say(
        f"Last {lately.window_s / 3600:.0f} h: {lately.files} files finished, "
        f"{lately.footage_s:.0f} s of footage in {lately.busy_s:.0f} s of work "
        f"({lately.footage_per_s:.2f} s a second)"
    )
    say("")
    table(
        ("stage", "files", "seconds a file", "seconds a second of footage"),
        [
            (
                stage,
                str(cost.files),
                f"{cost.seconds_per_file:.3f}",
                "" if cost.seconds_per_footage_s is None else f"{cost.seconds_per_footage_s:.4f}",
            )
            for stage, cost in metrics.costs.items()
        ],
    )
    if metrics.failures:
        say("")
        table(
            ("files", "stage", "state", "reason", "such as"),
            [
                (str(one.files), one.stage, one.state.value, one.reason, one.example)
                for one in metrics.failures
            ],
        )
    for sink, waiting in metrics.events.items():
        say(f"{waiting.count} events wait for {sink} since {waiting.since} (`dam events send`).")
