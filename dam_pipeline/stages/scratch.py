"""What a process keeps on its own disk for a while: unfinished files, and copies of remote originals.

A folder under DAM_HOME/scratch belongs to one process, which its name tells; it goes with the
process, or, where that was killed, when the next one makes its own.
"""

import fcntl
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from dam_pipeline.catalogue.database import is_alive, this_process
from dam_pipeline.errors import DiskFull
from dam_pipeline.sources.listing import Listed
from dam_pipeline.sources.originals import bring, local_name

NAMES = "*-*-*-*"  # of the folders: process, its start, host, chance
TAKEN = ".taken"
WAIT_S = 0.5  # between looks whether the run was told to end


def make_scratch(home: Path) -> Path:
    """A new folder of this process; those of processes of this machine that have died go."""
    parent = home / "scratch"
    parent.mkdir(parents=True, exist_ok=True)
    _clean(parent)
    host, pid, start = this_process().rsplit("/", 2)
    return Path(tempfile.mkdtemp(prefix=f"{pid}-{start}-{host}-", dir=parent))


def _clean(parent: Path) -> None:
    for folder in parent.glob(NAMES):
        if not lives(folder.name):
            shutil.rmtree(folder, ignore_errors=True)


def lives(name: str) -> bool:
    """Whether the process of a scratch folder lives; one of another host is believed to."""
    pid, start, rest = name.split("-", 2)
    return not pid.isdigit() or is_alive(f"{rest.rpartition('-')[0]}/{pid}/{start}")


class Room:
    """The bytes that copies of all processes of a home may take together.

    What a process has taken is told by the names of empty files in its scratch folder, so that it is
    free again when that process dies, however it dies.
    """

    def __init__(self, limit_bytes: int, scratch: Callable[[], Path]) -> None:
        self.limit_bytes = limit_bytes
        self._scratch = scratch

    def take(self, media_id: str, size_bytes: int) -> bool:
        """Take room for a copy, if there is enough; it may be asked for again."""
        with self._locked() as own:
            taken = own.parent.glob(f"{NAMES}/*{TAKEN}*")
            sizes = [int(path.suffix[1:]) for path in taken if path.parent.exists()]
            if sum(sizes) + size_bytes > self.limit_bytes:
                return False
            (own / f"{media_id}{TAKEN}.{size_bytes}").touch()
            return True

    def give_back(self, media_id: str) -> None:
        """Let others have the room of a copy."""
        with self._locked() as own:
            for path in own.glob(f"{media_id}{TAKEN}.*"):
                path.unlink(missing_ok=True)

    @contextmanager
    def _locked(self) -> Iterator[Path]:
        own = self._scratch()
        folder = os.open(own.parent, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)  # ends with the process
            _clean(own.parent)
            yield own
        finally:
            os.close(folder)


class Copies:
    """Copies of remote originals, as many at a time as there is room for.

    A copy serves all stages of its file until it is dropped. When room is short, one goes earlier
    that no thread is at work on: a thread works on the copy that it asked for last.
    """

    def __init__(self, room: Room, check_stopped: Callable[[], None]) -> None:
        self._room = room
        self._check_stopped = check_stopped
        self._changed = threading.Condition()
        self._held: dict[str, Path] = {}  # folders by media id
        self._worked_on: dict[threading.Thread, str] = {}

    @property
    def limit_bytes(self) -> int:
        """What all copies may take together: a file over it never gets one."""
        return self._room.limit_bytes

    def has(self, media_id: str) -> bool:
        """Whether a whole copy of the media is here."""
        with self._changed:
            held = self._held.get(media_id)
            return held is not None and held.exists()

    def path(self, media_id: str, file: Listed, folder: Path) -> Path:
        """The copy of a media, brought into the new folder `folder` unless it is there.

        Waits for room while another thread, or process, works on what fills it. Raises DiskFull for a file that
        is over the limit, and what `originals.bring` raises.
        """
        self._reserve(media_id, file, folder)
        path = folder / local_name(file.uri)
        if path.exists():
            return path
        unfinished = folder.with_name(f"{folder.name}.part")
        try:
            unfinished.mkdir(parents=True, exist_ok=True)
            bring(file, media_id, unfinished / path.name, lambda _bytes: self._check_stopped())
            unfinished.rename(folder)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            self.drop(media_id)
            raise
        return path

    def drop(self, media_id: str) -> None:
        """Delete the copy of a media, if there is one."""
        with self._changed:
            held = self._held.pop(media_id, None)
            if held:
                shutil.rmtree(held, ignore_errors=True)
                self._room.give_back(media_id)
                self._changed.notify_all()

    def clear(self) -> None:
        """Delete all copies: other processes may wait for their room."""
        with self._changed:
            for media_id in list(self._held):
                self.drop(media_id)

    def _reserve(self, media_id: str, file: Listed, folder: Path) -> None:
        if file.size_bytes > self._room.limit_bytes:
            raise DiskFull(
                f"{file.uri} has {file.size_bytes} bytes, and copies of remote originals may take "
                f"{self._room.limit_bytes}. Raise DAM_SCRATCH_BYTES, then `dam retry`."
            )
        me = threading.current_thread()
        with self._changed:
            self._worked_on.pop(me, None)
            self._changed.notify_all()
            while media_id not in self._held:
                if self._room.take(media_id, file.size_bytes):
                    self._held[media_id] = folder
                elif idle := self._idle():
                    self.drop(idle)
                else:
                    self._check_stopped()
                    self._changed.wait(WAIT_S)
            self._worked_on[me] = media_id

    def _idle(self) -> str | None:
        busy = {media for thread, media in self._worked_on.items() if thread.is_alive()}
        return next((media_id for media_id in self._held if media_id not in busy), None)
