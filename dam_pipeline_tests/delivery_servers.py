"""Servers that take deliveries, from `.ci/sshd.sh` and `.ci/vsftpd.sh`, and how their lines break."""

import contextlib
import os
import signal
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from dam_pipeline.publishing import parse_destination
from dam_pipeline.publishing.credentials import variable
from dam_pipeline_tests import servers


@dataclass(frozen=True)
class DeliveryServer:
    """A running server, what it needs to be reached, and a folder of its own for each test.

    `variables` are what a person would set to be let in.
    """

    folder: Path
    url: str
    variables: dict[str, str]
    fingerprint: str = ""

    @property
    def root(self) -> Path:
        """The folder of `url` on the disk."""
        return Path(parse_destination(self.url).folder)

    def own_folder(self) -> tuple[str, Path]:
        """The address of a new folder there that may be written to, and where it is on the disk."""
        path = self.root / uuid.uuid4().hex
        path.mkdir()
        give_away(path, self.root)
        return f"{self.url}/{path.name}", path

    def cut(self) -> int:
        """Kill whatever serves a connection now, as when lines break; says how many there were."""
        return self._signal(signal.SIGKILL)

    @contextlib.contextmanager
    def silent(self) -> Iterator[None]:
        """Let connections stand without an answer meanwhile."""
        self._signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._signal(signal.SIGCONT)

    @contextlib.contextmanager
    def silent_listener(self) -> Iterator[None]:
        """Let new connections wait without an answer meanwhile."""
        pid = int((self.folder / "pid").read_text().split()[0])
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> int:
        found = _descendants(int((self.folder / "pid").read_text().split()[0]))
        for one in found:
            with contextlib.suppress(ProcessLookupError):
                os.kill(one, number)
        return len(found)


def give_away(path: Path, like: Path) -> None:
    """Let the server, which is not root, have what root's test has put there."""
    owner = like.stat()
    if os.geteuid() == 0:
        os.chown(path, owner.st_uid, owner.st_gid)


@contextlib.contextmanager
def running_sshd() -> Iterator[DeliveryServer]:
    """An SSH server that runs meanwhile; skips the test where none can be had."""
    with servers.running_server("sshd") as (folder, url, identity, fingerprint):
        yield DeliveryServer(Path(folder), url, {"DAM_SSH_IDENTITY": identity}, fingerprint)


@contextlib.contextmanager
def running_vsftpd(*, is_plain: bool = False) -> Iterator[DeliveryServer]:
    """An FTP server that demands TLS, or has none, and runs meanwhile."""
    with pytest.MonkeyPatch.context() as patch:
        if is_plain:
            patch.setenv("FTP_PLAIN", "yes")
        with servers.running_server("vsftpd") as (folder, url, password, certificate):
            login = variable(parse_destination(url))
            variables = {login: password, "DAM_TLS_CA_FILE": certificate}
            yield DeliveryServer(Path(folder), url, variables)


def trust(server: DeliveryServer, home: Path) -> None:
    """Note in a home that the server's host key is known, as `dam stock login` does."""
    if server.fingerprint:
        port = parse_destination(server.url).port
        key = (server.folder / "keys" / "host.pub").read_text()
        home.mkdir(parents=True, exist_ok=True)
        (home / "known_hosts").write_text(f"[127.0.0.1]:{port} {key}")


def _descendants(pid: int) -> list[int]:
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        found = list(map(int, children))
        return [*found, *(deeper for one in found for deeper in _descendants(one))]
    return []
