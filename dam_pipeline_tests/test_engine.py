"""The engine: states, isolation of bad files, staleness, leases and what a kill leaves behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dam_pipeline.catalogue.discovery import discover
from dam_pipeline.records import StageRow, State
from dam_pipeline.settings import Settings
from dam_pipeline.stages import STAGES
from dam_pipeline.stages.engine import BatchReport, run_stages
from dam_pipeline.stages.freshness import due_stages, stage_versions, verdicts
from dam_pipeline.stages.work import Toolbox
from dam_pipeline_tests.clips import encode, shots

QUICK = ("probe", "checksum", "poster", "shots", "keyframes")


@pytest.fixture
def originals(tmp_path: Path) -> Path:
    folder = tmp_path / "originals"
    folder.mkdir()
    return folder


@pytest.fixture
def tools(settings: Settings) -> Iterator[Toolbox]:
    with Toolbox.open(settings) as opened:
        yield opened


def make_clip(path: Path, seconds: int, seed: int = 0) -> None:
    """A clip of one cut; another seed is another clip."""
    half = 12 * seconds + seed
    encode(path, shots([half, half]))


def ingest(
    tools: Toolbox, folder: Path, stages: tuple[str, ...] = QUICK, run_id: str = "run-1"
) -> BatchReport:
    discover([folder], tools.catalogue, tools.derived, tools.settings)
    ids = [media.media_id for media in tools.catalogue.all_media()]
    return run_stages(tools, ids, stages, run_id)


def states(tools: Toolbox, name: str) -> dict[str, State]:
    media = next(m for m in tools.catalogue.all_media() if m.first_name == name)
    rows = tools.catalogue.states.of([media.media_id])[media.media_id]
    seen = verdicts(media, rows, stage_versions(tools.settings), tools.catalogue.states.running())
    return {stage: verdict.state for stage, verdict in seen.items()}


def row(tools: Toolbox, name: str, stage: str) -> StageRow:
    media = next(m for m in tools.catalogue.all_media() if m.first_name == name)
    return tools.catalogue.states.of([media.media_id])[media.media_id][stage]


def test_a_bad_file_fails_alone_with_its_reason(tools: Toolbox, originals: Path) -> None:
    make_clip(originals / "good.mp4", seconds=1)
    (originals / "text.mp4").write_text("this is not a film")
    ingest(tools, originals)
    assert {states(tools, "good.mp4")[stage] for stage in QUICK} == {State.DONE}
    bad = states(tools, "text.mp4")
    assert bad["probe"] is State.FAILED
    assert bad["checksum"] is State.DONE
    assert bad["shots"] is State.NEVER
    assert "text.mp4" in row(tools, "text.mp4", "probe").reason


def test_running_again_does_nothing_that_is_done(tools: Toolbox, originals: Path) -> None:
    make_clip(originals / "good.mp4", seconds=1)
    ingest(tools, originals)
    before = {stage: row(tools, "good.mp4", stage).updated_at for stage in QUICK}
    report = ingest(tools, originals, run_id="run-2")
    assert all(one.fresh for one in report.finished)
    assert {stage: row(tools, "good.mp4", stage).updated_at for stage in QUICK} == before


def test_a_setting_makes_exactly_its_dependants_stale(tools: Toolbox, originals: Path) -> None:
    make_clip(originals / "good.mp4", seconds=1)
    ingest(tools, originals)
    changed = tools.settings.model_copy(update={"keyframe_gap_s": 2.0})
    media = tools.catalogue.all_media()[0]
    rows = tools.catalogue.states.of([media.media_id])[media.media_id]
    seen = verdicts(media, rows, stage_versions(changed), {})
    stale = {stage for stage, verdict in seen.items() if verdict.state is State.STALE}
    assert stale == {"keyframes"}
    assert seen["shots"].state is State.DONE


def test_a_dependant_whose_inputs_stayed_the_same_is_only_stamped(
    tools: Toolbox, originals: Path
) -> None:
    make_clip(originals / "good.mp4", seconds=1)
    ingest(tools, originals)
    made = row(tools, "good.mp4", "keyframes")
    changed = tools.settings.model_copy(update={"shot_threshold": 3.1})
    tools.settings = changed
    ingest(tools, originals, run_id="run-2")
    again = row(tools, "good.mp4", "keyframes")
    assert again.code_version != made.code_version
    assert again.run_id == made.run_id == "run-1"
    assert row(tools, "good.mp4", "shots").run_id == "run-2"


def test_missing_weights_block_without_an_attempt_and_resume(
    settings: Settings, originals: Path
) -> None:
    make_clip(originals / "good.mp4", seconds=1)
    without = settings.model_copy(update={"clip_model": str(originals / "nowhere")})
    stages = (*QUICK, "clip_embeddings")
    with Toolbox.open(without) as tools:
        ingest(tools, originals, stages)
        blocked = row(tools, "good.mp4", "clip_embeddings")
        assert blocked.state is State.BLOCKED
        assert blocked.attempts == 0
        assert "dam models" in blocked.reason
    with Toolbox.open(settings) as tools:
        media = tools.catalogue.all_media()[0]
        rows = tools.catalogue.states.of([media.media_id])[media.media_id]
        seen = verdicts(media, rows, stage_versions(settings), {})
        assert "clip_embeddings" in due_stages(rows, seen, settings.max_attempts)
        ingest(tools, originals, stages, run_id="run-2")
        assert states(tools, "good.mp4")["clip_embeddings"] is State.DONE


def test_a_file_that_vanishes_fails_retryably_and_heals(tools: Toolbox, originals: Path) -> None:
    clip = originals / "good.mp4"
    make_clip(clip, seconds=1)
    discover([originals], tools.catalogue, tools.derived, tools.settings)
    aside = clip.rename(originals.parent / "aside.mp4")
    ids = [media.media_id for media in tools.catalogue.all_media()]
    run_stages(tools, ids, QUICK, "run-1")
    gone = row(tools, "good.mp4", "probe")
    assert gone.state is State.FAILED
    assert gone.retryable
    assert "gone" in gone.reason
    aside.rename(clip)
    run_stages(tools, ids, QUICK, "run-2")
    assert states(tools, "good.mp4")["keyframes"] is State.DONE


def test_a_file_that_changed_since_it_was_found_is_not_recorded(
    tools: Toolbox, originals: Path
) -> None:
    clip = originals / "good.mp4"
    make_clip(clip, seconds=1)
    discover([originals], tools.catalogue, tools.derived, tools.settings)
    with clip.open("ab") as file:
        file.write(b"more")
    ids = [media.media_id for media in tools.catalogue.all_media()]
    run_stages(tools, ids, QUICK, "run-1")
    assert "changed" in row(tools, "good.mp4", "probe").reason


def test_two_runs_never_work_on_the_same_stage_of_a_file(tools: Toolbox, originals: Path) -> None:
    make_clip(originals / "good.mp4", seconds=1)
    discover([originals], tools.catalogue, tools.derived, tools.settings)
    media = tools.catalogue.all_media()[0]
    assert not tools.catalogue.states.claim(["probe"], [media.media_id], "other-run", 60)
    report = run_stages(tools, [media.media_id], QUICK, "run-1")
    waiting = {one.stage: one.waits for one in report.finished if one.row is None}
    assert waiting["probe"] == "is in run other-run"
    assert waiting["shots"] == "waits for probe"


def test_a_run_killed_in_the_middle_keeps_what_is_done_and_is_taken_over_at_once(
    settings: Settings, originals: Path
) -> None:
    for number in range(3):
        make_clip(originals / f"clip{number}.mp4", seconds=2, seed=number)
    child = subprocess.Popen(
        [sys.executable, "-c", _KILLED_RUN, str(settings.home), str(originals)],
        stdout=subprocess.PIPE,
        env={**os.environ, "DAM_PROFILE": "bundled"},
    )
    assert child.stdout is not None
    child.stdout.readline()  # the first stage of the first file is recorded
    child.send_signal(signal.SIGKILL)
    child.wait()
    with Toolbox.open(settings) as tools:
        recorded = tools.catalogue.states.of([m.media_id for m in tools.catalogue.all_media()])
        done_before = {(m, s) for m, rows in recorded.items() for s in rows}
        assert done_before
        began = time.monotonic()
        report = ingest(tools, originals, run_id="run-2")
        assert time.monotonic() - began < settings.lease_s
        again = {(one.media.media_id, one.stage) for one in report.finished if not one.fresh}
        assert not again & done_before
        assert all(one.row and one.row.state is State.DONE for one in report.finished)


_KILLED_RUN = """
import sys, time
from pathlib import Path
from dam_pipeline.catalogue.discovery import discover
from dam_pipeline.settings import load_settings
from dam_pipeline.stages.engine import BatchReport, run_stages
from dam_pipeline.stages.work import Toolbox
settings = load_settings(Path(sys.argv[1])).model_copy(update={"group_files": 1})
with Toolbox.open(settings) as tools:
    discover([Path(sys.argv[2])], tools.catalogue, tools.derived, settings)
    ids = [media.media_id for media in tools.catalogue.all_media()]
    def tell(finished):
        print(finished[0].stage, flush=True)
        time.sleep(0.5)
    run_stages(tools, ids, ("probe", "checksum", "poster", "shots", "keyframes"), "run-1", tell)
"""


def test_every_stage_names_inputs_that_come_before_it() -> None:
    seen: set[str] = set()
    for stage in STAGES.values():
        assert set(stage.inputs) | set(stage.enrichments) <= seen
        seen.add(stage.name)


def test_every_setting_a_stage_names_exists() -> None:
    for stage in STAGES.values():
        assert set(stage.settings) <= set(Settings.model_fields)
