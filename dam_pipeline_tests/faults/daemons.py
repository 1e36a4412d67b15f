"""The daemon, the webserver and the sensors: killed, doubled, and looking at a source that goes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dam_pipeline_tests.faults.ground import Ground, Outcome
from dam_pipeline_tests.faults.homes import Home
from dam_pipeline_tests.faults.originals import photograph
from dam_pipeline_tests.servers import free_port, is_open

DAM = Path(sys.executable).with_name("dam")
UP_WITHIN_S = 120
DONE_WITHIN_S = 400  # a killed run is noticed after a minute, and the machine may be busy
NEW_FILES = 3
SENSING = {"DAM_SENSOR_INTERVAL_S": "1"}


class Watched:
    """A home that watches a folder of its own, and its `dam ui`."""

    def __init__(self, ground: Ground) -> None:
        self.folder = ground.folder / f"watched-{time.monotonic_ns()}"
        self.folder.mkdir()
        self._ground = ground
        self._count = 0
        photograph(self.folder / "first.jpg", 999)
        self.home = Home(ground.warm, self.folder.with_suffix(".home"), self.folder, dict(SENSING))
        assert self.home.start("source", "add", str(self.folder)).wait() == 0

    def drop(self, count: int = NEW_FILES) -> None:
        """Put new files into the folder."""
        for _ in range(count):
            self._count += 1
            photograph(self.folder / f"new-{self._count}.jpg", self._count)

    def missing(self) -> list[str]:
        """What the library lacks: files whose last stage has not settled."""
        found = self.home.snapshot()
        settled = [
            key
            for key, stages in found.get("states", {}).items()
            if stages.get("search_index", [""])[0] in ("done", "empty")
        ]
        lacking = len(list(self.folder.iterdir())) - len(settled)
        return [f"{lacking} files are not through"] if lacking else []

    def wait_until_done(self) -> list[str]:
        """Wait until the sensors have brought all files through; what is lacking when they did not."""
        until = time.monotonic() + DONE_WITHIN_S
        while (lacking := self.missing()) and time.monotonic() < until:
            time.sleep(1)
        return lacking

    def compare(self) -> list[str]:
        """What is wrong after a normal run, compared with a library made at once of the same files."""
        fresh = Home(
            self._ground.warm, self.home.path.with_suffix(".fresh"), self.folder, dict(SENSING)
        )
        status = fresh.ingest().wait()
        reference = fresh.snapshot()
        self._ground.forget(fresh)
        self.home.note_originals()  # what was dropped since is original too
        wrong = [] if status == 0 else [f"the undisturbed run ended with {status}"]
        return [*wrong, *self.home.complete(reference)]


@contextmanager
def ui(home: Home) -> Iterator["subprocess.Popen[bytes]"]:
    """A `dam ui` that is up."""
    ports = [free_port(), free_port()]
    words = ["ui", "--port", str(ports[0]), "--preview-port", str(ports[1]), "--no-browser"]
    with open(home.path.with_suffix(".ui.log"), "ab") as log:
        process = subprocess.Popen(
            [DAM, *words, "--json"],
            env={**os.environ, **home.environment},
            stdout=subprocess.PIPE,
            stderr=log,
            start_new_session=True,
        )
    try:
        _until(lambda: is_open(ports[0]) or process.poll() is not None, UP_WITHIN_S)
        yield process
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(40)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        if process.stdout:
            process.stdout.close()


def killed_daemon(ground: Ground, times: int) -> Outcome:
    """The daemon, with its sensors, is killed while runs wait or are at work."""
    return _killed_child(ground, times, "daemon", "dagster._daemon")


def killed_webserver(ground: Ground, times: int) -> Outcome:
    """The webserver is killed while runs are at work."""
    return _killed_child(ground, times, "webserver", "dagster_webserver")


def _killed_child(ground: Ground, times: int, what: str, module: str) -> Outcome:
    outcome = Outcome(f"{what}, kill -9 in the middle of work")
    watched = Watched(ground)
    for _ in range(times):
        with ui(watched.home) as process:
            watched.drop()
            time.sleep(ground.chance.uniform(1.0, 12.0))
            for pid in _descendants(process.pid):
                if module in _command_line(pid):
                    os.kill(pid, signal.SIGKILL)
                    outcome.faults += 1
                    break
            else:
                outcome.wrong.append(f"there was no process of {module} to kill")
            time.sleep(ground.chance.uniform(0.5, 3.0))
        ground.tell(f"{outcome.what}: {outcome.faults} of {times}")
        with ui(watched.home):
            outcome.wrong += watched.wait_until_done()
    outcome.wrong += watched.compare()
    return outcome


def two_sensors(ground: Ground, times: int) -> Outcome:
    """Two daemons with the same sensors on one home."""
    outcome = Outcome("two sensors over the same folder at once")
    watched = Watched(ground)
    with ui(watched.home), ui(watched.home):
        for _ in range(times):
            watched.drop()
            outcome.add(watched.wait_until_done())
    outcome.wrong += watched.compare()
    return outcome


def source_goes_and_returns(ground: Ground, times: int) -> Outcome:
    """The watched folder disappears for a while, like a share that is not mounted."""
    outcome = Outcome("a source that disappears and returns")
    watched = Watched(ground)
    away = watched.folder.with_suffix(".away")
    with ui(watched.home):
        for _ in range(times):
            watched.drop()
            time.sleep(ground.chance.uniform(0.5, 6.0))
            watched.folder.rename(away)
            time.sleep(ground.chance.uniform(2.0, 5.0))
            away.rename(watched.folder)
            outcome.add(watched.wait_until_done())
    outcome.wrong += watched.compare()
    return outcome


def _until(is_so: Callable[[], bool], seconds: float) -> None:
    until = time.monotonic() + seconds
    while not is_so() and time.monotonic() < until:
        time.sleep(0.1)


def _descendants(pid: int) -> list[int]:
    found = subprocess.run(["pgrep", "-P", str(pid)], capture_output=True, text=True, check=False)
    children = [int(one) for one in found.stdout.split()]
    return [*children, *(below for child in children for below in _descendants(child))]


def _command_line(pid: int) -> str:
    with suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    return ""
