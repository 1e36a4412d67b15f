"""Disks that fill: the one of the home, and the one of scratch; both small, in memory.

Run as a module it is the inside of a namespace of its own, in which it may mount.
"""

import contextlib
import json
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

from dam_pipeline_tests.faults.ground import Ground, NotPossible, Outcome
from dam_pipeline_tests.faults.homes import Home, Warm
from dam_pipeline_tests.faults.originals import make_originals

HOME_MB = 420
"""Of the home's disk; what is kept free of it lets databases say that it is full."""

SCRATCH_MB = 1
NAMESPACE = ("unshare", "-Urm")


def full_home(ground: Ground, times: int) -> Outcome:
    """The disk of the home fills at a random moment, and has room again."""
    return _in_namespace(ground, times, "disk of the home full in the middle of work", "home")


def full_scratch(ground: Ground, times: int) -> Outcome:
    """The disk of scratch fills at a random moment, and has room again."""
    return _in_namespace(ground, times, "disk of scratch full in the middle of work", "scratch")


def _in_namespace(ground: Ground, times: int, what: str, which: str) -> Outcome:
    if subprocess.run([*NAMESPACE, "true"], capture_output=True, check=False).returncode:
        raise NotPossible("this machine lets nobody mount in a namespace of their own")
    outcome = Outcome(what)
    folder = ground.folder / f"disk-{which}"
    folder.mkdir()
    seed = str(ground.chance.randrange(1 << 30))
    inside = [sys.executable, "-m", __name__, str(folder), which, str(times), seed]
    done = subprocess.run([*NAMESPACE, *inside], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the inside ended with {done.returncode}: {done.stderr[-2000:]}")
    for wrong in json.loads(done.stdout):
        outcome.add(wrong)
    return outcome


def _inside(folder: Path, which: str, times: int, chance: random.Random) -> list[list[str]]:
    """What was wrong after each of the times."""
    found = []
    originals = make_originals(folder / "originals")
    with Warm() as warm:
        began = time.monotonic()
        undisturbed = Home(warm, folder / "undisturbed", originals)
        undisturbed.ingest().wait()
        seconds = time.monotonic() - began
        reference = undisturbed.snapshot()
        for number in range(times):
            home = Home(warm, folder / f"home-{number}", originals)
            full = home.path if which == "home" else home.path / "scratch"
            full.mkdir(exist_ok=True)
            size = HOME_MB if which == "home" else SCRATCH_MB
            _sh("mount", "-t", "tmpfs", "-o", f"size={size}m", "tmpfs", str(full))
            found.append(_filled(home, full, reference, chance.uniform(0.2, seconds)))
            _sh("umount", "--lazy", str(full))
    return found


def _filled(home: Home, full: Path, reference: dict, after_s: float) -> list[str]:
    wrong = []
    ballast = full / "ballast"
    command = home.ingest()
    filler = threading.Timer(after_s, _fill, [ballast])
    filler.start()
    status = command.wait()
    filler.join()
    if status not in (0, 1, 3):
        wrong.append(f"the disturbed run ended with {status}")
    ballast.unlink()
    return [*wrong, *home.complete(reference)]


def _fill(path: Path) -> None:
    with open(path, "wb") as file, contextlib.suppress(OSError):
        while True:
            file.write(b"\0" * (1 << 16))
            file.flush()


def _sh(*words: str) -> None:
    subprocess.run(words, check=True)


if __name__ == "__main__":
    where, name, count, number = sys.argv[1:]
    print(json.dumps(_inside(Path(where), name, int(count), random.Random(int(number)))))
