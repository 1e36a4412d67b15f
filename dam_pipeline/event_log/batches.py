"""Asset events handed to the instance in batches, in place of `log_event` for each."""

import logging
from collections.abc import Sequence

import dagster as dg
from dagster._core.events import (
    AssetMaterializationPlannedData,
    AssetObservationData,
    DagsterEvent,
    DagsterEventBatchMetadata,
    DagsterEventType,
    StepMaterializationData,
    generate_event_batch_id,
)
from dagster._core.execution.context.system import StepExecutionContext
from dagster._core.instance.utils import RUNLESS_JOB_NAME, RUNLESS_RUN_ID

BATCH_SIZE_VARIABLE = "DAGSTER_EVENT_BATCH_SIZE"
BATCH_SIZE = "500"
"""Events that Dagster hands to its storage at once; without this variable it writes each alone."""

AssetEvent = dg.AssetMaterialization | dg.AssetObservation
Running = dg.AssetExecutionContext | dg.OpExecutionContext


def report_in_run(context: Running, events: Sequence[AssetEvent]) -> None:
    """Log events of the running step, as `context.log_event` does one by one."""
    step = context.get_step_execution_context()
    run_id = context.run.run_id
    _report(context.instance, run_id, [_event(one, step.job_name, step) for one in events])


def report_planned(context: Running, planned: Sequence[tuple[str, str]]) -> None:
    """Say that the running step is going to make these (asset, partition), as a run of assets does.

    Until it has, they are in progress; when the run fails without them, they are failed.
    """
    step = context.get_step_execution_context()
    events = [
        DagsterEvent.build_asset_materialization_planned_event(
            step.job_name,
            step.step.key,
            AssetMaterializationPlannedData(dg.AssetKey(asset), partition=key),
        )
        for asset, key in planned
    ]
    _report(context.instance, context.run.run_id, events)


def report_without_run(instance: dg.DagsterInstance, events: Sequence[AssetEvent]) -> None:
    """Record events of no run, as `report_runless_asset_event` does one by one."""
    _report(instance, RUNLESS_RUN_ID, [_event(one, RUNLESS_JOB_NAME, None) for one in events])


def _report(instance: dg.DagsterInstance, run_id: str, events: Sequence[DagsterEvent]) -> None:
    batch_id = generate_event_batch_id()
    for number, event in enumerate(events, start=1):
        batch = DagsterEventBatchMetadata(batch_id, is_end=number == len(events))
        instance.report_dagster_event(event, run_id, logging.DEBUG, batch_metadata=batch)


def _event(event: AssetEvent, job_name: str, step: StepExecutionContext | None) -> DagsterEvent:
    content: StepMaterializationData | AssetObservationData
    if isinstance(event, dg.AssetMaterialization):
        kind, content = DagsterEventType.ASSET_MATERIALIZATION, StepMaterializationData(event)
    else:
        kind, content = DagsterEventType.ASSET_OBSERVATION, AssetObservationData(event)
    return DagsterEvent(
        event_type_value=kind.value,
        job_name=job_name,
        step_handle=step.step.handle if step else None,
        node_handle=step.step.node_handle if step else None,
        step_kind_value=step.step.kind.value if step else None,
        logging_tags=step.event_tags if step else None,
        event_specific_data=content,
        message=f"{event.asset_key.to_user_string()} {event.partition}",
    )
