"""Scattered sets in one run, and the nightly schedule: what it takes, in which order, within a budget."""

import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from dam_pipeline.assets.estimates import RUN_ESTIMATES
from dam_pipeline.catalogue.discovery import discover
from dam_pipeline.catalogue.estimates import scored_estimates
from dam_pipeline.dagster_home import open_instance
from dam_pipeline.definitions import build_definitions
from dam_pipeline.errors import ConfigurationError
from dam_pipeline.ops.process_files import keys_of, run_config
from dam_pipeline.partitions import add_keys, batches
from dam_pipeline.records import Media, StageRow, State
from dam_pipeline.run_tags import ESTIMATE_TAG
from dam_pipeline.settings import Settings
from dam_pipeline.stages import STAGES
from dam_pipeline_tests.clips import encode, shots
from dam_pipeline_tests.places import aged, write
from dam_pipeline_tests.test_assets import failed, materialized
from resources.library import LibraryResource, close_libraries
from sensors.nightly import build_nightly, plan_night
from sensors.requests import is_ingest_under_way, keys_under_way

QUICK = ["checksum", "probe"]
TONIGHT = datetime(2026, 5, 5, 1, 0, tzinfo=UTC)


class Desk:
    """A library with a Dagster instance."""

    def __init__(self, settings: Settings, instance: dg.DagsterInstance, folder: Path) -> None:
        self.settings, self.instance, self.folder = settings, instance, folder
        self.resource = LibraryResource(home=str(settings.home))

    def find(self) -> dict[str, Media]:
        """Register what is there; media by name."""
        with self.resource.open() as tools:
            discover([self.folder], tools.catalogue, tools.derived, tools.settings)
            return {one.first_name: one for one in tools.catalogue.all_media()}

    def process(
        self, names: list[str], until_s: float = 0.0, stages: Sequence[str] = QUICK
    ) -> dg.DagsterRun:
        """One run of the job `process_files` over files by name, of the quick stages."""
        media = self.find()
        keys = [media[name].partition_key for name in names]
        add_keys(self.instance, sorted(one.partition_key for one in media.values()))
        job = build_definitions(self.settings).resolve_job_def("process_files")
        result = job.execute_in_process(
            instance=self.instance,
            run_config=run_config(keys, stages, until_s),
            raise_on_error=False,
        )
        run = self.instance.get_run_by_id(result.run_id)
        assert run is not None
        return run

    def record(self, name: str, stage: str, state: State, **more: object) -> None:
        """As a run leaves a stage."""
        media = self.find()[name]
        with self.resource.open() as tools:
            when = datetime.now(UTC).isoformat(timespec="microseconds")
            values = {"reason": "why", "updated_at": when, **more}
            tools.catalogue.states.record([StageRow(media.media_id, stage, state, **values)])

    def tonight(self, **settings: object) -> list[list[str]] | str:
        """The names of the files of each run that the schedule requests, or why it requests none."""
        changed = self.settings.model_copy(update=settings)
        with pytest.MonkeyPatch.context() as patch:
            for name, value in settings.items():
                patch.setenv(f"DAM_{name.upper()}", str(value))
            with dg.build_schedule_context(
                instance=self.instance,
                resources={"library": self.resource},
                scheduled_execution_time=TONIGHT,
            ) as context:
                answer = build_nightly(changed)(context)
        if isinstance(answer, dg.SkipReason):
            return answer.skip_message
        self.requests = answer
        names = {one.partition_key: name for name, one in self.find().items()}
        return [[names[key] for key in keys_of(_run_of(one))] for one in answer]


def _run_of(request: dg.RunRequest) -> dg.DagsterRun:
    return dg.DagsterRun(job_name="process_files", run_config=request.run_config)


@pytest.fixture
def desk(settings: Settings, tmp_path: Path) -> Iterator[Desk]:
    folder = tmp_path / "originals"
    folder.mkdir()
    with open_instance(settings) as instance:
        yield Desk(settings, instance, folder)
    close_libraries()


def films(desk: Desk, *names: str) -> None:
    """Real clips, each another one."""
    for number, name in enumerate(names):
        encode(desk.folder / name, shots([10 + number, 10]))


def words(desk: Desk, *names: str, size_bytes: int = 0) -> None:
    """Files with the name of a film that are none; cheap, and found one after the other."""
    for name in names:
        write(desk.folder / name, f"film {name}" + "x" * size_bytes)
        desk.find()


# Scattered sets


def test_a_scattered_set_is_one_run_and_its_neighbours_are_not_touched(desk: Desk) -> None:
    films(desk, "a.mp4", "b.mp4", "c.mp4", "d.mp4", "e.mp4")
    run = desk.process(["a.mp4", "c.mp4", "e.mp4"])
    media = desk.find()
    chosen = {media[name].partition_key for name in ("a.mp4", "c.mp4", "e.mp4")}
    assert run.status is dg.DagsterRunStatus.SUCCESS
    for stage in QUICK:
        assert materialized(desk.instance, stage) == chosen
        assert failed(desk.settings, desk.instance, stage) == set()
    assert set(keys_of(run)) == chosen


