"""What a process keeps on its own disk for a while: unfinished files, and copies of remote originals.

A folder under DAM_HOME/scratch belongs to one process, which its name tells; it goes with the
process, or, where that was killed, when the next one makes its own.
"""

import shutil
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

from dam_pipeline.catalogue.database import is_alive, this_process
from dam_pipeline.errors import DiskFull
from dam_pipeline.sources.listing import Listed
from dam_pipeline.sources.originals import bring

WAIT_S = 0.5  # between looks whether the run was told to end
NAME_BYTES = 200  # longer names have no room for what decoders put beside them


def make_scratch(home: Path) -> Path:
    """A new folder of this process; those of processes of this machine that have died go."""
    parent = home / "scratch"
    parent.mkdir(parents=True, exist_ok=True)
    for folder in parent.glob("*-*-*-*"):
        if not _lives(folder.name):
            shutil.rmtree(folder, ignore_errors=True)
    host, pid, start = this_process().rsplit("/", 2)
    return Path(tempfile.mkdtemp(prefix=f"{pid}-{start}-{host}-", dir=parent))


def _lives(name: str) -> bool:
    pid, start, rest = name.split("-", 2)
    return not pid.isdigit() or is_alive(f"{rest.rpartition('-')[0]}/{pid}/{start}")


class Copies:
    """Copies of remote originals, at most `limit_bytes` of them at a time.

    A copy serves all stages of its file until it is dropped. When room is short, one goes earlier
    that no thread is at work on: a thread works on the copy that it asked for last.
    """

    def __init__(self, limit_bytes: int, check_stopped: Callable[[], None]) -> None:
        self._limit_bytes = limit_bytes
        self._check_stopped = check_stopped
        self._changed = threading.Condition()
        self._held: dict[str, tuple[Path, int]] = {}  # by media id: folder and size in bytes
        self._worked_on: dict[threading.Thread, str] = {}

    def has(self, media_id: str) -> bool:
        """Whether a whole copy of the media is here."""
        with self._changed:
            held = self._held.get(media_id)
            return held is not None and held[0].exists()

    def path(self, media_id: str, file: Listed, folder: Path) -> Path:
        """The copy of a media, brought into the new folder `folder` unless it is there.

        Waits for room while another thread works on what fills it. Raises DiskFull for a file that
        is over the limit, and what `originals.bring` raises.
        """
        self._reserve(media_id, file, folder)
        path = folder / _name(file.uri)
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
                shutil.rmtree(held[0], ignore_errors=True)
                self._changed.notify_all()

    def _reserve(self, media_id: str, file: Listed, folder: Path) -> None:
        if file.size_bytes > self._limit_bytes:
            raise DiskFull(
                f"{file.uri} has {file.size_bytes} bytes, and copies of remote originals may take "
                f"{self._limit_bytes}. Raise DAM_SCRATCH_BYTES, then `dam retry`."
            )
        me = threading.current_thread()
        with self._changed:
            self._worked_on.pop(me, None)
            self._changed.notify_all()
            while media_id not in self._held:
                taken = sum(size for _, size in self._held.values())
                if taken + file.size_bytes <= self._limit_bytes:
                    self._held[media_id] = (folder, file.size_bytes)
                elif idle := self._idle():
                    self.drop(idle)
                else:
                    self._check_stopped()
                    self._changed.wait(WAIT_S)
            self._worked_on[me] = media_id

    def _idle(self) -> str | None:
        busy = {media for thread, media in self._worked_on.items() if thread.is_alive()}
        return next((media_id for media_id in self._held if media_id not in busy), None)


def _name(uri: str) -> str:
    """The file's own name, which messages and probes tell; its end where it is very long."""
    name = uri.rpartition("/")[2]
    return name.encode()[-NAME_BYTES:].decode(errors="ignore")
