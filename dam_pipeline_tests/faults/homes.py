"""A home whose commands can be killed, and what is wrong with it compared with an undisturbed one.

Commands run in children of one warm process, which has imported what takes seconds to import: a fresh
process for each of hundreds of runs would be most of the time. They are processes of their own all the
same, with their own memory, files and death.
"""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from dam_pipeline_tests.faults.originals import sums

ENDS_WITHIN_S = 300
QUICK = {
    "DAM_PROFILE": "bundled",
    "DAM_TORCH_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "DAM_SETTLE_S": "0",
    "DAM_SPEECH": "false",
    "DAM_FACES": "false",
    "DAM_GROUP_FILES": "3",
    # Vectors are the same to the last bit only where batches are: after a kill they are others.
    "DAM_CLIP_BATCH": "1",
    "DAM_LOST_AFTER_S": "6",
    # Here files are killed at random: no file is to blame, and none is to be parked.
    "DAM_MAX_ATTEMPTS": "1000",
    "HF_HUB_OFFLINE": "1",
}


class Warm:
    """The warm process; `with Warm() as warm` ends it and all that it started."""

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "dam_pipeline_tests.faults.warm"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        return self

    def __exit__(self, *_error: object) -> None:
        self._process.communicate(timeout=60)

    def start(self, words: Sequence[str], variables: Mapping[str, str], log: Path) -> int:
        """Start a command with these variables; returns the id of its process."""
        return int(self._ask({"words": list(words), "variables": dict(variables), "log": str(log)}))

    def ended(self, pid: int) -> int | None:
        """The exit status of a command (negative: its signal), or None while it runs."""
        answer = self._ask({"wait": pid})
        return None if answer is None else int(answer)

    def _ask(self, question: Mapping[str, Any]) -> Any:
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps(question) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


@dataclass
class Command:
    """A command at work."""

    warm: Warm
    pid: int
    log: Path

    def wait(self, seconds: float = ENDS_WITHIN_S) -> int | None:
        """Its exit status, or None when it still runs after some seconds."""
        until = time.monotonic() + seconds
        while (status := self.warm.ended(self.pid)) is None and time.monotonic() < until:
            time.sleep(0.02)
        return status

    def kill(self) -> int:
        """End it with SIGKILL, unless it has ended; returns its exit status."""
        if (status := self.warm.ended(self.pid)) is not None:
            return status
        os.kill(self.pid, signal.SIGKILL)
        found = self.wait()
        assert found is not None
        return found


@dataclass
class Home:
    """A library under disturbance; `variables` are the settings beside `QUICK`."""

    warm: Warm
    path: Path
    originals: Path
    variables: Mapping[str, str] = field(default_factory=dict)
    place: str = ""
    """What is ingested; the folder of originals unless it is said."""

    def __post_init__(self) -> None:
        self.path.mkdir(parents=True, exist_ok=True)
        self.note_originals()

    def note_originals(self) -> None:
        """Remember the originals as they are now."""
        self._sums = sums(self.originals)

    @property
    def environment(self) -> dict[str, str]:
        """The variables of its commands."""
        models = {"DAM_MODELS_DIR": str(self.path.parent / "models")}
        return {**QUICK, **models, **self.variables, "DAM_HOME": str(self.path)}

    def ingest(self) -> Command:
        """Start `dam ingest` on the originals."""
        return self.start("ingest", self.place or str(self.originals))

    def start(self, *words: str) -> Command:
        """Start a command of `dam`."""
        log = self.path.parent / f"{self.path.name}.log"
        return Command(self.warm, self.warm.start(words, self.environment, log), log)

    def snapshot(self) -> dict[str, Any]:
        """What the library is now."""
        answer = self.path.parent / f"{self.path.name}.json"
        command = self.start("snapshot", str(answer))
        status = command.wait()
        if status != 0:
            return {"untrue": [f"the snapshot ended with {status}: {tail(command.log)}"]}
        found: dict[str, Any] = json.loads(answer.read_text())
        return found

    def complete(self, reference: Mapping[str, Any]) -> list[str]:
        """Run normally once; what is then wrong, compared with an undisturbed library."""
        command = self.ingest()
        status = command.wait()
        wrong = [] if status == 0 else [f"a normal run ended with {status}: {tail(command.log)}"]
        return [*wrong, *differences(self.snapshot(), reference), *self.touched()]

    def touched(self) -> list[str]:
        """Originals that are not what they were."""
        now = sums(self.originals)
        names = set(now) | set(self._sums)
        return [f"original {x} was touched" for x in names if now.get(x) != self._sums.get(x)]


def differences(found: Mapping[str, Any], reference: Mapping[str, Any]) -> list[str]:
    """In words, where a library is not what an undisturbed one is."""
    wrong = list(found.get("untrue", ()))
    for part in ("states", "index", "graph", "partitions", "materialized", "leases"):
        if found.get(part) != reference.get(part):
            wrong.append(f"{part}: {_first_difference(found.get(part), reference.get(part))}")
    return wrong


def _first_difference(found: Any, wanted: Any) -> str:
    if isinstance(found, dict) and isinstance(wanted, dict):
        for key in sorted({*found, *wanted}, key=str):
            if found.get(key) != wanted.get(key):
                return f"{key}: {_first_difference(found.get(key), wanted.get(key))}"
    if isinstance(found, list) and isinstance(wanted, list):
        odd = [one for one in found if one not in wanted], [x for x in wanted if x not in found]
        return f"too much {odd[0][:3]}, missing {odd[1][:3]}"
    return f"{found} instead of {wanted}"


def tail(log: Path, characters: int = 400) -> str:
    """The end of what a command said."""
    text = log.read_text(errors="replace") if log.exists() else ""
    return " ".join(text.split())[-characters:]
