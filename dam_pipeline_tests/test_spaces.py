"""Embedding spaces side by side: built in the shadow, compared, promoted, rolled back, removed."""

import json
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import dagster as dg
import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient

from dam_pipeline.catalogue.active_models import conflicts
from dam_pipeline.catalogue.rebuilding import rebuild_catalogue
from dam_pipeline.catalogue.spaces import SpaceRecord, Status
from dam_pipeline.catalogue.tables import SHADOW_STATE, STAGE_STATE
from dam_pipeline.dagster_home import open_instance
from dam_pipeline.errors import ConfigurationError, PromotionRefused, WeightsMissing
from dam_pipeline.launch import quiet_dagster, run_build, run_promotion
from dam_pipeline.models import identify
from dam_pipeline.preview.server import create_app
from dam_pipeline.records import State
from dam_pipeline.search.asking import Models
from dam_pipeline.search.index_rows import index_media
from dam_pipeline.search.query import Library, search
from dam_pipeline.settings import load_settings
from dam_pipeline.spaces.building import build_space, coverage
from dam_pipeline.spaces.candidates import (
    active_space,
    add_candidate,
    find_space,
    home_space,
    named_space,
)
from dam_pipeline.spaces.comparing import compare
from dam_pipeline.spaces.decisions import bring_up, decide, decided, undone
from dam_pipeline.spaces.switching import promote, remove_space, roll_back
from dam_pipeline.stages import STAGES
from dam_pipeline.stages.engine import Finished, run_stages
from dam_pipeline.stages.listing import list_media
from dam_pipeline.stages.recording import stage_row
from dam_pipeline.stages.work import Toolbox
from dam_pipeline_tests.checkpoints import sentence_model_again
from dam_pipeline_tests.drawings import SCENES, Drawings, add, draw, drawn_library
from dam_pipeline_tests.processed import dam, dam_json
from dam_pipeline_tests.s3_server import Bucket
from resources.library import LibraryResource, close_libraries
from sensors.promoted_space import promoted_space

K = 3
CLIP = "clip_embeddings"


@pytest.fixture
def drawings(shared_folder: Path, dam_home: Path, monkeypatch: pytest.MonkeyPatch) -> Drawings:
    """The drawn library, copied to the home of this test."""
    for name in ("DAM_FACES", "DAM_SPEECH"):
        monkeypatch.setenv(name, "false")
    made = drawn_library(shared_folder, load_settings())
    made.copy(dam_home)
    return made


@pytest.fixture
def tools(drawings: Drawings) -> Iterator[Toolbox]:
    with Toolbox.open(load_settings()) as opened:
        yield opened


def ids(tools: Toolbox) -> list[str]:
    return [one.media_id for one in tools.catalogue.all_media()]


def built(tools: Toolbox, model: Path) -> SpaceRecord:
    record = add_candidate(tools, str(model), "image_text")
    build_space(tools, record, ids(tools), "run-2")
    return record


def promoted(tools: Toolbox, drawings: Drawings) -> SpaceRecord:
    record = built(tools, drawings.good)
    promote(tools, record, compare(tools, record, drawings.pairs(), K))
    return record


def found(tools: Toolbox, text: str) -> tuple[str, str]:
    """The first picture that a search finds, and the space that it was found in."""
    models = Models.of(tools.settings)
    library = Library(tools.settings, tools.catalogue, tools.derived, tools.store, models)
    hit = search(library, text).hits[0]
    return Path(hit.uri).stem, hit.space


def states(tools: Toolbox, stage: str) -> Counter[str]:
    listings = list_media(tools, tools.catalogue.all_media())
    return Counter(one.verdicts[stage].state.value for one in listings)


def digests(home: Path, pattern: str) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(home.glob(f"derived/*/*/{pattern}"))}


