"""The sensors on a real Dagster instance: which runs they ask for, and why not."""

import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.remote_origin import (
    RegisteredCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.storage.runs.schema import RunsTable

from dam_pipeline.catalogue.pending_work import Resumable, resumable
from dam_pipeline.catalogue.registry import accept_source, add_source
from dam_pipeline.partitions import PARTITIONS, RANGE_END, RANGE_START, add_keys, range_tags
from dam_pipeline.records import StageRow, State
from dam_pipeline.settings import Settings
from dam_pipeline.stages import STAGES
from dam_pipeline.stages.freshness import inputs_of, stage_versions
from dam_pipeline.stages.work import Toolbox
from dam_pipeline_tests.places import write
from resources.library import LibraryResource, close_libraries
from sensors.blocked import BACKOFF_S, build_resume_blocked, to_resume
from sensors.library_graph import LONGEST_WAIT_S, Requested, library_graph, why_not
from sensors.media_folders import build_media_folders, unstarted
from sensors.requests import is_ingest_under_way, keys_under_way

NOW = "2026-05-05T12:00:00.000000+00:00"
NOW_S = datetime.fromisoformat(NOW).timestamp()


class Desk:
    """A library, a Dagster instance and the sensors on them."""

    def __init__(self, settings: Settings, instance: dg.DagsterInstance, folder: Path) -> None:
        self.settings, self.instance, self.folder = settings, instance, folder
        self.resource = LibraryResource(home=str(settings.home))
        self.media_folders = build_media_folders(settings)
        self.cursor: str | None = None

    def tick(self, sensor: dg.SensorDefinition | None = None) -> dg.SensorResult | dg.SkipReason:
        """One evaluation, with the cursor that the last one left."""
        with dg.build_sensor_context(
            instance=self.instance, cursor=self.cursor, resources={"library": self.resource}
        ) as context:
            result = (sensor or self.media_folders)(context)
        if isinstance(result, dg.SensorResult) and result.cursor:
            self.cursor = result.cursor
        return result

    def settle(self) -> dg.SensorResult:
        """Two ticks: files that had settled before the first are requested at the second."""
        self.tick()
        return self.tick()

    def names(self, request: dg.RunRequest) -> list[str]:
        """The first names of the files that a request is about."""
        keys = self.instance.get_dynamic_partitions(PARTITIONS)
        first, last = keys.index(request.tags[RANGE_START]), keys.index(request.tags[RANGE_END])
        with self.tools() as tools:
            media = tools.catalogue.by_keys(keys[first : last + 1])
        return [media[key].first_name for key in keys[first : last + 1]]

    def tools(self):
        return self.resource.open()

    def run(
        self, keys: list[str], status: dg.DagsterRunStatus, job: str = "ingest", **tags
    ) -> None:
        """A run in the history of the instance."""
        location = RegisteredCodeLocationOrigin("dam_pipeline")
        run = dg.DagsterRun(
            job_name=job,
            status=status,
            tags={**(range_tags(keys) if keys else {}), **tags},
            remote_job_origin=RemoteJobOrigin(
                RemoteRepositoryOrigin(location, "__repository__"), job
            ),
        )
        self.instance.run_storage.add_run(run)

    def record(
        self, name: str, stage: str, state: State, when: datetime | None = None, **more
    ) -> None:
        """As a run leaves a stage."""
        with self.tools() as tools:
            (media,) = [m for m in tools.catalogue.all_media() if m.first_name == name]
            moment = (when or datetime.now(UTC)).isoformat(timespec="microseconds")
            tools.catalogue.states.record(
                [StageRow(media.media_id, stage, state, "why", updated_at=moment, **more)]
            )


@pytest.fixture(scope="session")
def empty_instance(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an instance without any run; making its databases takes seconds."""
    folder = tmp_path_factory.mktemp("instance")
    with dg.DagsterInstance.local_temp(str(folder)) as instance:
        add_keys(instance, [])
        instance.get_run_records(limit=1)
    return folder


@pytest.fixture
def desk(settings: Settings, tmp_path: Path, empty_instance: Path) -> Iterator[Desk]:
    folder = tmp_path / "films"
    folder.mkdir()
    add_source(settings, folder)
    shutil.copytree(empty_instance, tmp_path / "dagster")
    with dg.DagsterInstance.local_temp(str(tmp_path / "dagster")) as instance:
        yield Desk(settings, instance, folder)
    close_libraries()


def films(desk: Desk, *names: str) -> None:
    for name in names:
        write(desk.folder / f"{name}.mp4", f"film {name}")


# media_folders


def test_several_new_files_become_one_run(desk: Desk) -> None:
    films(desk, "a", "b", "c")
    assert desk.tick().run_requests == []
    (request,) = desk.tick().run_requests
    assert desk.names(request) == ["a.mp4", "b.mp4", "c.mp4"]
    assert (request.job_name, request.tags["dam/job"]) == ("ingest", "ingest")
    assert desk.tick().run_requests == []


def test_a_tick_without_work_says_why(desk: Desk) -> None:
    films(desk, "a")
    assert "1 still settling" in desk.tick().skip_reason.skip_message
    desk.tick()
    assert "1 files in 1 sources, none new" in desk.tick().skip_reason.skip_message


def test_without_a_source_the_tick_says_how_to_add_one(desk: Desk) -> None:
    (desk.settings.home / "journal" / "sources.jsonl").unlink()
    assert "dam source add" in desk.tick().skip_reason.skip_message


def test_many_files_become_runs_of_the_batch_size(desk: Desk, monkeypatch) -> None:
    monkeypatch.setenv("DAM_BATCH_FILES", "4")
    films(desk, *"abcdefghij")
    assert [len(desk.names(request)) for request in desk.settle().run_requests] == [4, 4, 2]


def test_a_restart_between_two_ticks_loses_nothing(desk: Desk) -> None:
    films(desk, "a")
    desk.tick()
    close_libraries()
    again = Desk(desk.settings, desk.instance, desk.folder)
    again.cursor = desk.cursor
    assert again.names(*again.tick().run_requests) == ["a.mp4"]


def test_a_cursor_of_an_older_form_is_no_obstacle(desk: Desk) -> None:
    films(desk, "a")
    for cursor in ("not json", "[]", '{"first": 7}'):
        desk.cursor = cursor
        desk.tick()
    assert json.loads(desk.cursor)["version"] == 1


def test_the_cursor_stays_small_however_many_files_wait(desk: Desk) -> None:
    films(desk, *(f"{number:04}" for number in range(500)))
    assert len(desk.tick().cursor) < 200


def finish_all(desk: Desk) -> None:
    """As a run leaves files that are done."""
    with desk.tools() as tools:
        versions = stage_versions(tools.settings)
        for media in tools.catalogue.all_media():
            rows: dict[str, StageRow] = {}
            for stage in STAGES.values():
                rows[stage.name] = StageRow(
                    media.media_id,
                    stage.name,
                    State.EMPTY,
                    code_version=versions[stage.name].code_version,
                    inputs=inputs_of(stage, media, rows),
                    updated_at=datetime.now(UTC).isoformat(),
                )
            tools.catalogue.states.record(rows.values())


def test_a_renamed_file_that_is_done_asks_for_no_run(desk: Desk) -> None:
    films(desk, "a", "b")
    desk.settle()
    finish_all(desk)
    (desk.folder / "a.mp4").rename(desk.folder / "renamed.mp4")
    assert desk.settle().run_requests == []


def test_a_file_that_is_back_but_not_done_is_asked_for(desk: Desk) -> None:
    films(desk, "a", "b", "c")
    desk.settle()
    away = (desk.folder / "b.mp4").rename(desk.folder.parent / "b.mp4")
    assert desk.tick().run_requests == []
    away.rename(desk.folder / "b.mp4")
    (request,) = desk.tick().run_requests
    assert desk.names(request) == ["b.mp4"]


def test_a_changed_sidecar_asks_for_its_file_and_is_told_to_dagster(desk: Desk) -> None:
    films(desk, "a", "b")
    desk.settle()
    write(desk.folder / "b.xmp", "<rating 5>")
    (request,) = desk.tick().run_requests
    assert desk.names(request) == ["b.mp4"]
    with desk.tools() as tools:
        (media,) = [m for m in tools.catalogue.all_media() if m.sidecar_version]
    observed = desk.instance.fetch_observations(dg.AssetKey("original"), limit=5).records
    assert [record.partition_key for record in observed] == [media.partition_key]


def test_scattered_files_are_asked_for_in_one_run_a_range(desk: Desk) -> None:
    films(desk, *"abcde")
    desk.settle()
    for name in "abd":
        write(desk.folder / f"{name}.xmp", "<rating 5>")
    requests = desk.tick().run_requests
    assert [desk.names(request) for request in requests] == [["a.mp4", "b.mp4"], ["d.mp4"]]


def test_keys_of_another_writer_between_ours_stay_out_of_our_runs(desk: Desk) -> None:
    films(desk, "a", "b")
    desk.tick()
    add = desk.instance.add_dynamic_partitions

    def with_another(name: str, keys: list[str]) -> None:
        for number, key in enumerate(keys):
            add(name, [key])
            add(name, [f"another-{number}"])

    desk.instance.add_dynamic_partitions = with_another
    requests = desk.tick().run_requests
    assert [(r.tags[RANGE_START][:2], r.tags[RANGE_END][:2]) for r in requests] == [
        ("a-", "a-"),
        ("b-", "b-"),
    ]


def test_a_refusal_is_the_reason_of_the_tick_until_it_is_accepted(desk: Desk) -> None:
    films(desk, *"abcd")
    desk.settle()
    for path in desk.folder.iterdir():
        path.unlink()
    message = desk.tick().skip_reason.skip_message
    assert "`dam source accept films`" in message
    accept_source(desk.settings, "films")
    assert "not believed" not in desk.tick().skip_reason.skip_message
    with desk.tools() as tools:
        assert all(place.missing_since for place in tools.catalogue.locations())


# Keys whose run never started


def register_without_run(desk: Desk, *names: str) -> list[str]:
    """As a process killed between registering and asking leaves it."""
    films(desk, *names)
    desk.settle()
    with desk.tools() as tools:
        return [media.partition_key for media in tools.catalogue.all_media()]


def test_a_file_whose_run_never_started_is_asked_for_again_once(desk: Desk) -> None:
    register_without_run(desk, "a", "b")
    desk.media_folders = build_media_folders(desk.settings, unstarted_after_s=0)
    (request,) = desk.tick().run_requests
    assert desk.names(request) == ["a.mp4", "b.mp4"]
    (again,) = desk.tick().run_requests
    assert again.run_key == request.run_key  # by which Dagster drops the second


def test_a_file_registered_just_now_is_not_asked_for_again(desk: Desk) -> None:
    register_without_run(desk, "a")
    assert desk.tick().run_requests == []


@pytest.mark.parametrize(
    "status",
    [
        dg.DagsterRunStatus.QUEUED,
        dg.DagsterRunStatus.STARTING,
        dg.DagsterRunStatus.STARTED,
        dg.DagsterRunStatus.CANCELED,
    ],
)
def test_a_file_with_a_run_to_come_or_called_off_is_not_unstarted(
    desk: Desk, status: dg.DagsterRunStatus
) -> None:
    keys = register_without_run(desk, "a", "b", "c")
    desk.run(keys[:2], status)
    with desk.tools() as tools:
        left = unstarted(tools, desk.instance, older_than_s=0)
    assert [media.partition_key for media in left] == keys[2:]


def test_a_file_whose_run_failed_before_it_began_is_unstarted(desk: Desk) -> None:
    keys = register_without_run(desk, "a")
    desk.run(keys, dg.DagsterRunStatus.FAILURE)
    with desk.tools() as tools:
        assert len(unstarted(tools, desk.instance, older_than_s=0)) == 1


def test_while_a_command_works_in_the_foreground_nothing_is_unstarted(desk: Desk) -> None:
    keys = register_without_run(desk, "a", "b")
    desk.run(keys[:1], dg.DagsterRunStatus.STARTED, **{"dam/process": "host/1/1"})
    with desk.tools() as tools:
        assert unstarted(tools, desk.instance, older_than_s=0) == []


def test_a_file_with_a_lease_a_state_or_no_place_is_not_unstarted(desk: Desk) -> None:
    register_without_run(desk, *"abcdef")
    desk.record("b.mp4", "probe", State.DONE)
    (desk.folder / "c.mp4").unlink()
    desk.tick()
    with desk.tools() as tools:
        media = {one.first_name: one for one in tools.catalogue.all_media()}
        tools.catalogue.states.claim(["probe"], [media["a.mp4"].media_id], "run", 60)
        left = unstarted(tools, desk.instance, older_than_s=0)
    assert [one.first_name for one in left] == ["d.mp4", "e.mp4", "f.mp4"]


def test_a_registered_file_that_is_no_partition_becomes_one(desk: Desk) -> None:
    keys = register_without_run(desk, "a")
    desk.instance.delete_dynamic_partition(PARTITIONS, keys[0])
    desk.media_folders = build_media_folders(desk.settings, unstarted_after_s=0)
    assert desk.tick().run_requests[0].tags[RANGE_START] == keys[0]
    assert add_keys(desk.instance, []) == keys


def test_a_run_that_dagster_announced_to_repeat_and_passed_over_frees_its_files(
    desk: Desk,
) -> None:
    keys = add_keys(desk.instance, list("ab"))
    desk.run(keys, dg.DagsterRunStatus.FAILURE, **{"dagster/will_retry": "true"})
    assert keys_under_way(desk.instance) == {"a", "b"}
    [record] = desk.instance.get_run_records()
    long_ago = record.update_timestamp - timedelta(minutes=10)
    with desk.instance.run_storage.connect() as connection:
        connection.execute(RunsTable.update().values(update_timestamp=long_ago))
    assert keys_under_way(desk.instance) == set()


def test_runs_of_single_files_and_ranges_are_under_way(desk: Desk) -> None:
    keys = add_keys(desk.instance, list("abcde"))
    assert not is_ingest_under_way(desk.instance)
    desk.run(keys[:2], dg.DagsterRunStatus.QUEUED)
    desk.run([], dg.DagsterRunStatus.STARTED, "__ASSET_JOB", **{"dagster/partition": "d"})
    desk.run(keys[4:], dg.DagsterRunStatus.SUCCESS)
    assert keys_under_way(desk.instance) == {"a", "b", "d"}
    assert is_ingest_under_way(desk.instance)


# library_graph


def earlier(seconds: float) -> str:
    return datetime.fromtimestamp(NOW_S - seconds, UTC).isoformat(timespec="microseconds")


@pytest.mark.parametrize(
    ("newest", "last", "is_busy", "words"),
    [
        ("", Requested(), False, "No file has been processed"),
        (earlier(60), Requested(), False, ""),
        (earlier(60), Requested(earlier(60), NOW_S - 50), False, "No state has changed"),
        (earlier(60), Requested(earlier(90), NOW_S - 80), False, ""),
        (earlier(3), Requested(earlier(90), NOW_S - 80), False, "States changed 3 s ago"),
        (earlier(60), Requested(earlier(90), NOW_S - 80), True, "Files are being processed"),
        (earlier(1), Requested(earlier(9000), NOW_S - LONGEST_WAIT_S), True, ""),
    ],
)
def test_the_graph_follows_when_files_have_come_to_rest(
    newest: str, last: Requested, is_busy: bool, words: str
) -> None:
    reason = why_not(newest, last, NOW_S, is_busy, is_graph_under_way=False)
    assert reason.startswith(words) and bool(reason) is bool(words)


def test_only_one_graph_is_under_way() -> None:
    assert "being built" in why_not(earlier(60), Requested(), NOW_S, False, True)


def a_minute_ago() -> datetime:
    return datetime.now(UTC) - timedelta(seconds=60)


def test_a_batch_in_which_a_file_failed_is_followed_by_one_graph(desk: Desk) -> None:
    films(desk, "a", "b")
    desk.settle()
    desk.cursor = None
    assert "No file has been processed" in desk.tick(library_graph).skip_message
    desk.record("a.mp4", "probe", State.DONE, a_minute_ago())
    desk.record("b.mp4", "probe", State.FAILED, a_minute_ago())
    (request,) = desk.tick(library_graph).run_requests
    assert request.tags == {"dam/job": "graph"}
    assert "No state has changed" in desk.tick(library_graph).skip_message


def test_the_graph_waits_for_queued_files(desk: Desk) -> None:
    films(desk, "a")
    desk.settle()
    desk.cursor = None
    desk.record("a.mp4", "probe", State.DONE, a_minute_ago())
    desk.run(add_keys(desk.instance, []), dg.DagsterRunStatus.QUEUED)
    assert "being processed" in desk.tick(library_graph).skip_message


def test_a_graph_that_a_command_built_is_not_built_again(desk: Desk) -> None:
    films(desk, "a")
    desk.settle()
    desk.cursor = None
    desk.record("a.mp4", "probe", State.DONE, a_minute_ago())

    @dg.op
    def nothing() -> None:
        """Stand in the place of the graph."""

    @dg.job(name="graph")
    def graph() -> None:
        nothing()

    assert graph.execute_in_process(instance=desk.instance).success
    assert "No state has changed" in desk.tick(library_graph).skip_message


# resume_blocked


def waiting(desk: Desk, age_s: float = 0.0, worked_at: str = "") -> list[Resumable]:
    with desk.tools() as tools:
        rows = resumable(tools.catalogue, tools.settings.max_attempts)
    moment = datetime.fromtimestamp(time.time() - age_s, UTC).isoformat(timespec="microseconds")
    return [
        Resumable(one.media, replace(one.row, updated_at=moment), worked_at or one.stage_worked_at)
        for one in rows
    ]


@pytest.fixture
def blocked_desk(desk: Desk) -> Desk:
    register_without_run(desk, *"abcde")
    for name in "abcde":
        desk.record(f"{name}.mp4", "transcript", State.BLOCKED)
    return desk


def resumed(desk: Desk, age_s: float, worked_at: str = "", mended: bool = False) -> int:
    found = to_resume(waiting(desk, age_s, worked_at), time.time(), lambda *_: mended, 2)
    return len(found)


def test_blocked_stages_rest_before_a_few_of_them_are_tried(blocked_desk: Desk) -> None:
    assert resumed(blocked_desk, age_s=BACKOFF_S - 10) == 0
    assert resumed(blocked_desk, age_s=BACKOFF_S + 1) == 2


def test_all_are_resumed_once_the_surroundings_are_said_to_be_mended(blocked_desk: Desk) -> None:
    assert resumed(blocked_desk, age_s=0, mended=True) == 5


def test_all_are_resumed_once_the_stage_has_worked_on_another_file(blocked_desk: Desk) -> None:
    assert resumed(blocked_desk, age_s=10, worked_at="2999-01-01") == 5


def test_blocked_files_that_have_a_run_already_are_not_asked_for(blocked_desk: Desk) -> None:
    sensor = build_resume_blocked(lambda _stage, _row: True)
    blocked_desk.cursor = None
    (request,) = blocked_desk.tick(sensor).run_requests
    assert len(blocked_desk.names(request)) == 5
    keys = add_keys(blocked_desk.instance, [])
    blocked_desk.run(keys, dg.DagsterRunStatus.QUEUED)
    assert "none to try now" in blocked_desk.tick(sensor).skip_reason.skip_message


def test_a_failure_that_may_be_mended_is_tried_again_after_a_rest(desk: Desk) -> None:
    register_without_run(desk, *"abc")
    desk.record("a.mp4", "transcript", State.FAILED, retryable=True, attempts=2)
    desk.record("b.mp4", "transcript", State.FAILED, retryable=True, attempts=3)
    desk.record("c.mp4", "transcript", State.FAILED, retryable=False, attempts=1)
    assert resumed(desk, age_s=10) == 0
    (media,) = to_resume(waiting(desk, BACKOFF_S + 1), time.time(), lambda *_: False, 1)
    assert media.first_name == "a.mp4"


def test_a_media_that_is_nowhere_is_not_resumed(blocked_desk: Desk) -> None:
    (blocked_desk.folder / "a.mp4").unlink()
    blocked_desk.tick()
    assert len(waiting(blocked_desk)) == 4


def test_superseded_media_are_not_resumed(blocked_desk: Desk) -> None:
    write(blocked_desk.folder / "a.mp4", "another cut altogether")
    blocked_desk.settle()
    assert len(waiting(blocked_desk)) == 4


def test_every_sensor_runs_by_itself_from_the_start(settings: Settings) -> None:
    sensors = [build_media_folders(settings), library_graph, build_resume_blocked()]
    assert {sensor.default_status for sensor in sensors} == {dg.DefaultSensorStatus.RUNNING}
    assert [sensor.name for sensor in sensors] == [
        "media_folders",
        "library_graph",
        "resume_blocked",
    ]
    assert sensors[0].minimum_interval_seconds == settings.sensor_interval_s


def test_a_library_is_opened_once_for_all_ticks(desk: Desk) -> None:
    with desk.tools() as first, desk.tools() as second:
        assert isinstance(first, Toolbox) and first is second
