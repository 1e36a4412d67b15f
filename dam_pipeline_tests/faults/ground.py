"""What scenarios share: the folder they work in, chance, servers, and what undisturbed work makes."""

import random
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dam_pipeline_tests.faults.homes import Home, Warm, tail
from dam_pipeline_tests.servers import NONE, SCRIPTS, kill_server


class NotPossible(Exception):
    """This machine lacks what a scenario needs; the message says what."""


@dataclass
class Outcome:
    """What came of a scenario: how often trouble was caused, and what was wrong afterwards."""

    what: str
    faults: int = 0
    wrong: list[str] = field(default_factory=list)
    note: str = ""
    seconds: float = 0.0

    def add(self, wrong: list[str]) -> None:
        """One more disturbance, and what was wrong after it."""
        self.faults += 1
        self.wrong += [f"{self.faults}: {one}" for one in wrong]


@dataclass
class Server:
    """A server of our own that can be killed and started again on its data."""

    name: str
    folder: Path
    facts: list[str]

    def kill(self) -> None:
        """End it with SIGKILL, all its processes."""
        kill_server(self.folder)

    def start_again(self) -> None:
        """Start it on what it held."""
        assert _script(self.name, "start", self.folder)[1:] == self.facts


@dataclass
class Ground:
    """The place of one run of the harness."""

    warm: Warm
    folder: Path
    originals: Path
    chance: random.Random
    tell: Callable[[str], None]
    _references: dict[str, tuple[dict[str, Any], float]] = field(default_factory=dict)
    _homes: int = 0

    def home(self, variables: Mapping[str, str] | None = None, place: str = "") -> Home:
        """A home that was never used."""
        self._homes += 1
        path = self.folder / f"home-{self._homes}"
        return Home(self.warm, path, self.originals, dict(variables or {}), place)

    def undisturbed(self, kind: str, home: Home) -> tuple[dict[str, Any], float]:
        """What undisturbed work makes in a home of this kind, and the seconds that it takes.

        The home given is used the first time that its kind is asked for.
        """
        if kind not in self._references:
            began = time.monotonic()
            command = home.ingest()
            status = command.wait()
            if status != 0:
                raise RuntimeError(f"undisturbed work ended with {status}: {tail(command.log)}")
            seconds = time.monotonic() - began
            found = home.snapshot()
            if found["untrue"]:
                raise RuntimeError(f"undisturbed work is untrue: {found['untrue'][:2]}")
            self._references[kind] = (found, seconds)
            self.forget(home)
        return self._references[kind]

    def forget(self, home: Home) -> None:
        """Delete a home that is looked at no more."""
        shutil.rmtree(home.path, ignore_errors=True)

    @contextmanager
    def servers(self, *names: str) -> Iterator[dict[str, Server]]:
        """Servers of our own; raises NotPossible where one cannot be had."""
        running: dict[str, Server] = {}
        try:
            for name in names:
                _check_cached(name)
                folder, *facts = _script(name, "start")
                running[name] = Server(name, Path(folder), facts)
            yield running
        finally:
            for server in running.values():
                _script(server.name, "stop", server.folder)


def _script(name: str, *words: str | Path) -> list[str]:
    done = subprocess.run(
        [SCRIPTS / f"{name}.sh", *words], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{name}.sh {words[0]}: {done.stderr.strip()}")
    return done.stdout.split()


def _check_cached(name: str) -> None:
    found = subprocess.run(
        [SCRIPTS / f"{name}.sh", "cached"], capture_output=True, text=True, check=False
    )
    if found.returncode:
        raise NotPossible(f"{NONE} {name}: {found.stderr.strip()}")
