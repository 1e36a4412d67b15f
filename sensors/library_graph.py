"""The sensor that has the library's graph rebuilt once files have come to rest."""

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

import dagster as dg

from dam_pipeline.run_tags import JOB_TAG
from resources.library import LibraryResource
from sensors.requests import GRAPH, UNDER_WAY, is_ingest_under_way

INTERVAL_S = 15
QUIET_S = 10.0
"""How long no state may have changed."""

LONGEST_WAIT_S = 3600.0
"""While runs follow one another without a pause, the graph is rebuilt this often all the same."""


@dataclass(frozen=True, slots=True)
class Requested:
    """The cursor: the newest state that a requested graph has seen, and when it was requested."""

    newest: str = ""
    at_s: float = 0.0


def why_not(
    newest: str, last: Requested, now_s: float, is_busy: bool, is_graph_under_way: bool
) -> str:
    """Why the graph is not to be rebuilt now, or an empty string.

    `newest` is when any state last changed (ISO 8601, UTC); failures count, so the graph also
    follows a batch in which a file failed for good.
    """
    if not newest:
        return "No file has been processed yet."
    if newest <= last.newest:
        return "No state has changed since the last graph."
    if is_graph_under_way:
        return "A graph is being built."
    has_waited = last.at_s > 0 and now_s - last.at_s >= LONGEST_WAIT_S
    if is_busy and not has_waited:
        return "Files are being processed."
    quiet_s = now_s - datetime.fromisoformat(newest).timestamp()
    if quiet_s < QUIET_S and not has_waited:
        return f"States changed {quiet_s:.0f} s ago."
    return ""


@dg.sensor(
    job_name=GRAPH,
    minimum_interval_seconds=INTERVAL_S,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Rebuilds the library's graph when files were processed and nothing runs any more.",
)
def library_graph(
    context: dg.SensorEvaluationContext, library: LibraryResource
) -> dg.SensorResult | dg.SkipReason:
    """Request the job `graph` when states are newer than the last graph and have come to rest."""
    with library.open() as tools:
        newest = tools.catalogue.states.newest()
    now_s = datetime.now(UTC).timestamp()
    last = _latest(_read(context.cursor), context.instance)
    reason = why_not(
        newest,
        last,
        now_s,
        is_busy=is_ingest_under_way(context.instance),
        is_graph_under_way=bool(_graph_runs(context.instance, UNDER_WAY)),
    )
    if reason:
        return dg.SkipReason(reason)
    return dg.SensorResult(
        run_requests=[dg.RunRequest(run_key=f"graph-{newest}", tags={JOB_TAG: GRAPH})],
        cursor=json.dumps(asdict(Requested(newest, now_s))),
    )


def _read(cursor: str | None) -> Requested:
    try:
        return Requested(**json.loads(cursor or "{}"))
    except (ValueError, TypeError):
        return Requested()


def _latest(last: Requested, instance: dg.DagsterInstance) -> Requested:
    """The cursor's request, or a later graph that a command has built meanwhile."""
    for record in _graph_runs(instance, [dg.DagsterRunStatus.SUCCESS]):
        if record.start_time and record.start_time > last.at_s:
            started = datetime.fromtimestamp(record.start_time, UTC)
            return Requested(
                max(last.newest, started.isoformat(timespec="microseconds")), record.start_time
            )
    return last


def _graph_runs(
    instance: dg.DagsterInstance, statuses: list[dg.DagsterRunStatus]
) -> list[dg.RunRecord]:
    filters = dg.RunsFilter(job_name=GRAPH, statuses=statuses)
    return list(instance.get_run_records(filters, limit=1))
