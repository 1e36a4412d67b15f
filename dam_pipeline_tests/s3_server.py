"""An S3 server for tests, from `.ci/s3.sh`, a bucket on it, and a proxy that can cut its answers."""

import contextlib
import json
import os
import re
import socket
import subprocess
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any, Self

import boto3
import pytest

from dam_pipeline import buckets
from dam_pipeline_tests import servers


@dataclass(frozen=True)
class Server:
    """A running server: its folder and address, its owner's login, and that of a guest."""

    folder: Path
    url: str
    key: str
    secret: str
    guest_key: str
    guest_secret: str

    def environment(self) -> dict[str, str]:
        """The variables by which any S3 client finds it."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_REGION": "us-east-1",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "127.0.0.1",
        }


@dataclass(frozen=True)
class Bucket:
    """A bucket of the test's own."""

    name: str
    server: Server
    client: Any

    @property
    def uri(self) -> str:
        """Its address."""
        return f"s3://{self.name}"

    def put(self, key: str, content: bytes | Path) -> str:
        """Store an object; returns its address."""
        body = content.read_bytes() if isinstance(content, Path) else content
        self.client.put_object(Bucket=self.name, Key=key, Body=body)
        return f"{self.uri}/{key}"

    def allow_guests(self, action: str, what: str = "") -> None:
        """Let guests do one thing, and nothing else, in the bucket or with some of its objects."""
        statement = {
            "Effect": "Allow",
            "Principal": "*",
            "Action": f"s3:{action}",
            "Resource": f"arn:aws:s3:::{self.name}{what}",
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        self.client.put_bucket_policy(Bucket=self.name, Policy=policy)

    def let_guests_read(self) -> None:
        """Let guests do what reading a source needs, and nothing else."""
        rights = {"ListBucket": "", "GetObject": "/*"}
        statements = [
            {
                "Effect": "Allow",
                "Principal": "*",
                "Action": f"s3:{action}",
                "Resource": f"arn:aws:s3:::{self.name}{what}",
            }
            for action, what in rights.items()
        ]
        policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
        self.client.put_bucket_policy(Bucket=self.name, Policy=policy)

    def drop(self, key: str, content: bytes) -> Path:
        """Put an object straight onto the server's disk: it has no ETag, as on some stores."""
        path = self.server.folder / "data" / self.name / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def delete(self, key: str) -> None:
        """Delete an object."""
        self.client.delete_object(Bucket=self.name, Key=key)


class CuttingProxy:
    """Stands between a client and the server, notes what is asked for, and may cut one answer."""

    def __init__(self, server_url: str, cut_after_bytes: int = 1 << 40) -> None:
        self.ranges: list[str] = []
        self.answered_bytes = 0
        self.asked: list[str] = []
        self._left = cut_after_bytes
        host, port = server_url.removeprefix("http://").split(":")
        self._server = (host, int(port))
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    def __enter__(self) -> Self:
        Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # closed
            while True:
                client, _ = self._listening.accept()
                server = socket.create_connection(self._server)
                Thread(target=self._ask, args=(client, server), daemon=True).start()
                Thread(target=self._answer, args=(client, server), daemon=True).start()

    def _ask(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while asked := client.recv(1 << 16):
                self.ranges += re.findall(r"(?im)^range: (.*?)\r?$", asked.decode("latin-1"))
                self.asked += re.findall(r"(?m)^[A-Z]+ \S+", asked.decode("latin-1"))
                server.sendall(asked)

    def _answer(self, client: socket.socket, server: socket.socket) -> None:
        with contextlib.suppress(OSError), client, server:
            while answer := server.recv(1 << 16):
                client.sendall(answer)
                self._left -= len(answer)
                self.answered_bytes += len(answer)
                if self._left < 0:
                    self._left = 1 << 40
                    client.shutdown(socket.SHUT_RDWR)
                    return


@contextlib.contextmanager
def killed(server: Server) -> Iterator[None]:
    """Kill -9 a server, and start it again as it was at the end of the block."""
    servers.kill_server(server.folder)
    try:
        yield
    finally:
        subprocess.run([servers.SCRIPTS / "s3.sh", "start", server.folder], check=True)


@contextlib.contextmanager
def running_server() -> Iterator[Server]:
    """A server that runs meanwhile; skips the test where none can be had."""
    with servers.running_server("s3") as (folder, *facts):
        yield Server(Path(folder), *facts)


def ask_as(monkeypatch: pytest.MonkeyPatch, variables: Mapping[str, str]) -> None:
    """Go on in this process with these variables of the S3 client; empty ones are unset."""
    for name, value in variables.items():
        if value:
            monkeypatch.setenv(name, value)
        else:
            monkeypatch.delenv(name)
    buckets.client.cache_clear()


def open_bucket(server: Server, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """A new bucket, with the server as the S3 of this process."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    ask_as(monkeypatch, server.environment())
    client = boto3.Session().client("s3")
    name = f"test-{uuid.uuid4().hex}"
    client.create_bucket(Bucket=name)
    return Bucket(name, server, client)
