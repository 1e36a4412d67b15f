"""Whole checksums of large files, read in the background: they outlast any sensor's time limit."""

import queue
import threading
from collections.abc import Callable, Mapping, Sequence

from dam_pipeline.errors import DamError
from dam_pipeline.sources.listing import Listed
from dam_pipeline.sources.originals import whole_sha256

WAITING_AT_MOST = 64  # more are asked for again at the next look
READY_AT_MOST = 1000  # older results are forgotten


class BackgroundWholes:
    """Reads one file after the other in a thread of its own; lives as long as the process.

    A restart only means reading again.
    """

    def __init__(self, read: Callable[[Listed], str | None] = whole_sha256) -> None:
        self._read = read
        self._lock = threading.Lock()
        self._queue: queue.SimpleQueue[Listed] = queue.SimpleQueue()
        self._asked: set[Listed] = set()
        self._ready: dict[Listed, str | None] = {}
        self._thread: threading.Thread | None = None

    def whole(self, files: Sequence[Listed]) -> Mapping[str, str | None]:
        """SHA-256 by address of those files that are ready; the others are read meanwhile."""
        with self._lock:
            found = {file.uri: self._ready[file] for file in files if file in self._ready}
            for file in files:
                if file.uri in found or file in self._asked:
                    continue
                if len(self._asked) < WAITING_AT_MOST:
                    self._asked.add(file)
                    self._queue.put(file)
            if self._asked and self._thread is None:
                # A daemon thread: stopping the process must not wait for a terabyte.
                self._thread = threading.Thread(target=self._work, daemon=True)
                self._thread.start()
        return found

    def wait(self, timeout_s: float) -> bool:
        """Wait until all that was asked for is ready; False when time is up."""
        thread = self._thread
        if thread is not None:
            thread.join(timeout_s)
        return thread is None or not thread.is_alive()

    def _work(self) -> None:
        while True:
            with self._lock:
                if self._queue.empty():
                    self._thread = None
                    return
                file = self._queue.get()
            try:
                found = {file: self._read(file)}
            except (DamError, OSError):
                found = {}  # such as the store being away: asked for again at the next look
            with self._lock:
                self._asked.discard(file)
                self._ready |= found
                while len(self._ready) > READY_AT_MOST:
                    del self._ready[next(iter(self._ready))]
