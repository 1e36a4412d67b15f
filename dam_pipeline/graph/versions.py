"""The graph's files: numbered versions, and a pointer that is swapped when one is whole.

    DAM_HOME/graph/graph-000007.duckdb     a whole graph, never written again
                   current                 the name of the one to read
                   .building-….duckdb      one that is being written, or was when its writer died

DuckDB lets nobody read a file that another process writes, and hands an open old database to whoever
asks for its path again; so no file ever takes the name of another.
"""

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dam_pipeline.errors import StoreUnavailable
from dam_pipeline.stores.derived import replaced

FOLDER = "graph"
POINTER = "current"
LOCK_FILE = ".lock"
VERSIONS_KEPT = 2  # the current one and the one that somebody may still be opening
_VERSION = re.compile(r"graph-(\d{6,})\.duckdb")
_BUILDING = ".building-"


def graph_path(home: Path) -> Path:
    """The current graph's file; raises StoreUnavailable when there is none yet."""
    path = current(home)
    if path is None:
        raise StoreUnavailable(
            f"There is no graph of the library under {home / FOLDER} yet. Run `dam ingest PATH`, or "
            "`dam rebuild` when its files were processed before."
        )
    return path


def current(home: Path) -> Path | None:
    """The current graph's file, or None when there is none yet."""
    pointer = home / FOLDER / POINTER
    try:
        path = pointer.parent / pointer.read_text().strip()
    except FileNotFoundError:
        return None
    return path if path.is_file() else None


@contextmanager
def new_version(home: Path) -> Iterator[Path]:
    """A path to write a graph to; it becomes the current one at the end, or vanishes on an error.

    One builder at a time: others wait. Older versions than the last two are deleted; who has one
    open keeps it.
    """
    folder = home / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / LOCK_FILE, "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _clear_unfinished(folder)
        building = folder / f"{_BUILDING}{os.getpid()}.duckdb"
        try:
            yield building
            _publish(folder, building)
        finally:
            _clear_unfinished(folder)


def version_number(path: Path) -> int:
    """The number of a graph's file."""
    found = _VERSION.fullmatch(path.name)
    return int(found[1]) if found else 0


def _publish(folder: Path, building: Path) -> None:
    versions = _versions(folder)
    number = max(versions, default=0) + 1
    final = folder / f"graph-{number:06d}.duckdb"
    _sync(building)
    os.replace(building, final)
    with replaced(folder / POINTER) as temporary:
        temporary.write_text(final.name + "\n")
        _sync(temporary)
    for old in sorted(versions)[: -(VERSIONS_KEPT - 1)]:
        versions[old].unlink(missing_ok=True)


def _versions(folder: Path) -> dict[int, Path]:
    found = ((_VERSION.fullmatch(path.name), path) for path in folder.iterdir())
    return {int(match[1]): path for match, path in found if match}


def _clear_unfinished(folder: Path) -> None:
    """Delete what a builder left; nobody else builds while the lock is held."""
    for path in folder.glob(f"{_BUILDING}*"):
        path.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
