"""Runs whose worker is no more: noticed, failed, and their files free; and what queue a run goes to."""

import json
import time
from collections.abc import Iterator

import dagster as dg
import pytest
from dagster_celery.tags import DAGSTER_CELERY_TASK_ID_TAG
from typer.testing import CliRunner

from dam_pipeline.catalogue.catalogue import Catalogue, now_iso, open_catalogue
from dam_pipeline.dagster_home import open_instance
from dam_pipeline.definitions import build_definitions
from dam_pipeline.errors import ConfigurationError, RunBroken
from dam_pipeline.ops.run_parts import few_runs
from dam_pipeline.records import StageRow, State
from dam_pipeline.settings import Settings, load_settings
from dam_pipeline.stages.engine import run_stages
from dam_pipeline.stages.queues import QUEUE_TAG, queue_tags, stages_without_models
from dam_pipeline.stages.work import Toolbox
from resources.library import LibraryResource
from sensors.lost_runs import Watch, build_lost_runs

INTERVAL_S = 10


@pytest.fixture
def catalogue(settings: Settings, database_url: str) -> Iterator[Catalogue]:
    with open_catalogue(settings.home, database_url) as opened:
        yield opened


def row(stage: str = "probe") -> StageRow:
    """A result that a run wants to record."""
    return StageRow("m1", stage, State.DONE, run_id="run", updated_at=now_iso())


def watched(*looks: tuple[float, int]) -> Watch:
    """What is known of one run after looks at these seconds that found these beats."""
    watch = Watch()
    for at_s, beats in looks:
        watch = watch.after({"run": beats}, at_s, INTERVAL_S)
    return watch


def test_a_run_that_says_nothing_for_long_enough_is_lost() -> None:
    silent = [(1000.0 + at_s, 7) for at_s in range(0, 61, 10)]
    assert watched(*silent[:-1]).lost(60) == []
    assert watched(*silent).lost(60) == ["run"]


def test_a_run_that_says_something_in_between_is_not_lost() -> None:
    assert watched((1000, 7), (1030, 7), (1050, 7), (1060, 8), (1080, 8)).lost(60) == []


def test_silence_while_nobody_listened_counts_little() -> None:
    assert watched((1000, 7), (90_000, 7)).lost(60) == []


def test_a_run_that_was_given_up_hears_of_it(catalogue: Catalogue) -> None:
    catalogue.beats.begin("run")
    assert catalogue.beats.again("run")
    assert catalogue.beats.counts() == {"run": 1}
    catalogue.beats.give_up("run")
    assert not catalogue.beats.again("run")
    assert catalogue.beats.counts() == {}


def test_a_run_that_was_given_up_records_nothing_more(catalogue: Catalogue) -> None:
    catalogue.states.claim(["probe", "shots"], ["m1"], "run", 60)
    catalogue.states.record([row("probe")], "run")
    catalogue.beats.give_up("run")
    with pytest.raises(RunBroken, match="another run takes up the rest"):
        catalogue.states.record([row("shots")], "run")
    assert set(catalogue.states.of(["m1"])["m1"]) == {"probe"}


def test_beats_extend_the_leases_and_stop_a_run_that_was_given_up(catalogue: Catalogue) -> None:
    heard: list[str] = []

    def wait_for(word: str) -> None:
        until = time.monotonic() + 20
        while word not in heard and time.monotonic() < until:
            time.sleep(0.02)
        assert word in heard

    def extend() -> None:
        heard.append("extended")

    def stop() -> None:
        heard.append("stopped")

    with catalogue.beats.kept_up("run", 0.05, extend, stop):
        wait_for("extended")
        catalogue.beats.give_up("run")
        wait_for("stopped")
    assert catalogue.beats.counts() == {}


def test_a_run_that_is_told_to_stop_ends_with_words(settings: Settings) -> None:
    with Toolbox.open(settings) as tools:
        tools.stop()
        with pytest.raises(RunBroken, match="given up as lost"):
            run_stages(tools, ["m1"], ["probe"], "run")
        tools.go_on()


