"""Servers of our own for tests, from the scripts in `.ci`."""

import os
import signal
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).resolve().parents[1] / ".ci"
REQUIRED = "DAM_TEST_REQUIRE_SERVERS"
"""Variable with the names of the servers that must be there: a test may not be skipped for them."""

NONE = "no server of"
GONE_WITHIN_S = 20.0  # until its parent has taken note: a server does not start beside a zombie


@contextmanager
def running_server(name: str) -> Iterator[list[str]]:
    """What the server's script prints: its folder, then what a client needs; it runs meanwhile.

    Where none can be had, tests that need it are skipped, or fail when it is required.
    """
    require(name)
    script = SCRIPTS / f"{name}.sh"
    started = subprocess.run([script, "start"], check=True, capture_output=True, text=True)
    facts = started.stdout.split()
    try:
        yield facts
    finally:
        subprocess.run([script, "stop", facts[0]], check=True)


def require(name: str) -> None:
    """Skip the test where the server cannot be had, or fail it when that is required."""
    found = subprocess.run(
        [SCRIPTS / f"{name}.sh", "cached"], capture_output=True, text=True, check=False
    )
    if found.returncode:
        give_up = pytest.fail if name in os.environ.get(REQUIRED, "").split() else pytest.skip
        give_up(f"{NONE} {name}: {found.stderr.strip()}")


def kill_server(folder: Path) -> None:
    """End a server at once, as when its machine loses power: all its processes die."""
    pid = int((folder / "pid").read_text().split()[0])
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    for one in (pid, *map(int, children)):
        with suppress(ProcessLookupError):  # a child that ended when its parent did
            os.kill(one, signal.SIGKILL)
    until_s = time.monotonic() + GONE_WITHIN_S
    while Path(f"/proc/{pid}").exists() and time.monotonic() < until_s:
        time.sleep(0.05)


def free_port() -> int:
    """A loopback port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def is_open(port: int) -> bool:
    """Whether somebody listens on a loopback port."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def missing_servers(reports: list[pytest.TestReport]) -> list[str]:
    """A line for each server that was missing: how many tests were skipped for it, and why."""
    reasons = Counter(
        report.longrepr[2].removeprefix("Skipped: ")
        for report in reports
        if isinstance(report.longrepr, tuple) and NONE in report.longrepr[2]
    )
    return [f"{count} tests, {reason}" for reason, count in sorted(reasons.items())]
