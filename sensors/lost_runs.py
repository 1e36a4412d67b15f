"""The sensor that notices runs whose worker is no more: killed, or lost with its machine."""

import json
import time
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field

import dagster as dg

from dam_pipeline.settings import Settings
from resources.library import BEATS_UNTIL_LOST, LibraryResource

NO_BEAT = -1
LOST = (
    "The worker of this run has given no sign of life for {:.0f} s: it was killed, or its machine was "
    "lost. What it finished is kept; another run takes up the rest."
)


@dataclass(frozen=True, slots=True)
class Watch:
    """The cursor: when it last looked, and by run the beats it saw then and how long they stood still.

    Silence is counted in pieces of two intervals at most: while nobody looked, or nobody could
    because the database was away, workers had no chance to be heard either.
    """

    at_s: float = 0.0
    silent: Mapping[str, tuple[int, float]] = field(default_factory=dict)

    def after(self, beats: Mapping[str, int], now_s: float, interval_s: float) -> "Watch":
        """The watch of one who looks now and finds these beats, by run."""
        passed_s = min(now_s - self.at_s, 2 * interval_s)
        silent = {}
        for run_id, beat in beats.items():
            last, silence_s = self.silent.get(run_id, (None, 0.0))
            silent[run_id] = (beat, silence_s + passed_s if beat == last else 0.0)
        return Watch(now_s, silent)

    def lost(self, lost_after_s: float) -> list[str]:
        """The runs that have been silent for too long."""
        return [
            run_id for run_id, (_, silence_s) in self.silent.items() if silence_s >= lost_after_s
        ]


def build_lost_runs(settings: Settings) -> dg.SensorDefinition:
    """The sensor `lost_runs`, which looks several times in `lost_after_s`."""
    interval_s = max(1, int(settings.lost_after_s / BEATS_UNTIL_LOST))

    @dg.sensor(
        name="lost_runs",
        minimum_interval_seconds=interval_s,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Marks a run as failed when its worker has given no sign of life for DAM_LOST_AFTER_S, "
            "so that another worker takes over its files. Runs that wait for a worker are left alone."
        ),
    )
    def lost_runs(context: dg.SensorEvaluationContext, library: LibraryResource) -> dg.SkipReason:
        with library.open() as tools:
            catalogue, lost_after_s = tools.catalogue, tools.settings.lost_after_s
            started = _started(context)
            said = catalogue.beats.counts()
            beats = {
                run_id: said.get(run_id, NO_BEAT)
                for run_id, run in started.items()
                if run_id in said or _is_of_this_location(context, run)
            }
            watch = _read(context.cursor).after(beats, time.time(), interval_s)
            lost = watch.lost(lost_after_s)
            for run_id in [*lost, *_ended(context.instance, said.keys() - started.keys())]:
                # Before the run is marked: from then on another one may ask for its files.
                catalogue.beats.give_up(run_id)
        for run_id in lost:
            context.instance.report_run_failed(started[run_id], LOST.format(lost_after_s))
            context.log.warning(f"Run {run_id} is lost and was marked as failed.")
        context.update_cursor(json.dumps(asdict(watch)))
        return dg.SkipReason(f"{len(beats)} runs are worked on, {len(lost)} were lost.")

    return lost_runs


def _started(context: dg.SensorEvaluationContext) -> dict[str, dg.DagsterRun]:
    filters = dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])
    return {run.run_id: run for run in context.instance.get_runs(filters)}


def _ended(instance: dg.DagsterInstance, run_ids: Collection[str]) -> list[str]:
    """Runs that Dagster knows to have ended: a beat that is left is of a process that was killed."""
    if not run_ids:
        return []
    runs = instance.get_runs(dg.RunsFilter(run_ids=list(run_ids)))
    return [run.run_id for run in runs if run.is_finished]


def _is_of_this_location(context: dg.SensorEvaluationContext, run: dg.DagsterRun) -> bool:
    """Whether a run without a beat is ours: others may share the instance, and do not beat."""
    ours, origin = context.code_location_origin, run.remote_job_origin
    return bool(ours and origin and origin.location_name == ours.location_name)


def _read(cursor: str | None) -> Watch:
    try:
        found = json.loads(cursor or "{}")
        silent = {
            run_id: (beat, silence_s) for run_id, (beat, silence_s) in found["silent"].items()
        }
        return Watch(found["at_s"], silent)
    except (ValueError, TypeError, KeyError):
        return Watch()
