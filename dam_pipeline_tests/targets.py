"""Where tests deliver to, looked at from the other side: each kind of destination answers alike."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from dam_pipeline.publishing import Transport, open_transport, parse_destination
from dam_pipeline.settings import load_settings
from dam_pipeline_tests.delivery_servers import DeliveryServer, give_away
from dam_pipeline_tests.s3_server import Bucket


@dataclass(frozen=True)
class FolderTarget:
    """A destination whose files lie in a folder of this machine, whoever serves it."""

    address: str
    path: Path
    server: DeliveryServer | None = None

    def open(self) -> Transport:
        """A new connection."""
        return open_transport(parse_destination(self.address), load_settings())

    def names(self) -> list[str]:
        """The files that are there, complete or not."""
        return sorted(
            str(one.relative_to(self.path)) for one in self.path.rglob("*") if one.is_file()
        )

    def content(self, name: str) -> bytes:
        """What a file there holds."""
        return (self.path / name).read_bytes()

    def place(self, name: str, content: bytes) -> None:
        """Put a file there behind everybody's back."""
        path = self.path / name
        path.write_bytes(content)
        give_away(path, self.path)

    def cut(self) -> int:
        """Break all connections; says how many processes served them."""
        return self.server.cut() if self.server else 0


@dataclass(frozen=True)
class BucketTarget:
    """A destination in a bucket."""

    address: str
    bucket: Bucket
    prefix: str

    def open(self) -> Transport:
        """A new connection."""
        return open_transport(parse_destination(self.address), load_settings())

    def names(self) -> list[str]:
        """The objects that are there."""
        found = self.bucket.client.list_objects_v2(Bucket=self.bucket.name, Prefix=self.prefix)
        return sorted(one["Key"].removeprefix(self.prefix) for one in found.get("Contents", []))

    def content(self, name: str) -> bytes:
        """What an object there holds."""
        found = self.bucket.client.get_object(Bucket=self.bucket.name, Key=self.prefix + name)
        return bytes(found["Body"].read())

    def place(self, name: str, content: bytes) -> None:
        """Put an object there behind everybody's back."""
        self.bucket.put(self.prefix + name, content)


def served(server: DeliveryServer) -> FolderTarget:
    """A new folder of a server."""
    address, path = server.own_folder()
    return FolderTarget(address, path, server)


def random_file(path: Path, size_bytes: int) -> tuple[Path, str, bytes]:
    """A file of random bytes: its path, SHA-256 and content."""
    content = os.urandom(size_bytes)
    path.write_bytes(content)
    return path, hashlib.sha256(content).hexdigest(), content
