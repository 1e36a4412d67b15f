"""A process that has imported what is slow to import, and forks a child for each command.

It reads a JSON question a line and answers with a JSON line. It starts no thread, and imports nothing
that does (LanceDB), so that a fork of it is as good as a fresh process.
"""

import atexit
import ctypes
import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any


def main() -> None:
    """Answer until the questions end."""
    _import_what_is_slow()
    ended: dict[int, int] = {}
    for line in sys.stdin:
        question = json.loads(line)
        if "wait" in question:
            answer: Any = _status(question["wait"], ended)
        else:
            answer = _fork(question["words"], question["variables"], question["log"])
            ended.pop(answer, None)  # a number is given out again
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


CLONE_NEWNET = 0x40000000
SLOW = (
    *("av", "facenet_pytorch", "scenedetect", "torch", "transformers"),
    *("pyarrow.parquet", "sqlalchemy.dialects.sqlite", "transformers.models.clip.modeling_clip"),
    *("dagster", "dam_pipeline.cli.main", "dam_pipeline.stages.engine"),
)


def _import_what_is_slow() -> None:
    os.environ["DAM_HOME"] = "/dev/null/every-command-sets-its-own"
    for name in SLOW:
        import_module(name)


def _status(pid: int, ended: dict[int, int]) -> int | None:
    if pid not in ended:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            ended[pid] = os.waitstatus_to_exitcode(status)
    return ended.get(pid)


def _fork(words: Sequence[str], variables: Mapping[str, str], log: str) -> int:
    pid = os.fork()
    if pid:
        return pid
    # The commands read no settings of whoever started the harness.
    for name in [name for name in os.environ if name.startswith(("DAM_", "DAGSTER_"))]:
        del os.environ[name]
    os.environ.update(variables)
    os.setpgid(0, 0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    said = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for source, target in ((nothing, 0), (said, 1), (said, 2)):
        os.dup2(source, target)
    _run(words)


def _run(words: Sequence[str]) -> None:
    status = 1
    try:
        _command(words)()
        status = 0
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        atexit._run_exitfuncs()
        os._exit(status)


def _poisoned(name: str) -> None:
    """From now on, reading a file of this name kills the process."""

    def listen(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open" and arguments[1] == "r" and name in str(arguments[0]):
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(listen)


def _command(words: Sequence[str]) -> Callable[[], None]:
    if name := os.environ.get("TEST_POISON"):
        _poisoned(name)
    if words[0] == "unshare-net":
        if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "no network namespace")
        words = words[1:]
    if words[0] == "snapshot":
        from dam_pipeline_tests.faults.snapshot import write_snapshot

        return lambda: write_snapshot(words[1])
    from dam_pipeline.cli.main import app

    return lambda: app(list(words))


if __name__ == "__main__":
    main()
