"""The decoder as the pipeline uses it: a child process that may die without taking us along.

A request that hangs, crashes or outgrows its memory ends with UnreadableMedia for that file; the
next file gets a fresh child. The child writes only where it is told to.
"""

import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Self
from urllib.parse import unquote

from dam_pipeline.errors import (
    ConfigurationError,
    DamError,
    DiskFull,
    SourceUnavailable,
    UnreadableMedia,
    UnsupportedMedia,
)
from dam_pipeline.identity import display_name, path_to_uri
from dam_pipeline.media.access import is_window
from dam_pipeline.media.plan import LookPlan
from dam_pipeline.media.protocol import (
    AudioRequest,
    Done,
    Failed,
    LookRequest,
    PhotoRequest,
    PosterRequest,
    Progress,
    Request,
    Result,
    decode_reply,
    encode,
)
from dam_pipeline.records import AudioTrack, Look, MediaKind
from dam_pipeline.settings import Settings

__all__ = ["Decoder", "LookPlan"]

PACKAGE_ROOT = Path(__file__).resolve().parents[2]
START_S = 120.0  # the codecs are imported in one second, on a busy machine in ten
LAST_WORDS_BYTES = 2000  # of the child's standard error, shown when it dies


class Decoder:
    """Decodes one file at a time in a child that is started when first needed.

    Safe to share between threads: requests wait for each other.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._errors: IO[bytes] | None = None
        self._unread = b""
        # The kernel's parent-death signal follows the thread that forked, so children are forked
        # by a thread that lives as long as the decoder.
        self._starter = ThreadPoolExecutor(1, thread_name_prefix="decoder-starter")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the child."""
        self._kill()
        self._starter.shutdown()

    def interrupt(self) -> None:
        """End the request under way, of another thread; it raises UnreadableMedia there."""
        child = self._child
        if child is not None and self._lock.locked() and child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)

    @property
    def pid(self) -> int | None:
        """Process id of the running child, if there is one."""
        child = self._child
        return child.pid if child is not None and child.poll() is None else None

    def look(
        self,
        path: str | Path,
        kind: MediaKind,
        out_dir: Path,
        plan: LookPlan,
        on_progress: Callable[[float], None] | None = None,
    ) -> Look:
        """Shots and keyframes, in one pass; keyframes are written into `out_dir` as JPEGs.

        `path` may be the address of a window on a remote recording, here and below.

        `on_progress` is given the share read so far (0–1). Raises UnreadableMedia when nothing can
        be decoded or the decoder hangs or dies, UnsupportedMedia when there are no pictures or too
        large ones, SourceUnavailable when the file is not there, DiskFull, and ConfigurationError
        when the decoder cannot be started.
        """
        request = LookRequest(_absolute(path), kind, _absolute(out_dir), plan)
        result = self._ask(request, on_progress)
        if not isinstance(result, Look):
            raise UnreadableMedia(f"{_name(path)}: the decoder gave no pictures.")
        return result

    def poster(
        self, path: str | Path, kind: MediaKind, out_file: Path, px: int, at_s: float = 0.0
    ) -> tuple[int, int]:
        """Write an upright JPEG, at most `px` on the long side; returns its width and height.

        Of a video a frame near `at_s` that is not black, of sound its wave form. Raises as `look`.
        """
        request = PosterRequest(
            _absolute(path), kind, _absolute(out_file), px, at_s, self._settings.max_megapixels
        )
        result = self._ask(request, None)
        if not isinstance(result, tuple):
            raise UnreadableMedia(f"{_name(path)}: the decoder gave no picture.")
        return result

    def photo(
        self, path: str | Path, out_file: Path, width: int = 0, height: int = 0
    ) -> tuple[int, int]:
        """Write a whole photograph as an upright JPEG in sRGB; returns its width and height.

        Raises as `look`, and UnreadableMedia where only a part of it can be read.
        """
        limit = self._settings.max_megapixels
        request = PhotoRequest(_absolute(path), _absolute(out_file), width, height, limit)
        result = self._ask(request, None)
        if not isinstance(result, tuple):
            raise UnreadableMedia(f"{_name(path)}: the decoder gave no picture.")
        return result

    def audio(
        self,
        path: str | Path,
        out_file: Path,
        on_progress: Callable[[float], None] | None = None,
    ) -> AudioTrack | None:
        """Write 16 kHz mono float32 samples on the file's time axis; None without audio stream.

        Raises as `look`.
        """
        result = self._ask(AudioRequest(_absolute(path), _absolute(out_file)), on_progress)
        if result is not None and not isinstance(result, AudioTrack):
            raise UnreadableMedia(f"{_name(path)}: the decoder gave no sound.")
        return result

    def _ask(self, request: Request, on_progress: Callable[[float], None] | None) -> Result:
        with self._lock:
            try:
                child = self._running_child()
                reply = self._exchange(child, request, on_progress)
            except BaseException:
                self._kill()
                raise
            if isinstance(reply, Done):
                return reply.result
            if reply.failure == "memory":
                self._kill()
            raise self._error(request.path, reply)

    def _exchange(
        self,
        child: subprocess.Popen[bytes],
        request: Request,
        on_progress: Callable[[float], None] | None,
    ) -> Done | Failed:
        try:
            _pipe(child.stdin).write(encode(request))
            _pipe(child.stdin).flush()
        except BrokenPipeError:
            raise self._death(child, request.path) from None
        while True:
            line = self._line(child, self._settings.decoder_stall_s)
            if line is None:
                raise self._hang(request.path)
            if not line:
                raise self._death(child, request.path)
            reply = decode_reply(line)
            if not isinstance(reply, Progress):
                return reply
            if on_progress is not None:
                on_progress(reply.share)

    def _line(self, child: subprocess.Popen[bytes], patience_s: float) -> bytes | None:
        """The child's next line; empty when it has died, None when it stayed silent."""
        pipe = _pipe(child.stdout)
        deadline_s = time.monotonic() + patience_s
        while b"\n" not in self._unread:
            left_s = deadline_s - time.monotonic()
            if left_s <= 0 or not select.select([pipe], [], [], left_s)[0]:
                return None
            piece = os.read(pipe.fileno(), 1 << 16)
            if not piece:
                return b""
            self._unread += piece
        line, _, self._unread = self._unread.partition(b"\n")
        return line

    def _running_child(self) -> subprocess.Popen[bytes]:
        """The child, started if need be; raises ConfigurationError when it cannot be."""
        if self._child is not None and self._child.poll() is not None:
            self._kill()
        if self._child is not None:
            if self._errors is not None:
                self._errors.seek(0)  # the child shares the offset
                self._errors.truncate()
            return self._child
        self._unread = b""
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the child
        self._child = self._starter.submit(self._start, self._errors).result()
        if not self._line(self._child, START_S):
            raise ConfigurationError(
                f"The decoder does not start{self._last_words()}. See whether "
                f"DAM_DECODER_MEMORY_MB = {self._settings.decoder_memory_mb} is enough, and run "
                "dam doctor."
            )
        return self._child

    def _start(self, errors: IO[bytes]) -> subprocess.Popen[bytes]:
        arguments = [str(self._settings.decoder_memory_mb), str(os.getpid())]
        return subprocess.Popen(
            [sys.executable, "-m", "dam_pipeline.media.decoder_child", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            cwd=PACKAGE_ROOT,
            start_new_session=True,
        )

    def _kill(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            for pipe in (child.stdin, child.stdout):
                if pipe is not None:
                    with suppress(BrokenPipeError):
                        pipe.close()
        if self._errors is not None:
            self._errors.close()
            self._errors = None

    def _hang(self, path: str) -> UnreadableMedia:
        return UnreadableMedia(
            f"{_name(path)}: the decoder hung (no progress for "
            f"{self._settings.decoder_stall_s:g} s) and was stopped. Look at the file in a player; "
            "DAM_DECODER_STALL_S is the limit."
        )

    def _death(self, child: subprocess.Popen[bytes], path: str) -> UnreadableMedia:
        code = child.wait()
        how = signal.Signals(-code).name if code < 0 else f"exit status {code}"
        words = self._last_words() if code > 0 else ""
        return UnreadableMedia(
            f"{_name(path)}: the decoder died ({how}{words}) at this file. Look at it in a player; "
            "if it is sound, give the decoder more memory (DAM_DECODER_MEMORY_MB)."
        )

    def _last_words(self) -> str:
        if self._errors is None:
            return ""
        size = self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, size - LAST_WORDS_BYTES))
        lines = self._errors.read().decode("utf-8", "replace").strip().splitlines()
        return f": {lines[-1]}" if lines else ""

    def _error(self, path: str, reply: Failed) -> DamError:
        name = _name(path)
        if reply.failure == "disk_full":
            return DiskFull(
                f"No room is left for what is decoded of {name}. Free space under DAM_HOME "
                f"({self._settings.home})."
            )
        if reply.failure == "memory":
            return UnreadableMedia(
                f"{name}: decoding needs more than the limit of "
                f"{self._settings.decoder_memory_mb} MB. Raise DAM_DECODER_MEMORY_MB if the file "
                "is trusted."
            )
        errors: dict[str, type[DamError]] = {
            "unsupported": UnsupportedMedia,
            "away": SourceUnavailable,
        }
        return errors.get(reply.failure, UnreadableMedia)(f"{name} {reply.message}")


def _absolute(path: str | Path) -> str:
    return str(path) if is_window(path) else os.path.abspath(path)


def _name(path: str | Path) -> str:
    return display_name(path_to_uri(unquote(str(path)) if is_window(path) else path))


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    if pipe is None:
        raise ConfigurationError("The decoder was started without pipes; start it again.")
    return pipe
