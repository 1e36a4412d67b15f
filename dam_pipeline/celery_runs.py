"""Runs that go through a broker to `dam worker` processes: Dagster's Celery launcher, but cancelled
when a person cancels them, instead of failed and then started again.
"""

from dagster import DagsterRunStatus
from dagster_celery.launcher import CeleryRunLauncher


class CeleryRuns(CeleryRunLauncher):
    """Dagster's launcher, which says first that the interruption to come was asked for."""

    def terminate(self, run_id: str) -> bool:
        """Cancel a run; one that waits for a worker at once, another when its worker has stopped."""
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return False
        self._instance.report_run_canceling(run)
        is_ended: bool = super().terminate(run_id)
        if run.status is not DagsterRunStatus.STARTED:
            self._instance.report_run_canceled(run)
        return is_ended
