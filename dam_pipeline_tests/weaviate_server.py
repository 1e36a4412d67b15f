"""A Weaviate server for tests, from `.ci/weaviate.sh`, and a gate before it that can be shut."""

import asyncio
import socket
import ssl
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread

from dam_pipeline_tests import servers


@contextmanager
def running_server() -> Iterator[dict[str, str | int]]:
    """Settings of a server that runs meanwhile; skips the test where none was ever built."""
    with servers.running_server("weaviate") as (_folder, url, grpc_port, key):
        yield {
            "vector_store": "weaviate",
            "weaviate_url": url,
            "weaviate_grpc_port": int(grpc_port),
            "weaviate_api_key": key,
        }


def own_prefix() -> str:
    """A prefix for one test's collections on a server that all tests share."""
    return f"Test{uuid.uuid4().hex}"


@contextmanager
def tls_before(port: int, certificate: Path) -> Iterator[int]:
    """A loopback port that speaks TLS and hands on to another, with a PEM of certificate and key."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    context.set_alpn_protocols(["h2", "http/1.1"])  # gRPC wants to hear of h2

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inside = await asyncio.open_connection("127.0.0.1", port)
        with suppress(asyncio.CancelledError):
            await asyncio.gather(_pump(reader, inside[1]), _pump(inside[0], writer))

    async def end() -> None:
        server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for one in others:
            one.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(asyncio.start_server(serve, "127.0.0.1", 0, ssl=context))
    thread = Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.run_until_complete(end())
        loop.close()


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
        sink.close()


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
