"""The schedule that verifies a sample of the originals."""

import dagster as dg

from dam_pipeline.jobs import verify_originals
from dam_pipeline.settings import Settings
from sensors.requests import checked_cron

NAME = "weekly_verify"
SATURDAY_AT_THREE = "0 3 * * 6"


def build_weekly_verify(settings: Settings) -> dg.ScheduleDefinition:
    """It runs where `DAM_WEEKLY_VERIFY` says when, and can be turned on in the UI."""
    status = dg.DefaultScheduleStatus
    return dg.ScheduleDefinition(
        name=NAME,
        job=verify_originals,
        cron_schedule=checked_cron(settings.weekly_verify, "DAM_WEEKLY_VERIFY")
        or SATURDAY_AT_THREE,
        execution_timezone=settings.timezone,
        default_status=status.RUNNING if settings.weekly_verify else status.STOPPED,
        description=(
            "Reads a share of the originals whole (DAM_VERIFY_SHARE, DAM_VERIFY_MINUTES) and "
            "compares them with what was taken in."
        ),
    )
