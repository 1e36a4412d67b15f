"""exiftool in batch mode through pyexiftool: one process for many files, replaced when it dies.

Files are handed over as symbolic links with plain names in a folder of our own, because an
argument file can hold neither a newline nor an undecodable name. What is read or written, and how,
stands in `exif` and `exif_writer`.
"""

import itertools
import os
import selectors
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from exiftool import ExifToolHelper
from exiftool.exceptions import ExifToolException

from dam_pipeline.errors import ConfigurationError, UnreadableMedia

TIMEOUT_S = 60.0
LONGEST_SUFFIX = 8


class ExifProcess:
    """Runs exiftool's commands one at a time, from any thread; the process starts when needed."""

    def __init__(self, arguments: Sequence[str]) -> None:
        self._arguments = list(arguments)  # of every command
        self._lock = threading.Lock()
        self._links = Path(tempfile.mkdtemp(prefix="dam-exif-"))
        self._names = itertools.count()
        self._batch: Any = None

    def close(self) -> None:
        """End exiftool and remove the links."""
        with self._lock:
            self._stop()
            shutil.rmtree(self._links, ignore_errors=True)

    @property
    def pid(self) -> int | None:
        """Process id of the running exiftool, if there is one."""
        return None if self._batch is None else self._batch.pid

    @contextmanager
    def link(self, path: Path, suffix: str = "") -> Iterator[Path]:
        """A path of plain letters that leads to a file or folder, while it is needed."""
        is_plain = suffix.isascii() and suffix.isalnum() and len(suffix) <= LONGEST_SUFFIX
        end = f".{suffix if is_plain else 'bin'}" if suffix else ""
        link = self._links / f"{next(self._names)}{end}"
        link.symlink_to(os.path.abspath(path))
        try:
            yield link
        finally:
            link.unlink(missing_ok=True)

    def run(self, *commands: Sequence[str], timeout_s: float = TIMEOUT_S) -> tuple[list[str], str]:
        """What commands write to standard output, and to standard error all together.

        A process that died is replaced once, in case it died of another file. Raises UnreadableMedia,
        ConfigurationError.
        """
        with self._lock:
            try:
                return self._running().ask(commands, timeout_s)
            except BrokenPipeError:
                self._stop()
            except (ExifToolException, OSError, ValueError) as error:
                raise self._failure(error) from error
            try:
                return self._running().ask(commands, timeout_s)
            except (ExifToolException, OSError, ValueError) as error:
                raise self._failure(error) from error

    def _failure(self, error: Exception) -> UnreadableMedia:
        self._stop()
        return UnreadableMedia(
            f"is nothing that exiftool can work on ({error}). Look at the file with exiftool."
        )

    def _running(self) -> "_Batch":
        if self._batch is not None and self._batch.pid and not self._batch.is_alive:
            self._stop()
        if self._batch is None:
            try:
                self._batch = _Batch(
                    common_args=self._arguments,
                    config_file="",
                    encoding="utf-8",
                    check_execute=False,
                )
            except FileNotFoundError as error:
                raise ConfigurationError(
                    "exiftool is not installed. Install it (Debian: libimage-exiftool-perl)."
                ) from error
        batch: _Batch = self._batch
        return batch

    def _stop(self) -> None:
        if self._batch is not None:
            self._batch.kill()
            self._batch = None


class _Batch(ExifToolHelper):  # type: ignore[misc]  # the vendor has no types
    """pyexiftool with an end to waiting: its own reading spins for ever when exiftool dies."""

    def execute(self, *params: Any, **_: Any) -> str:
        """Standard output of one command: what the vendor's own start asks for."""
        outputs, self._last_stderr = self.ask([[str(one) for one in params]], TIMEOUT_S)
        self._last_stdout, self._last_status = outputs[0], 0
        return outputs[0]

    def ask(self, commands: Sequence[Sequence[str]], timeout_s: float) -> tuple[list[str], str]:
        """The outputs of commands given at once, and all errors; raises TimeoutError, BrokenPipeError."""
        if not self.running:
            self.run()
        number = time.monotonic_ns()
        lines: list[bytes] = []
        for at, arguments in enumerate(commands, start=number):
            lines += [*map(os.fsencode, arguments), b"-execute%d" % at]
        self._process.stdin.write(b"\n".join([*lines, b""]))
        self._process.stdin.flush()
        ends = [b"{ready%d}" % at for at in range(number, number + len(commands))]
        output, errors = self._read_until(ends[-1], timeout_s)
        outputs = []
        for end in ends:
            piece, _, output = output.partition(end)
            outputs.append(piece.decode("utf-8", "replace"))
        return outputs, errors.decode("utf-8", "replace")

    def _read_until(self, end: bytes, timeout_s: float) -> tuple[bytes, bytes]:
        deadline_s = time.monotonic() + timeout_s
        output, errors = bytearray(), bytearray()
        with selectors.DefaultSelector() as pipes:
            pipes.register(self._process.stdout, selectors.EVENT_READ, output)
            pipes.register(self._process.stderr, selectors.EVENT_READ, errors)
            while True:
                # exiftool has said all that is wrong before it says that it is ready.
                is_over = output.rstrip().endswith(end)
                ready = pipes.select(0 if is_over else max(0.0, deadline_s - time.monotonic()))
                if not ready and is_over:
                    return bytes(output), bytes(errors)
                if not ready:
                    raise TimeoutError(f"no answer for {timeout_s:g} s")
                for key, _ in ready:
                    piece = os.read(key.fd, 1 << 16)
                    if not piece:
                        raise BrokenPipeError("exiftool died")
                    key.data.extend(piece)

    @property
    def pid(self) -> int | None:
        """Process id while exiftool is held."""
        return self._process.pid if self._process is not None else None

    @property
    def is_alive(self) -> bool:
        """Whether the process can take a command."""
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """End the process without waiting for its answer."""
        process = self._process
        if process is None:
            return
        process.kill()
        process.communicate()
        self._flag_running_false()