def test_a_candidate_is_built_beside_the_active_space_which_goes_on_answering(
    tools: Toolbox, drawings: Drawings, dam_home: Path
) -> None:
    home = active_space(tools, "image_text")
    before = digests(dam_home, f"{CLIP}.*")
    record = add_candidate(tools, str(drawings.good), "image_text")
    answers: list[tuple[str, str]] = []

    def ask(_finished: Sequence[Finished]) -> None:
        with Toolbox.open(load_settings()) as other:
            answers.append(found(other, SCENES["red-circle"].caption))

    build_space(tools, record, ids(tools), "run-2", ask)
    assert set(answers) == {("red-circle", home.name)}
    assert digests(dam_home, f"{CLIP}.*") == before
    assert len(digests(dam_home, f"{record.stem}.parquet")) == len(SCENES)
    assert tools.store.counts()[record.name] == tools.store.counts()[home.name] == len(SCENES)
    assert states(tools, CLIP) == {"done": len(SCENES)}
    assert states(tools, "search_index") == {"done": len(SCENES)}


def test_a_build_for_a_part_goes_on_with_what_is_missing(
    tools: Toolbox, drawings: Drawings, tmp_path: Path
) -> None:
    record = add_candidate(tools, str(drawings.good), "image_text")
    build_space(tools, record, ids(tools)[:5], "run-2")
    assert coverage(tools, record, tools.catalogue.all_media()).covered == 5
    draw(tmp_path / "more", ["red-circle", "blue-star"], seed=77)
    add(tools, tmp_path / "more")
    made = build_space(tools, record, ids(tools), "run-3")
    assert sum(not one.fresh for one in made) == len(SCENES) + 2 - 5
    reached = coverage(tools, record, tools.catalogue.all_media())
    assert (reached.wanted, reached.covered) == (len(SCENES) + 2, len(SCENES) + 2)


def test_files_with_new_keyframes_are_no_longer_covered_and_embedded_anew(
    tools: Toolbox, drawings: Drawings
) -> None:
    record = built(tools, drawings.good)
    changed = tools.settings.model_copy(update={"keyframe_px": 256})
    with Toolbox.open(changed) as other:
        run_stages(other, ids(tools), ["keyframes"], "run-3")
        assert coverage(other, record, tools.catalogue.all_media()).covered == 0
        build_space(other, record, ids(tools)[:4], "run-4")
        assert coverage(other, record, tools.catalogue.all_media()).covered == 4


def test_a_random_model_is_refused_and_an_equal_one_is_accepted(
    tools: Toolbox, drawings: Drawings
) -> None:
    bad, good = built(tools, drawings.bad), built(tools, drawings.good)
    of_bad = compare(tools, bad, drawings.pairs(), K)
    assert of_bad.active_recall == 1.0
    assert of_bad.recall is not None
    assert of_bad.recall < 0.6
    assert "labelled pairs" in of_bad.refusals[0]
    with pytest.raises(PromotionRefused, match="is not promoted"):
        promote(tools, bad, of_bad)
    of_good = compare(tools, good, drawings.pairs(), K)
    assert of_good.recall == 1.0
    assert of_good.overlap is not None
    assert of_good.overlap > 0.9
    assert of_good.refusals == ()
    assert active_space(tools, "image_text").model == "tiny-clip"
    assert find_space(tools, bad.name).comparison["recall"] == of_bad.recall


def test_without_labelled_pairs_the_overlap_decides(tools: Toolbox, drawings: Drawings) -> None:
    assert "no labelled pair" in compare(tools, built(tools, drawings.bad), (), K).refusals[0]
    assert compare(tools, built(tools, drawings.good), (), K).refusals == ()


def test_tags_that_people_gave_are_labelled_pairs(tools: Toolbox, drawings: Drawings) -> None:
    for name in ("red-circle", "blue-star"):
        assert (
            dam(
                "tag", "add", str(drawings.pictures / f"{name}.jpg"), name.replace("-", " ")
            ).exit_code
            == 0
        )
    weighed = compare(tools, built(tools, drawings.bad), (), 1)
    assert (weighed.pairs, weighed.active_recall) == (2, 1.0)


