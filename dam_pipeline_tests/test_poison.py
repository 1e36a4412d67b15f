"""Files that kill the whole process that works on them: parked after some deaths, and named."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dam_pipeline.catalogue.deaths import apart
from dam_pipeline.catalogue.discovery import discover
from dam_pipeline.records import Filters, StageRow, State
from dam_pipeline.settings import Settings
from dam_pipeline.stages.choosing import asked_for, choose, prepare_again
from dam_pipeline.stages.engine import run_stages
from dam_pipeline.stages.work import Toolbox
from dam_pipeline_tests.clips import encode, shots
from dam_pipeline_tests.test_engine import row

QUICK = ("checksum", "probe", "shots", "keyframes", "clip_embeddings")

# Before anything else in the child: whoever opens a file of this name to read it is killed.
POISON = """
import os, signal, sys
bad = os.environ["TEST_POISON"]
def listen(event, arguments):
    if event == "open" and arguments[1] == "r" and bad in str(arguments[0]):
        os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(listen)
"""

# A real run of Dagster over all that is there.
DAGSTER_RUN = """
import sys
from pathlib import Path
from dam_pipeline.catalogue.discovery import discover
from dam_pipeline.dagster_home import open_instance
from dam_pipeline.launch import end_lost_runs, quiet_dagster, run_media
from dam_pipeline.settings import load_settings
from dam_pipeline.stages.work import Toolbox
quiet_dagster()
settings = load_settings()
with Toolbox.open(settings) as tools:
    discover([Path(sys.argv[1])], tools.catalogue, tools.derived, settings)
    media = {one.partition_key: one for one in tools.catalogue.all_media()}
with open_instance(settings) as instance:
    end_lost_runs(instance)
    list(run_media(settings, instance, media, sys.argv[2:]))
"""

# The same without Dagster, whose import takes seconds.
PLAIN_RUN = """
import sys, uuid
from pathlib import Path
from dam_pipeline.catalogue.discovery import discover
from dam_pipeline.settings import load_settings
from dam_pipeline.stages.engine import run_stages
from dam_pipeline.stages.work import Toolbox
settings = load_settings()
with Toolbox.open(settings) as tools:
    discover([Path(sys.argv[1])], tools.catalogue, tools.derived, settings)
    ids = [one.media_id for one in tools.catalogue.all_media()]
    run_stages(tools, ids, sys.argv[2:], str(uuid.uuid4()))
"""


class Desk:
    """Originals, a home, and runs in processes of their own."""

    def __init__(self, settings: Settings, folder: Path, poison: Path) -> None:
        self.settings, self.folder, self._poison = settings, folder, poison

    def run(self, bad: str, stages: tuple[str, ...], script: str = PLAIN_RUN) -> int:
        """One run in a process that dies when it reads what is called so; its exit code."""
        done = subprocess.run(
            [sys.executable, "-c", script, str(self.folder), *stages],
            env={**os.environ, "PYTHONPATH": str(self._poison), "TEST_POISON": bad},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode in (0, -signal.SIGKILL), done.stderr
        return done.returncode

    def row(self, name: str, stage: str) -> StageRow:
        with Toolbox.open(self.settings) as tools:
            return row(tools, name, stage)


@pytest.fixture
def desk(settings: Settings, tmp_path: Path) -> Iterator[Desk]:
    folder, poison = tmp_path / "originals", tmp_path / "poison"
    folder.mkdir()
    poison.mkdir()
    (poison / "sitecustomize.py").write_text(POISON)
    for number, name in enumerate(("a.mp4", "killer.mp4", "z.mp4")):
        encode(folder / name, shots([12 + number, 12]))
    yield Desk(settings, folder, poison)


def test_a_file_that_kills_three_workers_is_parked_and_the_others_are_done(desk: Desk) -> None:
    quick = ("checksum", "probe")
    codes = [desk.run("killer.mp4", quick, DAGSTER_RUN) for _ in range(4)]
    assert codes == [*[-signal.SIGKILL] * 3, 0]
    parked = desk.row("killer.mp4", "checksum")
    assert (parked.state, parked.retryable) == (State.FAILED, False)
    assert parked.reason.startswith("parked: 3 worker processes died")
    assert "`dam retry killer-" in parked.reason
    assert desk.row("killer.mp4", "probe").state is State.DONE
    for name in ("a.mp4", "z.mp4"):
        assert {desk.row(name, stage).state for stage in quick} == {State.DONE}


@pytest.mark.weights
def test_of_a_batch_that_died_together_only_the_culprit_is_parked(desk: Desk) -> None:
    with Toolbox.open(desk.settings) as tools:
        discover([desk.folder], tools.catalogue, tools.derived, tools.settings)
        (bad,) = [m for m in tools.catalogue.all_media() if m.first_name == "killer.mp4"]
    codes = []
    while not codes or codes[-1]:
        codes.append(desk.run(f"{bad.media_id}/keyframes-", QUICK))
        assert len(codes) < 6
    assert codes == [-signal.SIGKILL] * 3 + [0]
    assert desk.row("killer.mp4", "clip_embeddings").reason.startswith("parked: ")
    for name in ("a.mp4", "z.mp4"):
        assert {desk.row(name, stage).state for stage in QUICK} == {State.DONE}
    with Toolbox.open(desk.settings) as tools:
        ids = [m.media_id for m in tools.catalogue.all_media()]
        assert tools.catalogue.deaths.of(ids) == {(bad.media_id, "clip_embeddings"): 3}


def test_a_parked_file_is_tried_again_when_a_person_asks(desk: Desk) -> None:
    for _ in range(4):
        desk.run("killer.mp4", ("checksum",))
    with Toolbox.open(desk.settings) as tools:
        ids = [m.media_id for m in tools.catalogue.all_media()]
        run_stages(tools, ids, ("checksum",), "again")
        assert row(tools, "killer.mp4", "checksum").reason.startswith("parked: ")
        choice = asked_for(["killer"], Filters(), [], failed=True, stale=False, everything=False)
        prepare_again(tools, choice, choose(tools, choice))
        run_stages(tools, ids, ("checksum",), "asked")
        assert row(tools, "killer.mp4", "checksum").state is State.DONE


def test_suspects_come_last_and_alone_and_parked_ones_hinder_nobody() -> None:
    deaths = {("b", "shots"): 2, ("d", "shots"): 1, ("c", "shots"): 3}
    assert apart(["a", "b", "c", "d"], deaths, max_deaths=3) == [["a", "c"], ["d"], ["b"]]
    assert apart([], {}, max_deaths=3) == []


def test_a_worker_that_ends_well_leaves_no_note(settings: Settings, tmp_path: Path) -> None:
    encode(tmp_path / "a.mp4", shots([12, 12]))
    with Toolbox.open(settings) as tools:
        discover([tmp_path / "a.mp4"], tools.catalogue, tools.derived, settings)
        ids = [m.media_id for m in tools.catalogue.all_media()]
        run_stages(tools, ids, ("checksum",), "run-1")
        assert tools.catalogue.deaths.count() == 0
        assert tools.catalogue.deaths.of(ids) == {}
