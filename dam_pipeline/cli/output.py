"""How commands speak: JSON alone on standard output, words and bars on standard error."""

import errno
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from enum import IntEnum
from functools import wraps
from typing import ParamSpec

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table

from dam_pipeline.errors import ConfigurationError, DamError
from dam_pipeline.records import Json

P = ParamSpec("P")

UNFOLDED = 10_000  # columns

OUT = Console(soft_wrap=True, highlight=False, width=None if sys.stdout.isatty() else UNFOLDED)
ERR = Console(stderr=True, soft_wrap=True, highlight=False)

STATE_STYLES = {
    "done": "green",
    "empty": "dim",
    "failed": "red",
    "blocked": "yellow",
    "stale": "yellow",
    "running": "cyan",
    "never": "dim",
    "removed": "dim",
}


class Exit(IntEnum):
    """Exit codes of `dam`."""

    OK = 0
    ERROR = 1
    USAGE = 2
    SOME_FAILED = 3
    INTERRUPTED = 130


def print_json(document: Json) -> None:
    """Write one JSON document to standard output."""
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=True) + "\n")


def say(text: str) -> None:
    """Tell a person something, on standard error; markup is not interpreted."""
    ERR.print(text, markup=False)


def table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table to standard output; states are coloured on a terminal.

    The first column is what a person copies, and never folded; in a file or a pipe nothing is.
    """
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        grid.add_column(heading, overflow="fold", no_wrap=heading == headings[0])
    for row in rows:
        grid.add_row(*(_styled(cell) for cell in row))
    OUT.print(grid)


@contextmanager
def bar(text: str, total: int | None) -> Iterator[Callable[[int, str], None]]:
    """A progress bar on standard error; the function it gives sets how far it is, and a note.

    Nothing is drawn when standard error is not a terminal.
    """
    with total_bar(text) as tell:
        tell(0, total, "")
        yield lambda completed, note: tell(completed, total, note)


@contextmanager
def total_bar(text: str) -> Iterator[Callable[[int, int | None, str], None]]:
    """The same where it turns out later how many there are: the function sets that as well."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    with Progress(*columns, console=ERR, transient=True, disable=not ERR.is_terminal) as progress:
        task = progress.add_task(text, total=None, note="")
        yield lambda done, total, note: progress.update(
            task, completed=done, total=total, note=note
        )


@contextmanager
def transfer_bar(text: str) -> Iterator[Callable[[int, int, str], None]]:
    """A bar by bytes on standard error; the function sets how many of how many there are, and a note.

    Nothing is drawn when standard error is not a terminal.
    """
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", markup=False),
    )
    with Progress(*columns, console=ERR, transient=True, disable=not ERR.is_terminal) as progress:
        task = progress.add_task(text, total=None, note="")
        yield lambda done, total, note: progress.update(
            task, completed=done, total=total, note=note
        )


def command(function: Callable[P, int | None]) -> Callable[P, None]:
    """Wrap a command: its integer is the exit code, our errors are told without a traceback."""

    @wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            code = function(*args, **kwargs) or Exit.OK
        except ConfigurationError as error:
            say(f"dam: {error}")
            code = Exit.USAGE
        except DamError as error:
            say(f"dam: {error}")
            code = Exit.ERROR
        except OSError as error:
            if error.errno == errno.EPIPE:
                raise  # whoever read our output has gone: typer ends quietly
            say(f"dam: {error}. `dam doctor` looks at the home, its disk and its permissions.")
            code = Exit.ERROR
        except KeyboardInterrupt:
            say("dam: stopped. What was finished is kept; run the same command to go on.")
            code = Exit.INTERRUPTED
        sys.exit(int(code))

    return run


def _styled(cell: str) -> str:
    escaped = cell.replace("[", r"\[")
    style = STATE_STYLES.get(cell.split()[0] if cell else "")
    return f"[{style}]{escaped}[/{style}]" if style else escaped
