"""The library's numbers in the text form that Prometheus reads."""

from collections.abc import Iterator

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric

from dam_pipeline.catalogue.metrics import Metrics

__all__ = ["CONTENT_TYPE_LATEST", "exposition"]

Sample = tuple[tuple[str, ...], float]


def exposition(metrics: Metrics) -> bytes:
    """The document of one scrape; all are gauges, because a rebuild may lower any of them."""
    registry = CollectorRegistry()
    registry.register(_Collector(metrics))
    return generate_latest(registry)


class _Collector:
    """Hands the numbers of one moment over."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        """All families of numbers."""
        found, lately = self._metrics, self._metrics.throughput
        yield _gauge("dam_files", "Files of the library.", found.files)
        yield _gauge("dam_footage_seconds", "Footage and sound of all files.", found.footage_s)
        yield _gauge("dam_original_bytes", "Size of all originals.", found.size_bytes)
        yield _gauge("dam_files_missing", "Files that are nowhere at present.", found.missing)
        yield _gauge("dam_files_queued", "Files that have not been begun.", found.queue)
        yield _gauge("dam_files_running", "Files that are being worked on.", found.running)
        yield _gauge("dam_recent_files", "Files finished in the last hour.", lately.files)
        yield _gauge(
            "dam_recent_footage_per_second",
            "Seconds of footage finished in a second of work, in the last hour.",
            lately.footage_per_s,
        )
        yield _gauges(
            "dam_stage_files",
            "Files by stage and state.",
            ("stage", "state"),
            (
                ((stage, state), count)
                for stage, counts in found.states.items()
                for state, count in counts.items()
            ),
        )
        yield _gauges(
            "dam_stage_seconds",
            "Seconds that a stage has cost.",
            ("stage",),
            (((stage,), cost.seconds) for stage, cost in found.costs.items()),
        )
        yield _gauges(
            "dam_events_waiting",
            "Events that a receiver has not taken yet.",
            ("receiver",),
            (((sink,), one.count) for sink, one in found.events.items()),
        )


def _gauge(name: str, meaning: str, value: float) -> Metric:
    return GaugeMetricFamily(name, meaning, value=value)


def _gauges(name: str, meaning: str, labels: tuple[str, ...], samples: Iterator[Sample]) -> Metric:
    family = GaugeMetricFamily(name, meaning, labels=labels)
    for values, value in samples:
        family.add_metric(values, value)
    return family
