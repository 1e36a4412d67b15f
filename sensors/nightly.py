"""The schedule that takes up unfinished work at night: never run, stale, or worth another try."""

from collections.abc import Collection
from dataclasses import dataclass

import dagster as dg

from dam_pipeline.catalogue.measures import measures
from dam_pipeline.jobs import process_files
from dam_pipeline.planning.budget import Budget, Chosen, Order, choose, in_order
from dam_pipeline.planning.estimating import Estimator
from dam_pipeline.planning.work import survey
from dam_pipeline.run_tags import BACKFILL_TAG, ESTIMATE_TAG
from dam_pipeline.settings import Settings
from dam_pipeline.stages.work import Toolbox
from resources.library import LibraryResource
from sensors.requests import checked_cron, keys_under_way, process_requests

NAME = "nightly"
AT_ONE = "0 1 * * *"
NAMED = 20  # files that a tick names, one by one


@dataclass(frozen=True, slots=True)
class Night:
    """What was chosen, with the words for it."""

    chosen: Chosen
    words: str

    @property
    def left_alone(self) -> dict[str, str]:
        """Files that a person must look at, by key, with the reason of the first such stage."""
        left = {
            work.media.partition_key: f"{stage}: {reason}"
            for work in self.chosen.left
            for stage, reason in work.left.items()
            if not reason.startswith(("waits for", "in run"))
        }
        too_large = dict.fromkeys(
            (work.media.partition_key for work in self.chosen.too_large),
            "is larger than the whole budget of a night; `dam retry` takes it now",
        )
        return left | too_large


def build_nightly(settings: Settings) -> dg.ScheduleDefinition:
    """The schedule `nightly`; it runs where `DAM_NIGHTLY` says when, and can be turned on in the UI."""
    status = dg.DefaultScheduleStatus

    @dg.schedule(
        name=NAME,
        job=process_files,
        cron_schedule=checked_cron(settings.nightly, "DAM_NIGHTLY") or AT_ONE,
        execution_timezone=settings.timezone,
        default_status=status.RUNNING if settings.nightly else status.STOPPED,
        description=(
            "Takes up what never ran, is stale or may be tried again, within DAM_NIGHTLY_FILES, "
            "DAM_NIGHTLY_GB and DAM_NIGHTLY_MINUTES. What failed too often is left alone and named."
        ),
    )
    def nightly(
        context: dg.ScheduleEvaluationContext, library: LibraryResource
    ) -> list[dg.RunRequest] | dg.SkipReason:
        now_s = context.scheduled_execution_time.timestamp()
        with library.open() as tools:
            night = plan_night(tools, keys_under_way(context.instance))
            minutes = tools.settings.nightly_minutes
            requests = process_requests(
                context.instance,
                [work.media for work in night.chosen.taken],
                tools.settings,
                until_s=now_s + minutes * 60 if minutes else 0.0,
                left_alone=night.left_alone,
                run_key=f"{NAME}-{now_s:.0f}",
                tags={BACKFILL_TAG: NAME, ESTIMATE_TAG: night.words},
            )
        _tell(context, night)
        return requests or dg.SkipReason(_why_nothing(night))

    return nightly


def plan_night(tools: Toolbox, busy: Collection[str] = ()) -> Night:
    """What fits into one night by the settings; files with `busy` keys are left to their runs."""
    settings = tools.settings
    estimator = Estimator(tools.catalogue, settings)
    budget = Budget(
        settings.nightly_files, int(settings.nightly_gb * 1e9), settings.nightly_minutes * 60
    )
    files = in_order(measures(tools.catalogue), Order(settings.nightly_order))
    chosen = choose(survey(tools, files, busy=busy), budget, estimator.file_s)
    runs = -(-len(chosen.taken) // settings.batch_files)
    return Night(chosen, estimator.of_library(chosen.taken, runs).words)


def _tell(context: dg.ScheduleEvaluationContext, night: Night) -> None:
    context.log.info(f"Tonight: {night.words}")
    for key, why in list(night.left_alone.items())[:NAMED]:
        context.log.warning(f"Left alone: {key}: {why}")


def _why_nothing(night: Night) -> str:
    left = night.left_alone
    if not left:
        return "Every file is done or under way."
    named = "; ".join(f"{key}: {why}" for key, why in list(left.items())[:NAMED])
    return f"Nothing to take up. {len(left)} files wait for a person: {named}"
