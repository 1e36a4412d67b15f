"""How publishing is broken on purpose: processes that are killed, and a line that is slow and breaks."""

import contextlib
import hashlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from threading import Thread
from typing import Self

from dam_pipeline.publishing import Destination
from dam_pipeline.settings import Settings
from dam_pipeline.stock.deliveries import Deliveries, DeliveryState

PIECE_BYTES = 64 << 10


class SlowLine:
    """Stands between a client and an HTTP server, lets so much through a second, and can be cut."""

    def __init__(self, server_url: str, bytes_per_s: int) -> None:
        host, port = server_url.removeprefix("http://").split(":")
        self._server = (host, int(port))
        self._piece_s = PIECE_BYTES / bytes_per_s
        self._open: list[socket.socket] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    def __enter__(self) -> Self:
        Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self.cut()

    def cut(self) -> int:
        """Break all connections; says how many there were."""
        broken, self._open = self._open, []
        for one in broken:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        return len(broken)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                client, _ = self._listening.accept()
                server = socket.create_connection(self._server)
                self._open.append(client)
                for ends in ((client, server), (server, client)):
                    Thread(target=self._forward, args=ends, daemon=True).start()

    def _forward(self, source: socket.socket, target: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(PIECE_BYTES):
                target.sendall(piece)
                time.sleep(self._piece_s * len(piece) / PIECE_BYTES)
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_RDWR)
        source.close()


def kill_again_and_again(
    settings: Settings,
    package: Path,
    destination: Destination,
    seed: int,
    limit: str,
    kills: int = 10,
) -> None:
    """Start `dam stock publish` and kill it within its sending, so often."""
    moments = random.Random(seed)
    command = publish_command(package, destination, "--limit", limit)
    for _ in range(kills):
        words = len(Deliveries(settings).history())
        process = started(settings, command)
        until_s = time.monotonic() + 60
        while len(Deliveries(settings).history()) == words and process.poll() is None:
            assert time.monotonic() < until_s
            time.sleep(0.01)
        time.sleep(moments.uniform(0, 0.5))
        process.kill()
        assert process.wait() == -signal.SIGKILL, "it ended before it was killed: send slower"


def check_ledger(settings: Settings, clips: Mapping[str, bytes]) -> None:
    """The ledger says of each file that it is there, with its size and hash, once."""
    history = Deliveries(settings).history()
    latest = {Path(one.file).name: one for one in Deliveries(settings).latest().values()}
    assert set(latest) == set(clips)
    for name, content in clips.items():
        word = latest[name]
        assert word.state in (DeliveryState.VERIFIED, DeliveryState.DELIVERED)
        assert word.sha256 == hashlib.sha256(content).hexdigest()
        assert sum(one.state is word.state for one in history if one.file == word.file) == 1


def publish_command(package: Path, destination: Destination, *more: str) -> list[str]:
    """The words of `dam stock publish`."""
    return ["stock", "publish", str(package), "--to", destination.url, *more]


def started(settings: Settings, command: list[str]) -> subprocess.Popen[bytes]:
    """A process of its own that works on a home."""
    code = "from dam_pipeline.cli.main import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", code, *command],
        env={**os.environ, "DAM_HOME": str(settings.home)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        # A shell's background jobs have Ctrl-C ignored, and hand that on.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def files_below(folder: Path) -> dict[str, bytes]:
    """All files of a folder, by path."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
