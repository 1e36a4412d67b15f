"""The job `process_files`: any set of files in one run, however scattered their partitions are.

A run of assets takes a contiguous range of partitions; this one takes keys, and tells Dagster itself
what it is going to make and what it has made (docs/adr/0010). States of partitions read the same.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg
from pydantic import Field

from dam_pipeline.assets.estimates import estimated, unfinished
from dam_pipeline.assets.media import process, tell_failures
from dam_pipeline.event_log.batches import report_planned
from dam_pipeline.records import State
from dam_pipeline.stages import STAGES
from dam_pipeline.stages.choosing import check_stages
from dam_pipeline.stages.engine import BatchReport, Finished
from dam_pipeline.stages.work import Toolbox
from resources.library import LibraryResource

TOLD_FILES = 50
"""Files left alone that a run names."""


class ProcessConfig(dg.Config):
    """Which files."""

    keys: list[str] = Field(description="Partition keys of the files, in the order to work in.")
    stages: list[str] = Field(default=[], description="Only these stages. Empty: all.")
    until_s: float = Field(
        default=0.0, description="Unix time after which no further file is begun; 0: no limit."
    )
    left_alone: dict[str, str] = Field(
        default={}, description="Files that were not chosen although something is missing, and why."
    )


@dg.op(
    name="process_keys",  # a job and an op may not share one
    out=dg.Out(dg.Nothing),
    description="Brings files up to date; what is done and fresh is left alone.",
)
def process_files(
    context: dg.OpExecutionContext, config: ProcessConfig, library: LibraryResource
) -> None:
    """Bring these files up to date, in groups when there is a time limit."""
    stages = check_stages(config.stages) or list(STAGES)
    for key, why in config.left_alone.items():
        context.log.warning(f"Left alone: {key}: {why}")
    with library.open() as tools:
        failed: list[Finished] = []
        begun = 0
        with estimated(context, tools, config.keys, stages) as course:
            for keys in _groups(config, tools.settings.group_files):
                report = _process(context, tools, keys, stages)
                failed += report.of(State.FAILED)
                begun += len(keys)
                course.is_whole = course.is_whole and not report.of(State.BLOCKED)
            course.is_whole = course.is_whole and begun == len(config.keys)
        _tell(context, config, begun, failed)
        tell_failures(tools, failed)


def run_config(
    keys: Sequence[str],
    stages: Sequence[str] = (),
    until_s: float = 0.0,
    left_alone: Mapping[str, str] | None = None,
) -> dict[str, object]:
    """The configuration of a run of this job."""
    told = dict(list((left_alone or {}).items())[:TOLD_FILES])
    config = {"keys": list(keys), "stages": list(stages), "until_s": until_s, "left_alone": told}
    return {"ops": {process_files.name: {"config": config}}}


def keys_of(run: dg.DagsterRun) -> list[str]:
    """The partition keys that a run of this job is about; none of another job's."""
    ops: Any = run.run_config.get("ops", {})
    return list(ops.get(process_files.name, {}).get("config", {}).get("keys", []))


def _groups(config: ProcessConfig, size: int) -> Iterator[list[str]]:
    """All keys at once, or as many at a time as go through the models together, until time is up."""
    if not config.until_s:
        yield config.keys
        return
    for at in range(0, len(config.keys), size):
        if time.time() >= config.until_s:
            return
        yield config.keys[at : at + size]


def _process(
    context: dg.OpExecutionContext, tools: Toolbox, keys: Sequence[str], stages: Sequence[str]
) -> BatchReport:
    """Bring some files up to date, with what is due told to Dagster before."""
    works = unfinished(tools, keys, stages)
    planned = {(stage, work.media.partition_key) for work in works for stage in work.stages}
    report_planned(context, sorted(planned))
    report = process(context, tools, keys, stages, planned)
    failed = report.of(State.FAILED)
    # Became due only while the run went on, and must read as failed like the others.
    report_planned(
        context,
        [
            (one.stage, one.media.partition_key)
            for one in failed
            if (one.stage, one.media.partition_key) not in planned
        ],
    )
    return report


def _tell(
    context: dg.OpExecutionContext, config: ProcessConfig, begun: int, failed: Sequence[Finished]
) -> None:
    not_begun = len(config.keys) - begun
    if not_begun:
        context.log.info(f"Time is up: {not_begun} files are left for another run.")
    context.add_output_metadata(
        {
            "files": begun,
            "not_begun": not_begun,
            "failed_files": len({one.media.partition_key for one in failed}),
            "left_alone": "\n".join(f"{key}: {why}" for key, why in config.left_alone.items()),
        }
    )
