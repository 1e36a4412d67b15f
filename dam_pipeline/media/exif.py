"""exiftool in batch mode through pyexiftool: one process for many files, replaced when it dies.

Files are handed over as symbolic links with plain names in a folder of our own, because an
argument file can hold neither a newline nor an undecodable name. Values come numeric (-n), in
groups (-G), structures whole.
"""

import itertools
import os
import selectors
import shutil
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from exiftool import ExifToolHelper
from exiftool.exceptions import ExifToolException

from dam_pipeline.errors import ConfigurationError, UnreadableMedia
from dam_pipeline.formats import suffix_of

ARGUMENTS = ["-G", "-n", "-struct", "-charset", "filename=utf8", "-api", "LargeFileSupport=1"]
TIMEOUT_S = 60.0
LONGEST_VALUE = 2000  # characters of JSON; longer values are blobs in disguise
OF_THE_PLACE = (  # what exiftool says of the link and of itself, not of the file's content
    "SourceFile",
    "ExifTool:ExifToolVersion",
    "File:FileName",
    "File:Directory",
    "File:FileSize",
    "File:FileModifyDate",
    "File:FileAccessDate",
    "File:FileInodeChangeDate",
    "File:FilePermissions",
)

Tags = dict[str, Any]


class ExifReader:
    """Reads tags of files; one request at a time, from any thread."""

    def __init__(self) -> None:
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

    def read(self, path: Path) -> Tags:
        """The file's tags without those of its place; raises UnreadableMedia, ConfigurationError.

        What exiftool finds wrong with the file is in `ExifTool:Error`.
        """
        link = self._link(path)
        try:
            with self._lock:
                found = self._ask(str(link))
        finally:
            link.unlink(missing_ok=True)
        return _cleaned(found[0]) if found else {}

    def _ask(self, link: str) -> list[Tags]:
        """exiftool's answer; a process that died is replaced once, in case it died of another."""
        try:
            return self._running().execute_json(link) or []
        except BrokenPipeError:
            self._stop()
        except (ExifToolException, OSError, ValueError) as error:
            raise self._failure(error) from error
        try:
            return self._running().execute_json(link) or []
        except (ExifToolException, OSError, ValueError) as error:
            raise self._failure(error) from error

    def _failure(self, error: Exception) -> UnreadableMedia:
        self._stop()
        return UnreadableMedia(
            f"has tags that exiftool could not read ({error}). Look at the file with exiftool."
        )

    def _link(self, path: Path) -> Path:
        suffix = suffix_of(path.name)
        plain = suffix if suffix.isascii() and suffix.isalnum() and len(suffix) <= 8 else "bin"
        link = self._links / f"{next(self._names)}.{plain}"
        link.symlink_to(os.path.abspath(path))
        return link

    def _running(self) -> Any:
        if self._batch is not None and self._batch.pid and not self._batch.is_alive:
            self._stop()
        if self._batch is None:
            try:
                self._batch = _Batch(
                    common_args=ARGUMENTS, config_file="", encoding="utf-8", check_execute=False
                )
            except FileNotFoundError as error:
                raise ConfigurationError(
                    "exiftool is not installed. Install it (Debian: libimage-exiftool-perl)."
                ) from error
        return self._batch

    def _stop(self) -> None:
        if self._batch is not None:
            self._batch.kill()
            self._batch = None


class _Batch(ExifToolHelper):  # type: ignore[misc]  # the vendor has no types
    """pyexiftool with an end to waiting: its own reading spins for ever when exiftool dies."""

    def execute(self, *params: Any, **_: Any) -> str:
        """Standard output of one command; raises TimeoutError, BrokenPipeError."""
        if not self.running:
            self.run()
        number = f"{time.monotonic_ns():d}"
        lines = [p if isinstance(p, bytes) else os.fsencode(str(p)) for p in params]
        command = b"\n".join([*lines, b"-execute" + number.encode(), b""])
        self._process.stdin.write(command)
        self._process.stdin.flush()
        output = self._read_until(b"{ready" + number.encode() + b"}")
        self._last_stdout = output.decode("utf-8", "replace")
        self._last_status, self._last_stderr = 0, ""
        return self._last_stdout

    def _read_until(self, end: bytes) -> bytes:
        deadline_s = time.monotonic() + TIMEOUT_S
        output = bytearray()
        with selectors.DefaultSelector() as pipes:
            pipes.register(self._process.stdout, selectors.EVENT_READ)
            pipes.register(self._process.stderr, selectors.EVENT_READ)
            while not output.rstrip().endswith(end):
                ready = pipes.select(max(0.0, deadline_s - time.monotonic()))
                if not ready:
                    raise TimeoutError(f"no answer for {TIMEOUT_S:g} s")
                for key, _ in ready:
                    piece = os.read(key.fd, 1 << 16)
                    if not piece:
                        raise BrokenPipeError("exiftool died")
                    if key.fileobj is self._process.stdout:
                        output += piece
        return bytes(output.rstrip()[: -len(end)])

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


def _cleaned(tags: Tags) -> Tags:
    """The tags without the file's place, binary values and blobs."""
    return {
        name: value
        for name, value in tags.items()
        if name not in OF_THE_PLACE and not _is_blob(value)
    }


def _is_blob(value: Any) -> bool:
    if isinstance(value, str) and value.startswith("(Binary data "):
        return True
    return len(str(value)) > LONGEST_VALUE