def test_a_bad_file_of_a_scattered_set_is_failed_alone_and_heals_alone(desk: Desk) -> None:
    films(desk, "a.mp4", "b.mp4", "d.mp4")
    (desk.folder / "c.mp4").write_text("no film")
    run = desk.process(["a.mp4", "c.mp4", "d.mp4"])
    media = desk.find()
    bad = media["c.mp4"].partition_key
    good = {media[name].partition_key for name in ("a.mp4", "d.mp4")}
    assert run.status is dg.DagsterRunStatus.FAILURE
    assert failed(desk.settings, desk.instance, "probe") == {bad}
    assert failed(desk.settings, desk.instance, "checksum") == set()
    assert materialized(desk.instance, "probe") == good
    # A second run that fails does not paint red what was done before.
    desk.process(["d.mp4", "c.mp4", "b.mp4"])
    assert failed(desk.settings, desk.instance, "probe") == {bad}
    assert materialized(desk.instance, "probe") == good | {media["b.mp4"].partition_key}


def test_no_file_is_begun_after_the_time_is_up(desk: Desk) -> None:
    films(desk, "a.mp4")
    run = desk.process(["a.mp4"], until_s=time.time() - 1)
    assert run.status is dg.DagsterRunStatus.SUCCESS
    assert materialized(desk.instance, "probe") == set()
    with desk.resource.open() as tools:
        assert scored_estimates(tools.catalogue, 9) == []


def test_a_run_tells_first_what_it_expects_and_last_how_it_went(desk: Desk) -> None:
    films(desk, "a.mp4", "b.mp4")
    run = desk.process(["a.mp4", "b.mp4"])
    assert run.tags[ESTIMATE_TAG].startswith("2 files, ")
    told = [
        event.dagster_event.event_type_value
        for event in desk.instance.all_logs(run.run_id)
        if event.dagster_event and event.dagster_event.asset_key
    ]
    assert told[0] == "ASSET_OBSERVATION"
    assert told[-1] == "ASSET_MATERIALIZATION"
    last = desk.instance.get_latest_materialization_event(RUN_ESTIMATES)
    assert last is not None
    assert last.run_id == run.run_id
    assert last.asset_materialization is not None
    metadata = last.asset_materialization.metadata
    assert metadata["files"].value == 2
    with desk.resource.open() as tools:
        (scored,) = scored_estimates(tools.catalogue, 9)
    assert scored.run_id == run.run_id
    assert metadata["ratio"].value == pytest.approx(scored.ratio, abs=0.001)


def test_a_run_over_done_files_expects_nothing(desk: Desk) -> None:
    films(desk, "a.mp4")
    desk.process(["a.mp4"])
    again = desk.process(["a.mp4"])
    assert ESTIMATE_TAG not in again.tags
    with desk.resource.open() as tools:
        assert len(scored_estimates(tools.catalogue, 9)) == 1


def test_keys_of_a_queued_scattered_run_are_under_way(desk: Desk) -> None:
    desk.instance.create_run_for_job(
        build_definitions(desk.settings).resolve_job_def("process_files"),
        run_config=run_config(["a-1", "c-3"]),
        status=dg.DagsterRunStatus.STARTED,
    )
    assert keys_under_way(desk.instance) == {"a-1", "c-3"}
    assert is_ingest_under_way(desk.instance)


def test_batches_are_full_and_a_giant_is_alone() -> None:
    sizes = {"a": 400_000, "b": 400_000, "c": 5_000_000, "d": 400_000, "e": 1, "f": 1}
    assert batches(list(sizes), sizes, 2, 1) == [["a", "b"], ["c"], ["d", "e"], ["f"]]


# The night


def test_a_night_takes_what_is_unfinished_the_newest_first(desk: Desk) -> None:
    words(desk, "a.mp4", "b.mp4", "c.mp4")
    assert desk.tonight() == [["c.mp4", "b.mp4", "a.mp4"]]
    (request,) = desk.requests
    assert request.tags["dam/backfill"] == "nightly"
    assert request.tags[ESTIMATE_TAG].startswith("3 files, ")
    assert set(desk.instance.get_dynamic_partitions("media")) == set(keys_of(_run_of(request)))


def test_a_night_keeps_to_its_budget_and_to_the_size_of_a_run(desk: Desk) -> None:
    words(desk, "a.mp4", "b.mp4", "c.mp4")
    words(desk, "large.mp4", size_bytes=50_000)
    assert desk.tonight(nightly_files=2) == [["large.mp4", "c.mp4"]]
    assert desk.tonight(nightly_gb=0.000_02) == [["c.mp4", "b.mp4", "a.mp4"]]
    assert desk.tonight(nightly_order="smallest", nightly_files=3) == [["c.mp4", "b.mp4", "a.mp4"]]
    assert desk.tonight(batch_files=3) == [["large.mp4", "c.mp4", "b.mp4"], ["a.mp4"]]
    assert desk.tonight(nightly_minutes=0.000_1) != [["large.mp4", "c.mp4", "b.mp4", "a.mp4"]]


