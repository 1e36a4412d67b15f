"""Estimates: rates from measurements, corrections from past runs, and the words of `dam plan`."""

import random
from pathlib import Path

import pytest

from dam_pipeline.catalogue.estimates import RunEstimate, put_estimate, scored_estimates
from dam_pipeline.catalogue.measures import Measure, Sample
from dam_pipeline.planning.correction import Correction, learn, parallel
from dam_pipeline.planning.costs import Costs, Seconds, Unit
from dam_pipeline.planning.estimating import Estimator, score_in_words
from dam_pipeline.planning.work import Wanted, survey
from dam_pipeline.records import MediaKind, State
from dam_pipeline.settings import Settings, load_settings
from dam_pipeline.stages import STAGES
from dam_pipeline.stages.work import Toolbox
from dam_pipeline_tests.processed import Library, dam, dam_json

VIDEO, IMAGE = MediaKind.VIDEO, MediaKind.IMAGE


def sample(stage: str, seconds: float, duration_s: float, size_bytes: int = 10**6) -> Sample:
    return Sample(stage, VIDEO, seconds, size_bytes, duration_s, "1")


def film(duration_s: float | None, size_bytes: int = 10**6, kind: MediaKind = VIDEO) -> Measure:
    return Measure("m", kind, size_bytes, duration_s, "2026-01-01", "")


def a_run(work_s: float, took_s: float, began_s: float = 0.0, likely_s: float = 1.0) -> RunEstimate:
    return RunEstimate(
        run_id=f"run-{began_s}",
        job="ingest",
        files=1,
        footage_s=1.0,
        size_bytes=1,
        low_s=0.5,
        likely_s=likely_s,
        high_s=2.0,
        work_s=work_s,
        started_s=began_s,
        ended_s=began_s + took_s,
    )


# Costs


def test_a_stage_that_grows_with_footage_costs_ten_times_as_much_on_ten_times_the_footage() -> None:
    lengths = (10.0, 20.0, 40.0, 80.0, 160.0)
    costs = Costs([sample("shots", 0.5 * length, length) for length in lengths], {})
    assert costs.rate("shots", VIDEO).unit is Unit.FOOTAGE
    assert costs.seconds("shots", film(100.0)).likely == pytest.approx(50.0)
    assert costs.seconds("shots", film(1000.0)).likely == pytest.approx(500.0)


def test_a_stage_that_costs_the_same_on_every_file_is_found_out() -> None:
    lengths = (10.0, 20.0, 40.0, 80.0, 160.0)
    costs = Costs([sample("shots", 3.0 + length / 1000, length) for length in lengths], {})
    assert costs.rate("shots", VIDEO).unit is Unit.FILE
    assert costs.seconds("shots", film(5000.0)).likely == pytest.approx(3.04, abs=0.1)


def test_clips_of_one_length_do_not_make_a_long_film_cheap() -> None:
    costs = Costs([sample("shots", 1.0, 2.0) for _ in range(20)], {})
    assert costs.seconds("shots", film(3600.0)).likely == pytest.approx(1800.0)


def test_one_slow_file_of_forty_changes_little() -> None:
    found = [sample("shots", 10.0, 100.0) for _ in range(39)] + [sample("shots", 5000.0, 100.0)]
    assert Costs(found, {}).seconds("shots", film(100.0)).likely == pytest.approx(10.0)


def test_measurements_of_the_present_version_are_preferred() -> None:
    old = [sample("shots", 100.0, 100.0) for _ in range(50)]
    new = [Sample("shots", VIDEO, 10.0, 10**6, 100.0, "2") for _ in range(5)]
    assert Costs(old + new, {"shots": "2"}).seconds("shots", film(100.0)).likely == pytest.approx(
        10.0
    )


def test_without_measurements_the_cost_is_assumed_and_says_so() -> None:
    rate = Costs([], {}).rate("transcript", VIDEO)
    assert rate.samples == 0
    assert rate.seconds.low < rate.seconds.likely < rate.seconds.high


def test_the_length_of_a_file_that_was_never_probed_is_guessed_by_its_size() -> None:
    costs = Costs([sample("probe", 0.1, 10.0, size_bytes=20_000_000)], {})
    assert costs.footage_s(film(None, size_bytes=200_000_000)) == pytest.approx(100.0)
    assert costs.footage_s(film(None, kind=IMAGE)) == 0.0


# What past runs say


def test_start_and_overlap_are_learned_from_runs_of_different_size() -> None:
    noise = random.Random(7)
    past = [
        a_run(work, 8.0 + 0.6 * work * noise.uniform(0.95, 1.05), began_s=100.0 * n)
        for n, work in enumerate((2, 5, 10, 20, 40, 80, 160))
    ]
    learned = learn(past)
    assert learned.factor == pytest.approx(0.6, abs=0.05)
    assert learned.start_s == pytest.approx(8.0, abs=1.5)
    seconds = learned.corrected(Seconds(90.0, 100.0, 110.0), runs=1, more_s=0.0)
    assert seconds.likely == pytest.approx(68.0, abs=5.0)
    assert seconds.low <= seconds.likely <= seconds.high


def test_runs_at_the_same_time_count_as_parallel() -> None:
    alone = [a_run(1, 10, began_s=0), a_run(1, 10, began_s=100)]
    assert parallel(alone) == 1.0
    assert parallel([a_run(1, 10, began_s=0), a_run(1, 10, began_s=0.0)]) == 2.0
    assert parallel([]) == 1.0


