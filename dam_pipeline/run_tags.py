"""Tags of our runs: what they are, who asked for them, where they live."""

JOB_TAG = "dam/job"
PROCESS_TAG = "dam/process"
"""On a run in the foreground, of `dam ingest` or `dam retry`: the process that it lives in."""

LAUNCHED_BY_TAG = "dam/launched_by"
"""USER@HOST of a command that launched the run from elsewhere."""

REQUESTED_BY_TAG = "dam/requested_by"
"""Id of the run, of the job `discover` or `reprocess`, that asked for this one."""

VERSION = "dam_pipeline"
"""Metadata of the jobs that other machines launch: the version of the pipeline there."""

REPEATED_WITHIN_S = 120.0
"""After its failure, of a run that Dagster has announced to repeat. It may not: when it looks between the
event of the failure and the run's new status, it passes the run over for good (1.13)."""

ESTIMATE_TAG = "dam/estimate"
"""How much a run over media has to do and how long that takes, in words."""

BACKFILL_TAG = "dam/backfill"
"""The schedule that started a run."""