def test_minutes_end_a_night_on_the_clock_too(desk: Desk) -> None:
    words(desk, "a.mp4")
    desk.tonight(nightly_minutes=30)
    config = desk.requests[0].run_config["ops"]["process_keys"]["config"]
    assert config["until_s"] == TONIGHT.timestamp() + 30 * 60


def test_a_file_larger_than_the_whole_budget_is_named(desk: Desk) -> None:
    words(desk, "large.mp4", size_bytes=50_000)
    answer = desk.tonight(nightly_gb=0.000_02)
    assert "is larger than the whole budget" in answer
    assert "large-" in answer


def test_the_oldest_failure_comes_first_when_asked(desk: Desk) -> None:
    words(desk, "a.mp4", "b.mp4", "c.mp4")
    for name, day in (("a.mp4", 3), ("b.mp4", 2)):
        when = datetime(2026, 1, day, tzinfo=UTC).isoformat(timespec="microseconds")
        desk.record(name, "probe", State.FAILED, retryable=True, attempts=1, updated_at=when)
    assert desk.tonight(nightly_order="oldest-failure") == [["b.mp4", "a.mp4", "c.mp4"]]


def test_what_failed_too_often_is_skipped_and_named(desk: Desk) -> None:
    words(desk, "a.mp4", "worn.mp4", "odd.mp4")
    for stage in STAGES:
        if stage not in QUICK:
            desk.record("worn.mp4", stage, State.REMOVED)
    desk.record("worn.mp4", "checksum", State.REMOVED)
    desk.record("worn.mp4", "probe", State.FAILED, retryable=True, attempts=3)
    desk.record("odd.mp4", "probe", State.FAILED, reason="parked: 3 worker processes died")
    (names,) = desk.tonight()
    assert names == ["odd.mp4", "a.mp4"]  # its checksum never ran, and is nobody's fault
    config = desk.requests[0].run_config["ops"]["process_keys"]["config"]
    media = desk.find()
    assert config["left_alone"] == {
        media["worn.mp4"].partition_key: "probe: failed 3 times: why",
        media["odd.mp4"].partition_key: "probe: parked: 3 worker processes died",
    }


def test_what_is_under_way_is_left_to_its_run(desk: Desk) -> None:
    words(desk, "a.mp4", "b.mp4")
    key = desk.find()["a.mp4"].partition_key
    desk.instance.create_run_for_job(
        build_definitions(desk.settings).resolve_job_def("process_files"),
        run_config=run_config([key]),
        status=dg.DagsterRunStatus.STARTED,
    )
    assert desk.tonight() == [["b.mp4"]]


def test_the_second_night_finds_nothing_to_do(desk: Desk) -> None:
    films(desk, "a.mp4")
    aged(desk.folder / "a.mp4", 60)
    desk.find()
    for stage in STAGES:
        if stage not in QUICK:
            desk.record("a.mp4", stage, State.REMOVED)
    assert desk.tonight() == [["a.mp4"]]
    desk.process(["a.mp4"])
    assert desk.tonight() == "Every file is done or under way."


@pytest.mark.parametrize(("cron", "is_on"), [("", False), ("30 2 * * *", True)])
def test_the_schedules_run_only_where_a_setting_says_when(
    settings: Settings, cron: str, is_on: bool
) -> None:
    changed = settings.model_copy(update={"nightly": cron, "weekly_verify": cron})
    definitions = build_definitions(changed)
    for name in ("nightly", "weekly_verify"):
        schedule = definitions.resolve_schedule_def(name)
        assert (schedule.default_status is dg.DefaultScheduleStatus.RUNNING) == is_on
        if is_on:
            assert schedule.cron_schedule == cron


@pytest.mark.parametrize("setting", ["nightly", "weekly_verify", "publish"])
def test_a_time_that_is_none_is_told_by_the_name_of_its_setting(
    settings: Settings, setting: str
) -> None:
    changed = settings.model_copy(update={setting: "99 99 * * *"})
    with pytest.raises(ConfigurationError, match=f"DAM_{setting.upper()} is '99 99"):
        build_definitions(changed)


def test_a_stage_that_there_is_not_fails_its_run(desk: Desk) -> None:
    words(desk, "a.mp4")
    run = desk.process(["a.mp4"], stages=["transcrpt"])
    assert run.status is dg.DagsterRunStatus.FAILURE


def test_a_night_is_planned_without_changing_anything(desk: Desk) -> None:
    words(desk, "a.mp4")
    with desk.resource.open() as tools:
        before = tools.catalogue.states.newest()
        night = plan_night(tools)
        assert (tools.catalogue.states.newest(), len(night.chosen.taken)) == (before, 1)