def test_a_range_without_experience_is_wide() -> None:
    seconds = Correction().corrected(Seconds(5.0, 10.0, 20.0), runs=1, more_s=0.0)
    assert seconds.low <= seconds.likely / 2
    assert seconds.high >= seconds.likely * 2


def test_the_worst_of_the_last_ten_estimates_is_told() -> None:
    past = [a_run(1, took, likely_s=10.0) for took in (10.0, 5.0, 14.0)]
    assert score_in_words(past) == "The last 3 estimates were within ×2.0."
    assert score_in_words([]) == "No estimate has been scored yet."


def test_estimates_are_kept_and_only_those_of_ended_runs_are_scored(settings: Settings) -> None:
    with Toolbox.open(settings) as tools:
        put_estimate(tools.catalogue, a_run(1.0, 3.0, began_s=10.0))
        unfinished = RunEstimate("u", "ingest", 1, 1.0, 1, 1.0, 1.0, 1.0, 1.0, started_s=20.0)
        put_estimate(tools.catalogue, unfinished)
        assert [one.run_id for one in scored_estimates(tools.catalogue, 9)] == ["run-10.0"]
        assert scored_estimates(tools.catalogue, 9)[0].ratio == pytest.approx(3.0)


# The command


def test_a_library_that_is_done_has_nothing_to_do_and_names_what_is_left_alone(
    library: Library,
) -> None:
    document = dam_json("plan")
    assert document["files"] == 0
    left = {one["partition_key"]: one["stages"] for one in document["left_alone"]}
    assert left[library.key("empty.mp4")]["probe"].startswith("failed for good: ")
    assert "waits for probe" in left[library.key("empty.mp4")]["shots"]
    assert "Nothing to do." in dam("plan").stderr


def test_all_is_the_whole_library_with_a_range_that_holds_what_the_ingest_took(
    library: Library,
) -> None:
    document = dam_json("plan", "--all")
    assert document["files"] == len(library.ingest["media"])
    assert document["stages"]["transcript"]["files"] == document["files"]
    seconds = document["seconds"]
    assert 0 < seconds["low"] <= seconds["likely"] <= seconds["high"]
    with Toolbox.open(load_settings()) as tools:
        (first,) = scored_estimates(tools.catalogue, 9)
    assert seconds["low"] <= (first.actual_s or 0.0) <= seconds["high"]
    assert document["accuracy"]["estimates"] == 1


def test_a_plan_can_be_of_one_stage_and_one_folder(library: Library) -> None:
    document = dam_json("plan", str(library.originals / "sound"), "--stage", "transcript", "--all")
    assert (document["files"], list(document["stages"])) == (1, ["transcript"])
    assert document["footage_s"] > 0
    assert document["guessed_files"] == 0


def test_a_changed_setting_shows_as_stale_work(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAM_KEYFRAME_GAP_S", "2.5")
    document = dam_json("plan", "--stale")
    assert set(document["stages"]) >= {"keyframes", "clip_embeddings", "search_index"}
    assert "probe" not in document["stages"]
    keyframes = document["stages"]["keyframes"]
    assert keyframes["stale"] == keyframes["files"] > 0


def test_a_plan_changes_nothing(library: Library) -> None:
    before = {path: path.stat().st_mtime_ns for path in library.home.glob("derived/*/*/*")}
    with Toolbox.open(load_settings()) as tools:
        newest = tools.catalogue.states.newest()
        dam("plan", "--all")
        assert tools.catalogue.states.newest() == newest
    assert {p: p.stat().st_mtime_ns for p in library.home.glob("derived/*/*/*")} == before


def test_a_new_file_is_planned_with_its_room_on_the_disk(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dam_pipeline.catalogue.discovery import discover
    from dam_pipeline_tests.clips import encode, shots

    copied = library.copy(tmp_path / "home")
    copied.enter(monkeypatch)
    encode(tmp_path / "new.mp4", shots([30, 30]))
    with Toolbox.open(load_settings()) as tools:
        discover([tmp_path / "new.mp4"], tools.catalogue, tools.derived, tools.settings)
    document = dam_json("plan", str(tmp_path / "new.mp4"))
    assert (document["files"], document["guessed_files"], document["runs"]) == (1, 1, 1)
    assert {name: one["never"] for name, one in document["stages"].items()} == dict.fromkeys(
        STAGES, 1
    )
    assert 1_000 < document["derived_bytes"] < 10_000_000
    assert any("guessed by their size" in one for one in document["assumptions"])


@pytest.mark.parametrize("words", [("--all", "--stale"), ("--stage", "nonsense"), ("/no/where",)])
def test_a_plan_of_nonsense_is_wrong_use(library: Library, words: tuple[str, ...]) -> None:
    assert dam("plan", *words).exit_code == 2


def test_the_estimator_of_an_empty_library_says_nothing_wrong(settings: Settings) -> None:
    with Toolbox.open(settings) as tools:
        estimate = Estimator(tools.catalogue, settings).of_library([], 0)
        assert list(survey(tools, [], Wanted(frozenset({State.NEVER})))) == []
    assert (estimate.files, estimate.seconds.likely, estimate.stages) == (0, 0.0, {})
