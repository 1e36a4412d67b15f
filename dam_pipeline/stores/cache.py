"""Files of shared objects on this machine's disk: fetched when asked for, thrown out when too many.

A file here carries the mark of its object as its time of change, so it is told at once whether it
is still the one that is stored, by whatever process, and nothing has to be written down. Objects
lie in folders, one a media; a folder is thrown out as a whole, the longest unused first.
"""

import hashlib
import os
import shutil
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from dam_pipeline.stores.derived import move_file, raise_if_full, replaced
from dam_pipeline.stores.objects import Objects, Stored

THREADS = 16  # that ask the store at once
SEEN_FOR_S = 30.0  # so long a folder's list is believed, unless somebody asks to look again
BROUGHT_AT_ONCE = 500  # folders
LISTS_KEPT = 4096  # folders whose lists are remembered
IN_USE_S = 600.0  # a folder that was used since is not thrown out
NOTE_USE_EVERY_S = 60.0
LOOK_AFTER_SHARE = 20  # the disk is looked at after this part of the limit came in

Names = Mapping[str, Stored]
_T = TypeVar("_T")
_R = TypeVar("_R")


class Cache:
    """The objects of folders below `folder`, as files below `root`; several processes may share it.

    `limit_bytes` is what the files may take together.
    """

    def __init__(self, objects: Objects, folder: str, root: Path, limit_bytes: int) -> None:
        self._objects = objects
        self._folder = folder
        self._root = root
        self._limit_bytes = limit_bytes
        self._lists: OrderedDict[str, tuple[float, dict[str, Stored]]] = OrderedDict()
        self._used: dict[str, float] = {}
        self._lock = threading.Lock()
        self._come_bytes = limit_bytes  # so the first look at the disk comes at once

    def path(self, folder: str, name: str) -> Path:
        """The file of an object, brought here unless it is; it is not there when nothing is stored.

        Raises StoreUnavailable, DiskFull.
        """
        self._note_use(folder)
        path = self._root / folder / name
        stored = self.names(folder).get(name)
        if stored is None:
            return missing(path)  # a file of an older day may lie at the path itself
        if not is_current(path, stored):
            self._bring(folder, name, path)
        return path

    def names(self, folder: str) -> Names:
        """What is stored in a folder, by name below it."""
        with self._lock:
            seen, names = self._lists.get(folder, (-SEEN_FOR_S, {}))
            if time.monotonic() - seen < SEEN_FOR_S:
                return dict(names)
        return self._listed(folder)

    def bring(self, folders: Iterable[str], is_wanted: Callable[[str], bool]) -> None:
        """Bring what is wanted of these folders, several objects at a time."""
        due = list(dict.fromkeys(folders))
        for at in range(0, len(due), BROUGHT_AT_ONCE):
            some = due[at : at + BROUGHT_AT_ONCE]
            lists = self.in_parallel(self.names, some)
            wanted = [
                (folder, name)
                for folder, names in zip(some, lists, strict=True)
                for name in list(names)
                if is_wanted(name)
            ]
            self.in_parallel(lambda one: self.path(*one), wanted)
            self.make_room()

    def in_parallel(self, do: Callable[[_T], _R], items: Iterable[_T]) -> list[_R]:
        """The answers to all items in their order; raises an error once nothing is under way."""
        futures = [self._threads.submit(do, item) for item in items]
        _, left = wait(futures, return_when=FIRST_EXCEPTION)
        for one in left:
            one.cancel()
        wait(futures)
        for one in futures:
            if not one.cancelled() and (error := one.exception()) is not None:
                raise error
        return [one.result() for one in futures]

    def take(self, folder: str, name: str, path: Path, stored: Stored) -> None:
        """Keep a file that was stored just now."""
        place = self._root / folder / name
        set_mark(path, stored)
        move_file(path, place)
        with self._lock:
            if folder in self._lists:
                self._lists[folder][1][name] = stored
            self._come_bytes += stored.size_bytes

    def forget(self, folder: str, names: Iterable[str] = ()) -> None:
        """Unlearn what a folder holds, and delete these files of it."""
        with self._lock:
            self._lists.pop(folder, None)
        for name in names:
            (self._root / folder / name).unlink(missing_ok=True)

    def make_room(self, needed_bytes: int = 0) -> None:
        """Throw folders out until the files fit, after enough came in since the last look."""
        with self._lock:
            if not needed_bytes and self._come_bytes * LOOK_AFTER_SHARE < self._limit_bytes:
                return
            self._come_bytes = 0
        folders = sorted(self._sizes(), key=lambda one: one[1])
        over = sum(size for _, _, size in folders) - self._limit_bytes
        over = max(over, needed_bytes)
        for path, used_s, size in folders:
            if over <= 0 or time.time() - used_s < IN_USE_S:
                return
            shutil.rmtree(path, ignore_errors=True)
            over -= size

    def _listed(self, folder: str) -> dict[str, Stored]:
        start = f"{self._folder}/{folder}/"
        names = {one.name.removeprefix(start): one for one in self._objects.list(start)}
        with self._lock:
            self._lists[folder] = (time.monotonic(), names)
            self._lists.move_to_end(folder)
            while len(self._lists) > LISTS_KEPT:
                self._lists.popitem(last=False)
        return names

    def _bring(self, folder: str, name: str, path: Path) -> None:
        found = self._objects.get(f"{self._folder}/{folder}/{name}")
        if found is None:  # deleted since it was listed
            self.forget(folder, [name])
            return
        content, stored = found
        for attempt in (1, 2):
            try:
                with replaced(path) as temporary:
                    temporary.write_bytes(content)
                    set_mark(temporary, stored)
                break
            except FileNotFoundError:  # its folder was thrown out meanwhile
                if attempt == 2:
                    raise
        with self._lock:
            if folder in self._lists:
                self._lists[folder][1][name] = stored
            self._come_bytes += stored.size_bytes

    def _note_use(self, folder: str) -> None:
        now = time.monotonic()
        if now - self._used.get(folder, -NOTE_USE_EVERY_S) < NOTE_USE_EVERY_S:
            return
        path = self._root / folder
        try:
            path.mkdir(parents=True, exist_ok=True)
            os.utime(path)
        except OSError as error:
            raise_if_full(error, path)
            raise
        if len(self._used) > LISTS_KEPT:
            self._used.clear()
        self._used[folder] = now

    def _sizes(self) -> Iterator[tuple[Path, float, int]]:
        """Each folder with when it was last used and its bytes."""
        for path in self._root.glob("??/*"):
            try:
                used_s = path.stat().st_mtime
                size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
            except FileNotFoundError:
                continue
            yield path, used_s, size

    @cached_property
    def _threads(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(THREADS, thread_name_prefix="storage")


def missing(path: Path) -> Path:
    """A path at which nothing ever lies, for what is not stored."""
    return path.with_name(f"{path.name}.missing")


def is_current(path: Path, stored: Stored) -> bool:
    """Whether a file is there and holds what is stored."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return False
    return (found.st_size, found.st_mtime_ns) == (stored.size_bytes, _moment_ns(stored.mark))


def set_mark(path: Path, stored: Stored) -> None:
    """Note on a file which object it holds."""
    os.utime(path, ns=(time.time_ns(), _moment_ns(stored.mark)))


def _moment_ns(mark: str) -> int:
    """A time that stands for a mark; before 2038, which every file system can keep."""
    digest = hashlib.blake2b(mark.encode(), digest_size=8).digest()
    return int.from_bytes(digest) % (2**31 * 1_000_000_000)
