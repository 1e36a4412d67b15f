"""Remote originals under a loopback address, which programs read by ranges as they read a file.

So a probe fetches a few megabytes of a file of any size, and what does not fit into the scratch space
can be decoded all the same. The login stays in this process: there is no presigned address that could
get into a result or a log, only one of this machine that ends with the reading. Each range is of the
version that was listed, a lost connection to the store is taken up, and what goes wrong with the store
is known here, where ffmpeg would only say that the file is damaged.
"""

import os
import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

from dam_pipeline.sources import s3
from dam_pipeline.sources.listing import Listed

FIRST_BYTES = 64 << 10  # of a range whose end nobody knows; each further piece is twice as long
LONGEST_BYTES = 8 << 20
LONGEST_OF_PART_BYTES = 512 << 10  # who wants a part of a file ends in the middle of a range
END_BYTES = 1 << 20  # of a file's head and tail, where tags are
BOXES = 256  # of a QuickTime file that are looked at; thousands are a stream in fragments
LARGEST_BOX_BYTES = 64 << 20
PICTURES = b"mdat"
BOX_KINDS = (b"ftyp", b"moov", b"wide", b"free", b"skip", b"pnot", PICTURES)
BUFFER_BYTES = 128 << 10  # what the kernel takes for a program that may want no more


class View:
    """One original that is open; `url` is its address, `fetched_bytes` what has been asked for.

    With `path`, what was read lies there as well, in a sparse file of the original's size.
    """

    def __init__(self, file: Listed, url: str, path: Path | None) -> None:
        self.file, self.url, self.path = file, url, path
        self.fetched_bytes = 0
        self._trouble: Exception | None = None
        self._lock = threading.Lock()
        self._here: list[tuple[int, int]] = []  # spans that lie in the file
        if path:
            with open(path, "wb") as file_:
                file_.truncate(file.size_bytes)

    def read(self, start: int, end: int) -> Iterator[bytes]:
        """The bytes `[start, end)`, in pieces that grow; raises as `s3.check`."""
        length = FIRST_BYTES
        while start < end:
            stop = min(end, start + length)
            for piece in self._pieces(start, stop):
                yield piece
                start += len(piece)
            length = min(2 * length, LONGEST_OF_PART_BYTES if self.path else LONGEST_BYTES)

    def fill_for_tags(self) -> None:
        """Fetch what exiftool reads of a recording: its head and tail, and all boxes but `mdat`."""
        size = self.file.size_bytes
        head = b"".join(self.read(0, min(END_BYTES, size)))
        for _ in self.read(max(0, size - END_BYTES), size):
            pass
        at = 0 if head[4:8] in BOX_KINDS else size
        for _ in range(BOXES):
            if at + 16 > size:
                break
            box = b"".join(self.read(at, at + 16))
            length = int.from_bytes(box[:4]) or size - at
            if length == 1:
                length = int.from_bytes(box[8:16])
            if box[4:8] != PICTURES and length <= LARGEST_BOX_BYTES:
                for _ in self.read(at, min(size, at + length)):
                    pass
            at += max(length, 8)

    def check(self) -> None:
        """Raise what went wrong with the store while the view was read, if anything did."""
        if self._trouble:
            raise self._trouble

    def note(self, error: Exception) -> None:
        """Keep what went wrong for `check`."""
        self._trouble = self._trouble or error

    def _pieces(self, start: int, end: int) -> Iterator[bytes]:
        if self.path is None:
            self.fetched_bytes += end - start
            yield from s3.pieces(self.file, start, end)
            return
        with self._lock:  # one program reads at a time: nothing is fetched twice
            if not any(at <= start and end <= stop for at, stop in self._here):
                self._fetch(self.path, start, end)
            with open(self.path, "rb") as file:
                found = os.pread(file.fileno(), end - start, start)
        yield found

    def _fetch(self, path: Path, start: int, end: int) -> None:
        self.fetched_bytes += end - start
        with open(path, "r+b") as file:
            file.seek(start)
            for piece in s3.pieces(self.file, start, end):
                file.write(piece)
        merged = [(start, end)]
        for at, stop in sorted(self._here):
            first, last = merged[0]
            if at <= last and first <= stop:
                merged[0] = (min(at, first), max(stop, last))
            else:
                merged.append((at, stop))
        self._here = merged


class Window:
    """Serves views on the loopback interface, to whoever knows their address."""

    def __init__(self) -> None:
        self._views: dict[str, View] = {}
        self._server: _Server | None = None
        self._lock = threading.Lock()

    def close(self) -> None:
        """End the server."""
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    @contextmanager
    def open(self, file: Listed, path: Path | None = None) -> Iterator[View]:
        """A view of a remote original while the block lasts.

        Whatever the block raises, trouble with the store is raised in its place: SourceUnavailable,
        SourceChanged, or UnreadableMedia for an object that may not be read.
        """
        token = secrets.token_hex(16)
        name = quote(file.uri.rpartition("/")[2])
        view = View(file, f"http://127.0.0.1:{self._port()}/{token}/{name}", path)
        self._views[token] = view
        try:
            yield view
        except Exception:
            view.check()
            raise
        finally:
            del self._views[token]
        view.check()

    def _port(self) -> int:
        with self._lock:
            if self._server is None:
                self._server = _Server(self._views)
                serve = self._server.serve_forever
                threading.Thread(target=serve, args=(0.1,), name="window", daemon=True).start()
            return int(self._server.server_address[1])


class _Server(ThreadingHTTPServer):
    """A thread for each connection; none of them keeps the process alive."""

    daemon_threads = True

    def __init__(self, views: dict[str, View]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.views = views

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of a program that has read enough."""


class _Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD for one range of a view."""

    protocol_version = "HTTP/1.1"
    server: _Server

    def do_HEAD(self) -> None:
        """The size of an original."""
        self._answer(with_bytes=False)

    def do_GET(self) -> None:
        """The bytes of a range, or of all."""
        self._answer(with_bytes=True)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: the address is a secret while it lasts."""

    def _answer(self, *, with_bytes: bool) -> None:
        view = self.server.views.get(self.path.split("/")[1])
        span = _span(self.headers.get("Range", ""), view.file.size_bytes) if view else None
        if view is None or span is None:
            self.send_error(404 if view is None else 416)
            return
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER_BYTES)
        start, end = span
        self.send_response(206)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Range", f"bytes {start}-{end - 1}/{view.file.size_bytes}")
        self.send_header("Content-Length", str(end - start))
        self.send_header("Connection", "close")  # ffmpeg does not notice when a kept one ends
        self.end_headers()
        if with_bytes:
            self._send(view, start, end)

    def _send(self, view: View, start: int, end: int) -> None:
        try:
            for piece in view.read(start, end):
                self.wfile.write(piece)
        except ConnectionError:
            self.close_connection = True  # the program has read enough
        except Exception as error:  # noqa: BLE001 (raised where the view was opened)
            view.note(error)
            self.close_connection = True


def _span(header: str, size: int) -> tuple[int, int] | None:
    """The half-open range of a Range header, or None for one that is not in the file."""
    first, _, last = header.removeprefix("bytes=").partition("-")
    if not first.isdigit():
        return (0, size) if not header else None
    start, end = int(first), min(size, int(last) + 1 if last.isdigit() else size)
    return (start, end) if start < end else None
