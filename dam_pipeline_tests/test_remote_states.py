"""States from what a webserver tells: pure readings, no server."""

import time
from dataclasses import replace

import pytest

from dam_pipeline.records import State
from dam_pipeline.remote.server import RemoteRun, Said
from dam_pipeline.remote.states import Reasons, RemoteState, failures_in, worst

WORDS = """\
reel-4e2c31fc03cc at probe: reel.mp4 is empty (0 bytes). Copy it again: from its source, or remove it.
memo-b680d8920660 at transcript: the sound ends at 3.2 s
which is no line of its own"""


def run(status: str, **tags: str) -> RemoteRun:
    named = {f"dagster/{name}": value for name, value in tags.items()}
    return RemoteRun("7a6f", "ingest", status, named, 0)


def test_each_failed_file_is_read_with_its_stage_and_reason() -> None:
    assert list(failures_in(WORDS)) == [
        (
            "reel-4e2c31fc03cc",
            "probe",
            "reel.mp4 is empty (0 bytes). Copy it again: from its source, or remove it.",
        ),
        ("memo-b680d8920660", "transcript", "the sound ends at 3.2 s"),
    ]


def test_a_crash_names_no_file() -> None:
    assert list(failures_in("The process of this run was killed.")) == []


def test_what_a_stage_waits_for_is_read_from_the_warnings_of_a_run() -> None:
    reasons = Reasons()
    reasons.take(
        Said(warnings=("clip_embeddings waits on 3 files: no weights.\nFetch them.", "other words"))
    )
    assert reasons.blocked == {"clip_embeddings": "no weights.\nFetch them."}


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ((State.DONE, State.NEVER, State.FAILED), State.FAILED),
        ((State.DONE, State.NEVER, State.BLOCKED), State.BLOCKED),
        ((State.DONE, State.NEVER), State.NEVER),
        ((State.DONE, State.DONE), State.DONE),
    ],
)
def test_a_file_is_as_bad_as_its_worst_stage(states: tuple[State, ...], expected: State) -> None:
    assert worst({str(n): RemoteState(state) for n, state in enumerate(states)}) is expected


def test_a_failed_run_has_ended_once_the_retry_it_announced_is_there() -> None:
    assert run("FAILURE").has_ended
    assert not run("FAILURE", will_retry="true").has_ended
    assert run("FAILURE", will_retry="true", auto_retry_run_id="8b70").has_ended
    announced = {"dagster/will_retry": "true"}
    passed_over = RemoteRun("7a6f", "ingest", "FAILURE", announced, 0, time.time() - 600)
    assert passed_over.has_ended
    assert not replace(passed_over, changed_s=time.time()).has_ended
    assert not run("STARTED").has_ended
    assert run("QUEUED").waits
