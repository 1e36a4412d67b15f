"""A Weaviate server for tests, from `.ci/weaviate.sh`, and a gate before it that can be shut."""

import socket
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / ".ci" / "weaviate.sh"


@contextmanager
def running_server() -> Iterator[dict[str, str | int]]:
    """Settings of a server that runs meanwhile; skips the test where none was ever built."""
    if subprocess.run([SCRIPT, "cached"], capture_output=True, check=False).returncode:
        pytest.skip("no Weaviate server is built: `.ci/weaviate.sh build` does, in some minutes")
    started = subprocess.run([SCRIPT, "start"], check=True, capture_output=True, text=True)
    folder, url, grpc_port, key = started.stdout.split()
    try:
        yield {
            "vector_store": "weaviate",
            "weaviate_url": url,
            "weaviate_grpc_port": int(grpc_port),
            "weaviate_api_key": key,
        }
    finally:
        subprocess.run([SCRIPT, "stop", folder], check=True)


def own_prefix() -> str:
    """A prefix for one test's collections on a server that all tests share."""
    return f"Test{uuid.uuid4().hex}"


class Gate:
    """A loopback port that hands on to another while it is open; shut, it refuses all callers."""

    def __init__(self, target: int) -> None:
        self._target = target
        with socket.create_server(("127.0.0.1", 0)) as found:
            self.port = found.getsockname()[1]
        self._door: socket.socket | None = None
        self._held: list[socket.socket] = []

    def open(self) -> None:
        """Let callers in from now on."""
        self._door = socket.create_server(("127.0.0.1", self.port), backlog=16)
        Thread(target=self._serve, args=(self._door,), daemon=True).start()

    def shut(self) -> None:
        """Refuse callers, and cut off those that are in."""
        held, self._held = self._held, []
        for one in (self._door, *held):
            if one is not None:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
                one.close()
        self._door = None

    def _serve(self, door: socket.socket) -> None:
        with suppress(OSError):
            while True:
                caller, _ = door.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                self._held += [caller, server]
                for ends in ((caller, server), (server, caller)):
                    Thread(target=_hand_on, args=ends, daemon=True).start()


def _hand_on(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