def test_a_part_is_not_promoted_unless_forced(tools: Toolbox, drawings: Drawings) -> None:
    record = add_candidate(tools, str(drawings.good), "image_text")
    nothing = compare(tools, record, drawings.pairs(), K)
    with pytest.raises(PromotionRefused, match="holds nothing"):
        promote(tools, record, nothing, force=True)
    build_space(tools, record, ids(tools)[:8], "run-2")
    part = compare(tools, record, drawings.pairs(), K)
    assert "8 of 16 files have no vectors" in part.refusals[0]
    promote(tools, record, part, force=True)
    assert states(tools, CLIP) == {"done": 8, "never": 8}


def test_a_promotion_computes_nothing_and_leaves_only_what_stands_on_vectors_stale(
    tools: Toolbox, drawings: Drawings
) -> None:
    record = promoted(tools, drawings)
    assert tools.settings.clip_model == str(drawings.good)
    assert states(tools, CLIP) == {"done": len(SCENES)}
    assert states(tools, "keyframes") == {"done": len(SCENES)}
    for stage in ("tags", "scenes", "search_index"):
        assert states(tools, stage) == {"stale": len(SCENES)}
    assert found(tools, SCENES["red-circle"].caption) == ("red-circle", record.name)
    made = run_stages(tools, ids(tools), [CLIP, "tags", "scenes", "search_index"], "run-5")
    assert {one.stage for one in made.finished if one.fresh} == {CLIP}
    assert states(tools, "tags") == states(tools, "search_index") == {"done": len(SCENES)}
    tagged = tools.derived.outcome(ids(tools)[0], "tags")
    assert tagged is not None
    assert tagged.result["space"] == record.name
    assert tools.store.counts()[home_space(tools, "image_text").name] == len(SCENES)


def test_a_preview_server_that_runs_follows_a_promotion(tools: Toolbox, drawings: Drawings) -> None:
    with TestClient(create_app(load_settings()), base_url="http://127.0.0.1:3001") as client:
        promoted(tools, drawings)
        told = client.get("/metrics").text
    assert f'dam_stage_files{{stage="{CLIP}",state="done"}} {len(SCENES)}.0' in told
    assert f'dam_stage_files{{stage="{CLIP}",state="stale"}}' not in told


def test_a_rollback_brings_back_the_space_before_without_computing(
    tools: Toolbox, drawings: Drawings
) -> None:
    record = promoted(tools, drawings)
    again, before = roll_back(tools, "image_text")
    assert (again.model, before.name) == ("tiny-clip", record.name)
    assert states(tools, CLIP) == {"done": len(SCENES)}
    # What was made of the old vectors stands again, as nothing was made of the new ones yet.
    assert states(tools, "tags") == {"done": len(SCENES)}
    assert found(tools, SCENES["red-circle"].caption) == ("red-circle", again.name)
    assert roll_back(tools, "image_text")[0].name == record.name


def test_the_active_space_cannot_be_removed_and_another_leaves_nothing_behind(
    tools: Toolbox, drawings: Drawings, dam_home: Path
) -> None:
    record = promoted(tools, drawings)
    with pytest.raises(ConfigurationError, match="is the active space"):
        remove_space(tools, record)
    home = named_space(tools, "tiny-clip")
    assert remove_space(tools, home) == len(SCENES)
    assert digests(dam_home, f"{CLIP}.*") == {}
    assert home.name not in tools.store.counts()
    assert found(tools, SCENES["red-circle"].caption) == ("red-circle", record.name)
    with pytest.raises(ConfigurationError, match="no space of image_text to go back to"):
        roll_back(tools, "image_text")


