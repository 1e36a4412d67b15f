"""The graph's files: numbered versions, and a pointer that is swapped when one is whole.

    DAM_HOME/graph/graph-000007.duckdb     a whole graph, never written again
                   current                 the name of the one to read
                   .building-….duckdb      one that is being written, or was when its writer died

DuckDB lets nobody read a file that another process writes, and hands an open old database to whoever
asks for its path again; so no file ever takes the name of another.

Where workers share a storage, versions and pointer are objects there, and DAM_HOME/graph holds what
was fetched. The pointer is written after the version that it names; of two writers at once, which
the one-writer pool forbids, the last one's pointer holds, and both files are whole.
"""

import fcntl
import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dam_pipeline.errors import StoreUnavailable
from dam_pipeline.settings import Settings
from dam_pipeline.stores.derived import replaced
from dam_pipeline.stores.objects import Objects, open_objects

FOLDER = "graph"
POINTER = "current"
LOCK_FILE = ".lock"
VERSIONS_KEPT = 2  # the current one and the one that somebody may still be opening
STORED_FOR_S = 3600.0  # a version in the storage that is no longer current: somebody may fetch it
_VERSION = re.compile(r"graph-(\d{6,})(-[0-9a-f]+)?\.duckdb")
_BUILDING = ".building-"


def graph_path(settings: Settings) -> Path:
    """The current graph's file; raises StoreUnavailable when there is none yet."""
    path = current(settings)
    if path is None:
        where = settings.storage_url or settings.home / FOLDER
        raise StoreUnavailable(
            f"There is no graph of the library under {where} yet. Run `dam ingest PATH`, or "
            "`dam rebuild` when its files were processed before."
        )
    return path


def current(settings: Settings) -> Path | None:
    """The current graph's file, fetched if need be, or None when there is none yet.

    Raises StoreUnavailable while the storage is away.
    """
    folder = settings.home / FOLDER
    objects = open_objects(settings)
    name = _pointed_at(objects) if objects else _pointer(folder)
    if not name:
        return None
    path = folder / name
    if objects and not path.is_file():
        _fetch(objects, path)
    return path if path.is_file() else None


@contextmanager
def new_version(settings: Settings) -> Iterator[Path]:
    """A path to write a graph to; it becomes the current one at the end, or vanishes on an error.

    One builder of a home at a time: others wait. Older versions than the last two are deleted; who
    has one open keeps it. Raises StoreUnavailable while the storage is away.
    """
    folder = settings.home / FOLDER
    objects = open_objects(settings)
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / LOCK_FILE, "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _clear_unfinished(folder)
        before = _pointed_at(objects) if objects else ""
        building = folder / f"{_BUILDING}{os.getpid()}.duckdb"
        try:
            yield building
            _sync(building)
            if objects:
                _store(objects, folder, building, before)
            else:
                _publish(folder, building)
        finally:
            _clear_unfinished(folder)


def version_number(path: Path) -> int:
    """The number of a graph's file."""
    return _number(path.name)


def _publish(folder: Path, building: Path) -> None:
    number = max(map(version_number, _versions(folder)), default=0) + 1
    final = folder / f"graph-{number:06d}.duckdb"
    os.replace(building, final)
    with replaced(folder / POINTER) as temporary:
        temporary.write_text(final.name + "\n")
        _sync(temporary)
    _clear_old(folder, final)


def _store(objects: Objects, folder: Path, building: Path, before: str) -> None:
    """Make a graph the current one of all workers."""
    number = max(_number(before), *map(version_number, _versions(folder)), 0) + 1
    name = f"graph-{number:06d}-{secrets.token_hex(4)}.duckdb"  # nobody else's, whoever else builds
    objects.put_file(f"{FOLDER}/{name}", building)
    objects.put(f"{FOLDER}/{POINTER}", f"{name}\n".encode())
    os.replace(building, folder / name)
    _clear_old(folder, folder / name)
    kept = {name, _pointed_at(objects)}
    stored = ((one, one.name.removeprefix(f"{FOLDER}/")) for one in objects.list(f"{FOLDER}/"))
    objects.delete(
        one.name
        for one, version in stored
        if _VERSION.fullmatch(version)
        and version not in kept
        and time.time() - one.stored_s > STORED_FOR_S
    )


def _fetch(objects: Objects, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with replaced(path) as temporary:
            objects.fetch(f"{FOLDER}/{path.name}", temporary)
    except FileNotFoundError:
        return  # it is not stored any more
    _clear_old(path.parent, path)


def _pointer(folder: Path) -> str:
    try:
        return (folder / POINTER).read_text().strip()
    except FileNotFoundError:
        return ""


def _pointed_at(objects: Objects) -> str:
    found = objects.get(f"{FOLDER}/{POINTER}")
    name = found[0].decode(errors="replace").strip() if found else ""
    return name if _VERSION.fullmatch(name) else ""


def _versions(folder: Path) -> list[Path]:
    """All versions in a folder, the oldest first."""
    found = [path for path in folder.iterdir() if _VERSION.fullmatch(path.name)]
    return sorted(found, key=lambda path: (version_number(path), path.stat().st_mtime))


def _clear_old(folder: Path, present: Path) -> None:
    others = [path for path in _versions(folder) if path != present]
    for old in others[: 1 - VERSIONS_KEPT]:
        old.unlink(missing_ok=True)


def _number(name: str) -> int:
    found = _VERSION.fullmatch(name)
    return int(found[1]) if found else 0


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
