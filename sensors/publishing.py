"""The schedule that publishes the packages that people approved."""

import dagster as dg

from dam_pipeline.jobs import publish_packages
from dam_pipeline.publishing.approving import approved_packages
from dam_pipeline.settings import Settings
from resources.library import LibraryResource
from sensors.requests import checked_cron

NAME = "publish_approved"
AT_TWO = "0 2 * * *"


def build_publish_approved(settings: Settings) -> dg.ScheduleDefinition:
    """It runs where `DAM_PUBLISH` says when, and can be turned on in the UI."""
    status = dg.DefaultScheduleStatus

    @dg.schedule(
        name=NAME,
        job=publish_packages,
        cron_schedule=checked_cron(settings.publish, "DAM_PUBLISH") or AT_TWO,
        execution_timezone=settings.timezone,
        default_status=status.RUNNING if settings.publish else status.STOPPED,
        description=(
            "Sends every package that was approved with `dam stock approve`, each to its "
            "destination. Nothing that nobody approved is ever sent."
        ),
    )
    def publish_approved(
        context: dg.ScheduleEvaluationContext, library: LibraryResource
    ) -> dg.RunRequest | dg.SkipReason:
        with library.open() as tools:
            waiting = approved_packages(tools.settings)
        if not waiting:
            return dg.SkipReason(
                "No package is approved. `dam stock approve PACKAGE --to ADDRESS`."
            )
        for one in waiting:
            context.log.info(f"{one.folder} → {one.to}")
        return dg.RunRequest(run_key=f"{NAME}-{context.scheduled_execution_time.timestamp():.0f}")

    return publish_approved
