"""The sensor that takes up again what may work now: weights, a store, disk space, a moved file."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime

import dagster as dg

from dam_pipeline.catalogue.pending_work import Resumable, resumable
from dam_pipeline.records import Media, StageRow, State
from resources.library import LibraryResource
from sensors.requests import INGEST, ingest_requests, keys_under_way

INTERVAL_S = 60
BACKOFF_S = 300.0
"""How long a blocked stage rests before it is tried again without a sign that it would work."""

IsMended = Callable[[str, StageRow], bool]


def not_known_to_be_mended(_stage: str, _row: StageRow) -> bool:
    """The answer of one who cannot tell."""
    return False


def to_resume(
    waiting: Sequence[Resumable], now_s: float, is_mended: IsMended, trial_files: int
) -> list[Media]:
    """The media whose waiting stages are worth a run now.

    Of blocked stages all, when `is_mended` says so or the stage has worked on some file since;
    otherwise, after `BACKOFF_S`, as many as `trial_files` of each: if these pass, the rest follows.
    Failed ones, whose tries are counted, all after `BACKOFF_S`.
    """
    chosen: dict[str, Media] = {}
    trials: Counter[str] = Counter()
    for one in waiting:
        stage, row = one.row.stage, one.row
        has_rested = now_s - datetime.fromisoformat(row.updated_at).timestamp() >= BACKOFF_S
        if row.state is State.FAILED:
            is_due = has_rested
        elif one.stage_worked_at > row.updated_at or is_mended(stage, row):
            is_due = True
        else:
            is_due = has_rested and trials[stage] < trial_files
            trials[stage] += is_due
        if is_due:
            chosen[one.media.media_id] = one.media
    return list(chosen.values())


def build_resume_blocked(
    is_mended: IsMended = not_known_to_be_mended,
) -> dg.SensorDefinition:
    """The sensor `resume_blocked`; `is_mended(stage, row)` is a cheap look at the surroundings."""

    @dg.sensor(
        name="resume_blocked",
        job_name=INGEST,
        minimum_interval_seconds=INTERVAL_S,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Tries blocked stages again every few minutes, a few files first, and all of them as "
            "soon as their surroundings are mended; and failures that another try may mend."
        ),
    )
    def resume_blocked(
        context: dg.SensorEvaluationContext, library: LibraryResource
    ) -> dg.SensorResult:
        with library.open() as tools:
            settings = tools.settings
            waiting = resumable(tools.catalogue, settings.max_attempts)
            media = to_resume(waiting, time.time(), is_mended, settings.batch_files)
            if media:
                busy = keys_under_way(context.instance)
                media = [one for one in media if one.partition_key not in busy]
            media = media[: settings.sensor_step_files]
            requests = ingest_requests(context.instance, media, settings)
        if requests:
            return dg.SensorResult(run_requests=requests)
        return dg.SensorResult(skip_reason=f"{len(waiting)} stages wait, none to try now.")

    return resume_blocked
