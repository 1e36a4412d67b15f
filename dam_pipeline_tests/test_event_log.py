"""Dagster's event log in batches: the same events as one by one, on SQLite and on Postgres."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.events import DagsterEventType
from dagster._core.storage.event_log import SqliteEventLogStorage

from dam_pipeline.dagster_home import open_instance, prepare_home
from dam_pipeline.event_log.batches import BATCH_SIZE_VARIABLE, report_in_run, report_without_run
from dam_pipeline.event_log.postgres import BatchedPostgresEventLog, PooledPostgresRuns
from dam_pipeline.event_log.sqlite import BatchedSqliteEventLog
from dam_pipeline.partitions import media_partitions, range_tags
from dam_pipeline.settings import Settings

KEYS = [f"clip-{number:03}" for number in range(7)]
VERSION = "dagster/data_version"


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def instance(
    request: pytest.FixtureRequest, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dg.DagsterInstance]:
    url = request.getfixturevalue("postgres_server").url if request.param == "postgres" else ""
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", "")
    monkeypatch.setenv(BATCH_SIZE_VARIABLE, "3")
    with open_instance(settings.model_copy(update={"postgres_url": url})) as opened:
        yield opened
        for asset in ("probe", "shots"):
            opened.wipe_assets([dg.AssetKey(asset)])
        for key in opened.get_dynamic_partitions("media"):
            opened.delete_dynamic_partition("media", key)


@dg.multi_asset(
    specs=[
        dg.AssetSpec(name, partitions_def=media_partitions, skippable=True)
        for name in ("probe", "shots")
    ],
    can_subset=True,
)
def batched(context: dg.AssetExecutionContext) -> Iterator[None]:
    """Reports all but the last key, as a run does in which one file failed."""
    for name in ("probe", "shots"):
        report_in_run(
            context,
            [
                dg.AssetMaterialization(
                    name, partition=key, tags={VERSION: f"{name} {key}"}, metadata={"seconds": 1.5}
                )
                for key in context.partition_keys[:-1]
            ],
        )
    yield from ()
    raise dg.Failure(f"{context.partition_keys[-1]} at probe: no film", allow_retries=False)


def run(instance: dg.DagsterInstance) -> str:
    instance.add_dynamic_partitions("media", KEYS)
    definitions = dg.Definitions(assets=[batched], executor=dg.in_process_executor)
    job = definitions.resolve_implicit_global_asset_job_def()
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    result = job.execute_in_process(
        instance=instance, tags=range_tags(KEYS), run_config=quiet, raise_on_error=False
    )
    return result.run_id


def test_the_home_has_the_batched_storage(instance: dg.DagsterInstance) -> None:
    storage = instance.event_log_storage
    assert isinstance(storage, BatchedSqliteEventLog | BatchedPostgresEventLog)
    on_postgres = isinstance(storage, BatchedPostgresEventLog)
    assert isinstance(instance.run_storage, PooledPostgresRuns) is on_postgres


@pytest.fixture
def expected_error_logs() -> list[str]:
    return ["no film"]


def test_a_batch_leaves_what_single_events_would(instance: dg.DagsterInstance) -> None:
    run_id = run(instance)
    for asset in (dg.AssetKey("probe"), dg.AssetKey("shots")):
        assert instance.get_materialized_partitions(asset) == set(KEYS[:-1])
        tags = instance.event_log_storage.get_latest_tags_by_partition(
            asset, DagsterEventType.ASSET_MATERIALIZATION, [VERSION]
        )
        assert tags == {key: {VERSION: f"{asset.path[0]} {key}"} for key in KEYS[:-1]}
        newest = instance.get_latest_materialization_event(asset)
        assert newest is not None and newest.asset_materialization is not None
        assert newest.asset_materialization.partition == KEYS[-2]
        assert newest.asset_materialization.metadata["seconds"].value == 1.5
        assert newest.run_id == run_id


def test_a_planned_partition_that_did_not_come_counts_as_failed(
    instance: dg.DagsterInstance,
) -> None:
    run_id = run(instance)
    log = instance.event_log_storage
    planned = log.get_records_for_run(
        run_id, of_type=DagsterEventType.ASSET_MATERIALIZATION_PLANNED
    ).records
    assert len(planned) == 2 * len(KEYS)
    incomplete = log.get_latest_asset_partition_materialization_attempts_without_materializations(
        dg.AssetKey("probe")
    )
    assert {key: found[0] for key, found in incomplete.items()} == {KEYS[-1]: run_id}


def test_the_runs_own_log_holds_every_event_once_and_in_order(
    instance: dg.DagsterInstance,
) -> None:
    records = instance.event_log_storage.get_records_for_run(
        run(instance), of_type=DagsterEventType.ASSET_MATERIALIZATION
    ).records
    events = [record.event_log_entry.get_dagster_event() for record in records]
    told = [(event.asset_key.to_user_string(), event.partition) for event in events]
    assert told == [(name, key) for name in ("probe", "shots") for key in KEYS[:-1]]
    assert {event.step_key for event in events} == {"batched"}


def test_events_of_no_run_come_in_batches_too(instance: dg.DagsterInstance) -> None:
    instance.add_dynamic_partitions("media", KEYS)
    report_without_run(
        instance,
        [dg.AssetMaterialization("probe", partition=key, tags={VERSION: "1"}) for key in KEYS],
    )
    assert instance.get_materialized_partitions(dg.AssetKey("probe")) == set(KEYS)


def test_no_events_are_no_batch(instance: dg.DagsterInstance) -> None:
    report_without_run(instance, [])
    assert not instance.get_materialized_partitions(dg.AssetKey("probe"))


def test_without_the_variable_every_event_is_written_alone(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(BATCH_SIZE_VARIABLE)
    run(instance)
    assert instance.get_materialized_partitions(dg.AssetKey("shots")) == set(KEYS[:-1])


def test_a_home_with_dagsters_own_storage_goes_on_with_ours(
    settings: Settings, tmp_path: Path
) -> None:
    folder = prepare_home(settings)
    plain = SqliteEventLogStorage(str(folder / "history" / "runs"))
    plain.store_event(_observation("before"))
    with open_instance(settings) as instance:
        report_without_run(instance, [dg.AssetObservation("original", partition="after")])
        found = instance.fetch_observations(dg.AssetKey("original"), limit=10).records
    assert {record.partition_key for record in found} == {"before", "after"}


def _observation(key: str) -> dg.EventLogEntry:
    from dagster._core.events import AssetObservationData, DagsterEvent
    from dagster._core.instance.utils import RUNLESS_JOB_NAME, RUNLESS_RUN_ID

    observation = dg.AssetObservation("original", partition=key)
    return dg.EventLogEntry(
        error_info=None,
        level=logging.DEBUG,
        user_message="",
        run_id=RUNLESS_RUN_ID,
        timestamp=1.0,
        dagster_event=DagsterEvent(
            event_type_value=DagsterEventType.ASSET_OBSERVATION.value,
            job_name=RUNLESS_JOB_NAME,
            event_specific_data=AssetObservationData(observation),
        ),
    )


@pytest.mark.parametrize("scheme", ["postgres", "postgresql"])
def test_a_plain_address_of_postgres_gets_the_driver_that_is_installed(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    monkeypatch.setenv("DAGSTER_POSTGRES_URL", "")
    folder = prepare_home(settings.model_copy(update={"postgres_url": f"{scheme}://dam:x@host/db"}))
    assert os.environ["DAGSTER_POSTGRES_URL"] == "postgresql+psycopg2://dam:x@host/db"
    written = (folder / "dagster.yaml").read_text()
    assert "BatchedPostgresEventLog" in written
    assert "BatchedSqliteEventLog" not in written
    assert "dam:x" not in written