def test_a_space_that_is_being_built_cannot_be_removed_and_keeps_nobody_from_the_active_one(
    tools: Toolbox, drawings: Drawings
) -> None:
    record = built(tools, drawings.good)
    at_work = tools.in_space(record).catalogue.states
    at_work.claim([CLIP], ids(tools)[:1], "run-9", 60)
    with pytest.raises(ConfigurationError, match="is being built"):
        remove_space(tools, record)
    assert tools.catalogue.states.claim([CLIP], ids(tools)[:1], "run-10", 60) == {}
    at_work.release("run-9")
    assert remove_space(tools, record) == len(SCENES)


def test_after_the_last_candidate_the_settings_decide_again(
    tools: Toolbox, drawings: Drawings
) -> None:
    record = promoted(tools, drawings)
    roll_back(tools, "image_text")
    remove_space(tools, record)
    assert tools.catalogue.spaces.all() == []
    assert decided(tools.settings) == {}
    with tools.catalogue.engine.connect() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(SHADOW_STATE)) == 0


def test_a_run_that_began_before_a_switch_ends_in_its_own_space(
    tools: Toolbox, drawings: Drawings, tmp_path: Path
) -> None:
    draw(tmp_path / "more", ["red-star"], seed=78)
    with Toolbox.open(load_settings()) as before:
        new = add(before, tmp_path / "more", ["checksum", "probe", "shots", "keyframes"])
        promoted_from_part(tools, drawings)
        run_stages(before, [new[0].media_id], [CLIP], "run-6")
    tools.follow_spaces()
    assert tools.catalogue.states.of([new[0].media_id])[new[0].media_id].get(CLIP) is None
    home = named_space(tools, "tiny-clip")
    assert tools.catalogue.spaces.states(home)[new[0].media_id][0] is State.DONE
    roll_back(tools, "image_text")
    assert states(tools, CLIP) == {"done": len(SCENES) + 1}


def promoted_from_part(tools: Toolbox, drawings: Drawings) -> None:
    record = add_candidate(tools, str(drawings.good), "image_text")
    build_space(tools, record, ids(tools)[:4], "run-2")
    promote(tools, record, compare(tools, record, (), K), force=True)