def test_the_sensor_fails_the_silent_run_and_frees_its_files(settings: Settings) -> None:
    with dg.DagsterInstance.ephemeral() as instance, open_catalogue(settings.home) as catalogue:
        runs = {
            name: instance.create_run_for_job(
                build_definitions(settings).resolve_job_def("graph"), status=status
            ).run_id
            for name, status in (
                ("silent", dg.DagsterRunStatus.STARTED),
                ("waiting", dg.DagsterRunStatus.STARTING),
            )
        }
        catalogue.beats.begin(runs["silent"])
        catalogue.states.claim(["probe"], ["m1"], runs["silent"], 900)
        cursor = {"at_s": time.time() - 10, "silent": {runs["silent"]: [0, 59.0]}}
        with dg.build_sensor_context(
            instance=instance,
            cursor=json.dumps(cursor),
            resources={"library": LibraryResource(home=str(settings.home))},
        ) as context:
            told = build_lost_runs(settings)(context)
        assert isinstance(told, dg.SkipReason)
        assert told.skip_message == "1 runs are worked on, 1 were lost."
        states = {name: instance.get_run_by_id(run_id).status for name, run_id in runs.items()}
        assert states["silent"] is dg.DagsterRunStatus.FAILURE
        assert states["waiting"] is dg.DagsterRunStatus.STARTING
        assert catalogue.states.claim(["probe"], ["m1"], "next", 900) == {}


def test_every_run_can_be_heard(settings: Settings) -> None:
    repository = build_definitions(settings).get_repository_def()
    dumb = [
        (job.name, node.name)
        for job in repository.get_all_jobs()
        for node in job.nodes
        if "library" not in node.definition.required_resource_keys
    ]
    assert dumb == []


def test_runs_with_models_go_to_their_queue(settings: Settings) -> None:
    split = settings.model_copy(update={"gpu_queue": "gpu", "gpu_run_tags": '{"node": "big"}'})
    plain = {"probe", "checksum", "poster", "shots", "keyframes", "fingerprints"}
    assert set(stages_without_models()) == plain
    assert queue_tags(split, stages_without_models()) == {}
    assert queue_tags(split, ["tags"]) == {QUEUE_TAG: "gpu", "node": "big"}
    assert queue_tags(split) == {QUEUE_TAG: "gpu", "node": "big"}
    assert queue_tags(settings) == {}


def test_runs_that_a_run_requests_go_to_the_same_queue(settings: Settings) -> None:
    split = settings.model_copy(update={"gpu_queue": "gpu"})
    for keys in (["a", "b"], ["a", "c"]):  # lying together, and scattered
        parts = few_runs(["a", "b", "c"], dict.fromkeys(keys, 1), split)
        assert [one.tags[QUEUE_TAG] for one in parts] == ["gpu"]
        plain = few_runs(["a", "b", "c"], dict.fromkeys(keys, 1), split, ["probe"])
        assert [QUEUE_TAG in one.tags for one in plain] == [False]


@pytest.mark.parametrize("tags", ["node=big", '["node"]', '{"node": 1}'])
def test_tags_that_no_run_can_have_are_refused(monkeypatch: pytest.MonkeyPatch, tags: str) -> None:
    monkeypatch.setenv("DAM_GPU_RUN_TAGS", tags)
    with pytest.raises(ConfigurationError, match="gpu_run_tags"):
        load_settings()


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({}, "DAM_CELERY_BROKER=redis://HOST"),
        ({"DAM_CELERY_BROKER": "redis://h"}, "Set DAM_POSTGRES_URL"),
    ],
)
def test_a_worker_says_what_it_lacks(
    dam_home, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], words: str
) -> None:
    from dam_pipeline.cli.main import app

    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    result = CliRunner().invoke(app, ["worker"])
    assert result.exit_code == 2
    assert words in result.stderr


@pytest.mark.redis
def test_a_run_that_waits_for_a_worker_is_cancelled_at_once(
    settings: Settings, redis_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAM_CELERY_BROKER", redis_server)
    with open_instance(settings.model_copy(update={"celery_broker": redis_server})) as instance:
        run = instance.create_run_for_job(
            build_definitions(settings).resolve_job_def("graph"),
            status=dg.DagsterRunStatus.STARTING,
            tags={DAGSTER_CELERY_TASK_ID_TAG: "task"},
        )
        assert instance.run_launcher.terminate(run.run_id)
        assert instance.get_run_by_id(run.run_id).status is dg.DagsterRunStatus.CANCELED
        assert not instance.run_launcher.terminate(run.run_id)