def test_a_setting_that_names_another_model_is_told_of_and_not_followed(
    tools: Toolbox, drawings: Drawings, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = promoted(tools, drawings)
    monkeypatch.setenv("DAM_CLIP_MODEL", "tiny-clip")
    with Toolbox.open(load_settings()) as other:
        assert other.settings.clip_model == str(drawings.good)
        [warning] = conflicts(other.asked, other.catalogue.spaces.all())
        assert (
            f"DAM_CLIP_MODEL=tiny-clip is not followed: the library's space is {record.name}"
            in warning
        )
        assert found(other, SCENES["red-circle"].caption)[1] == record.name


def test_a_model_that_is_not_there_or_is_active_makes_no_candidate(tools: Toolbox) -> None:
    with pytest.raises(WeightsMissing):
        add_candidate(tools, "clip-vit-b32", "image_text")
    with pytest.raises(ConfigurationError, match="is the active space of image_text already"):
        add_candidate(tools, "tiny-clip", "image_text")
    with pytest.raises(ConfigurationError, match="no kind of space 'smell'"):
        add_candidate(tools, "tiny-clip", "smell")
    assert tools.catalogue.spaces.all() == []


def test_a_decision_that_was_interrupted_leaves_the_old_space_whole_until_it_is_carried_out(
    tools: Toolbox, drawings: Drawings
) -> None:
    record = built(tools, drawings.good)
    # What a kill between the journal and the switch leaves behind.
    decide(tools.settings, "promote", record, home_space(tools, "image_text"))
    tools.follow_spaces()
    assert found(tools, SCENES["red-circle"].caption) == (
        "red-circle",
        active_space(tools, "image_text").name,
    )
    assert undone(tools.settings, tools.catalogue) == sorted(
        [record.name, home_space(tools, "image_text").name]
    )
    bring_up(tools.settings, tools.catalogue)
    tools.follow_spaces()
    assert undone(tools.settings, tools.catalogue) == []
    assert states(tools, CLIP) == {"done": len(SCENES)}
    assert found(tools, SCENES["red-circle"].caption) == ("red-circle", record.name)


SWITCHING = """
from dam_pipeline.settings import load_settings
from dam_pipeline.spaces.switching import roll_back
from dam_pipeline.stages.work import Toolbox
with Toolbox.open(load_settings()) as tools:
    while True:
        roll_back(tools, "image_text")
        print("switched", flush=True)
"""


def test_killed_at_any_moment_a_switch_is_done_or_not_and_never_half(
    tools: Toolbox, drawings: Drawings
) -> None:
    promoted(tools, drawings)
    chance = random.Random(6)
    for _ in range(4):
        child = subprocess.Popen([sys.executable, "-c", SWITCHING], stdout=subprocess.PIPE)
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(chance.uniform(0, 0.2))
        child.send_signal(signal.SIGKILL)
        child.wait()
        tools.follow_spaces()
        [active] = [one for one in tools.catalogue.spaces.all() if one.status is Status.ACTIVE]
        weights = identify(tools.settings)["image_text"]
        assert weights is not None
        with tools.catalogue.engine.connect() as connection:
            query = sa.select(STAGE_STATE.c.weights_sha256, sa.func.count())
            rows = connection.execute(
                query.where(STAGE_STATE.c.stage == CLIP).group_by(STAGE_STATE.c.weights_sha256)
            ).all()
        assert [tuple(row) for row in rows] == [(weights.weights_sha256, len(SCENES))]
        assert found(tools, SCENES["red-circle"].caption) == ("red-circle", active.name)
        bring_up(tools.settings, tools.catalogue)
        assert undone(tools.settings, tools.catalogue) == []


BUILDING = """
import os, signal, sys
from dam_pipeline.settings import load_settings
from dam_pipeline.spaces.building import build_space
from dam_pipeline.spaces.candidates import add_candidate
from dam_pipeline.stages.work import Toolbox
with Toolbox.open(load_settings()) as tools:
    record = add_candidate(tools, sys.argv[1], "image_text")
    ids = [one.media_id for one in tools.catalogue.all_media()]
    def die(_finished):
        os.kill(os.getpid(), signal.SIGKILL)
    build_space(tools, record, ids[:6], "run-2")
    build_space(tools, record, ids, "run-3", die)
"""


def test_a_build_that_was_killed_goes_on_where_it_was(tools: Toolbox, drawings: Drawings) -> None:
    child = subprocess.run([sys.executable, "-c", BUILDING, drawings.good], check=False)
    assert child.returncode == -signal.SIGKILL
    record = named_space(tools, str(drawings.good))
    assert found(tools, SCENES["red-circle"].caption)[1] == active_space(tools, "image_text").name
    assert coverage(tools, record, tools.catalogue.all_media()).covered < len(SCENES)
    build_space(tools, record, ids(tools), "run-4")
    assert not coverage(tools, record, tools.catalogue.all_media()).missing
    assert tools.store.counts()[record.name] == len(SCENES)


def test_the_commands_build_compare_promote_and_list_with_json(
    drawings: Drawings, tmp_path: Path
) -> None:
    queries = tmp_path / "pairs.tsv"
    queries.write_text("# captions\n" + "\n".join(drawings.pairs()) + "\n")
    planned = dam_json("space", "build", str(drawings.bad), "--dry-run")
    assert (planned["due"], planned["covered"], planned["run_ids"]) == (16, 0, [])
    assert dam_json("space", "build", str(drawings.bad))["covered"] == 16
    refused = dam("space", "promote", "bad", "--queries", str(queries), "--k", "3", "--json")
    assert refused.exit_code == 3
    assert "labelled pairs" in json.loads(refused.stdout)["refusals"][0]
    made = dam_json("space", "build", str(drawings.good), "--limit", "10")
    assert (made["due"], made["covered"]) == (10, 10)
    assert dam_json("space", "build", str(drawings.good))["due"] == 6
    accepted = dam_json("space", "promote", "good", "--queries", str(queries), "--k", "3")
    assert accepted["is_active"]
    assert len(accepted["run_ids"]) >= 3
    listed = {one["name"].partition("@")[0]: one for one in dam_json("space", "list")["spaces"]}
    assert {name: one["status"] for name, one in listed.items() if one["kind"] == "image_text"} == {
        "bad": "candidate",
        "good": "active",
        "tiny-clip": "previous",
    }
    assert dam_json("status")["totals"]["tags"] == {"done": 16}
    assert dam_json("space", "rollback", "--later")["space"].startswith("tiny-clip")
    assert dam("space", "remove", "tiny").exit_code == 2
    assert dam_json("space", "remove", "bad", "--dry-run") == {
        "space": listed["bad"]["name"],
        "files": 16,
        "removed": False,
    }
    assert dam_json("space", "remove", "bad")["removed"]


def dagster_runs(drawings: Drawings, model: Path, **config: object) -> dict[str, object]:
    """A model's space built and promoted by the jobs; what Dagster then knows."""
    settings = load_settings()
    with open_instance(settings) as instance, Toolbox.open(settings) as tools:
        record = add_candidate(tools, str(model), "image_text")
        by_key = {one.partition_key: one for one in tools.catalogue.all_media()}
        list(run_build(settings, instance, by_key, record.name))
        asked = {"space": record.name, "queries": drawings.pairs(), "k": K, **config}
        run = instance.get_run_by_id(run_promotion(settings, instance, asked))
        active = instance.get_latest_materialization_event(dg.AssetKey("active_space"))
        found = {
            "run": run.status.value if run else "",
            "built": len(instance.get_materialized_partitions(dg.AssetKey("candidate_embeddings"))),
            "weighed": instance.get_latest_materialization_event(dg.AssetKey("candidate_space")),
            "active": active and active.asset_materialization.metadata["space"].value,
            "told": len(instance.get_materialized_partitions(dg.AssetKey(CLIP))),
        }
        resources = {"library": LibraryResource(home=str(settings.home))}
        with dg.build_sensor_context(instance, resources=resources) as context:
            tick = promoted_space.evaluate_tick(context)
        found["requested"] = [one.tags for one in tick.run_requests or ()]
    close_libraries()
    return found


def test_in_dagster_the_check_keeps_a_worse_space_from_active_space_and_lets_a_good_one_pass(
    drawings: Drawings, expected_error_logs: list[str]
) -> None:
    quiet_dagster()
    expected_error_logs.append("is_fit_to_be_active")
    refused = dagster_runs(drawings, drawings.bad)
    assert (refused["run"], refused["built"], refused["active"]) == ("FAILURE", len(SCENES), None)
    assert refused["weighed"] is not None
    passed = dagster_runs(drawings, drawings.good)
    assert (passed["run"], passed["told"]) == ("SUCCESS", len(SCENES))
    assert str(passed["active"]).startswith("good@")
    assert refused["requested"] == []
    assert passed["requested"] != []


def test_a_rebuild_brings_back_every_space_and_which_is_active(
    drawings: Drawings, dam_home: Path
) -> None:
    with Toolbox.open(load_settings()) as tools:
        record = promoted(tools, drawings)
        built(tools, drawings.bad)
        counts = {n: c for n, c in tools.store.counts().items() if "@" in n}
        known = {one.name: one.status for one in tools.catalogue.spaces.all()}
    for path in dam_home.glob("catalogue.db*"):
        path.unlink()
    shutil.rmtree(dam_home / "lancedb")
    dam_json("rebuild")
    with Toolbox.open(load_settings()) as tools:
        assert {one.name: one.status for one in tools.catalogue.spaces.all()} == known
        assert {n: c for n, c in tools.store.counts().items() if "@" in n} == counts
        assert states(tools, CLIP) == {"done": len(SCENES)}
        assert found(tools, SCENES["red-circle"].caption) == ("red-circle", record.name)
        assert roll_back(tools, "image_text")[0].model == "tiny-clip"
        assert states(tools, CLIP) == {"done": len(SCENES)}


@pytest.mark.weaviate
def test_the_same_on_weaviate(
    drawings: Drawings, weaviate_server: dict[str, str | int], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"vector_store": "weaviate", **weaviate_server}.items():
        monkeypatch.setenv(f"DAM_{name.upper()}", str(value))
    monkeypatch.setenv("DAM_WEAVIATE_PREFIX", "Spaces")
    with Toolbox.open(load_settings()) as tools:
        index_media(tools.store, tools.derived, ids(tools))
        home = active_space(tools, "image_text")
        record = promoted(tools, drawings)
        assert found(tools, SCENES["red-circle"].caption) == ("red-circle", record.name)
        run_stages(tools, ids(tools), ["search_index"], "run-7")
        assert tools.store.counts()[home.name] == tools.store.counts()[record.name] == len(SCENES)
        roll_back(tools, "image_text")
        assert found(tools, SCENES["red-circle"].caption) == ("red-circle", home.name)
        remove_space(tools, record)
        assert record.name not in tools.store.counts()
        tools.store.drop()


@pytest.mark.postgres
def test_the_same_with_the_catalogue_in_postgres(
    drawings: Drawings, own_postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAM_POSTGRES_URL", own_postgres)
    with Toolbox.open(load_settings()) as tools:
        rebuild_catalogue(tools.catalogue, tools.derived, tuple(STAGES), stage_row)
        record = promoted(tools, drawings)
        assert states(tools, CLIP) == {"done": len(SCENES)}
        assert states(tools, "tags") == {"stale": len(SCENES)}
        assert found(tools, SCENES["red-circle"].caption) == ("red-circle", record.name)
        roll_back(tools, "image_text")
        assert states(tools, CLIP) == states(tools, "tags") == {"done": len(SCENES)}


def test_a_space_of_sentences_is_built_and_promoted_by_the_same_code(
    tools: Toolbox, drawings: Drawings, tmp_path: Path
) -> None:
    again = sentence_model_again(tools.settings, tmp_path / "minilm-again")
    record = add_candidate(tools, str(again), "sentence")
    assert (record.stage, record.stem) == (
        "sentence_embeddings",
        f"sentence_embeddings@{record.name}",
    )
    build_space(tools, record, ids(tools), "run-2")
    weighed = compare(tools, record, ["a dog barks"], K)
    assert (weighed.wanted, weighed.covered, weighed.refusals) == (0, 0, ())
    promote(tools, record, weighed)
    assert tools.settings.sentence_model == str(again)


@pytest.mark.s3
def test_the_same_with_derived_files_on_s3(
    drawings: Drawings,
    bucket: Bucket,
    dam_home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shutil.rmtree(dam_home)
    monkeypatch.setenv("DAM_STORAGE_URL", f"s3://{bucket.name}/library")
    draw(tmp_path / "some", ["red-circle", "blue-square", "green-star"])
    with Toolbox.open(load_settings()) as tools:
        add(tools, tmp_path / "some")
        record = built(tools, drawings.good)
        promote(tools, record, compare(tools, record, (), K), force=True)
        run_stages(tools, ids(tools), ["tags"], "run-8")
    shutil.rmtree(dam_home / "derived")  # a cache, as another worker does not have it
    with Toolbox.open(load_settings()) as tools:
        tagged = tools.derived.outcome(ids(tools)[0], "tags")
        assert tagged is not None
        assert tagged.result["space"] == record.name
        remove_space(tools, named_space(tools, "tiny-clip"))
        assert not tools.derived.has(ids(tools)[0], f"{CLIP}.parquet")
        assert tools.derived.has_table(ids(tools)[0], CLIP)
