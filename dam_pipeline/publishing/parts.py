"""Bringing a file whole to a server that keeps files: part name, resume, comparing, renaming.

What is asked of each server stands in `Place`; its protocol is that of the modules beside.
"""

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from os import SEEK_END
from pathlib import Path, PurePosixPath
from typing import Any, Literal, Protocol
from unicodedata import category

from dam_pipeline.errors import DeliveryFailed, PackageInvalid
from dam_pipeline.publishing import Destination, Progress, Receipt

PIECE_BYTES = 256 << 10
TAIL_BYTES = 1 << 20
"""As much of the end of a part is read back and compared before it is gone on with."""

Verified = Literal["", "size", "sha256"]

_NAME_BYTES = 200  # of 255 that file systems take, so that what a part's name adds fits


class Place(Protocol):
    """The files of a server, by their paths there."""

    reads_back: int
    """Files up to these bytes are read back whole to be compared, where the server cannot hash."""
    tells_sizes: bool
    """Whether the server says how large a file is; without it nothing is resumed or compared."""

    def told(self, path: str) -> AbstractContextManager[Any]:
        """Within it, what the server's library raises becomes DeliveryFailed about a path."""

    def size(self, path: str) -> int | None:
        """The size of a file; None when there is none, or the server does not say."""

    def append(self, path: str, offset: int, pieces: Iterable[bytes]) -> None:
        """Write pieces into a file that has `offset` bytes; 0: it is made, or emptied."""

    def read(self, path: str, offset: int) -> Iterator[bytes] | None:
        """The bytes from an offset to the end; None where the server does not let us read."""

    def sha256(self, path: str) -> str | None:
        """The hash that the server itself found; None where it cannot."""

    def rename(self, path: str, new: str) -> None:
        """Give a file its name. Where the server can, a file of that name is never replaced."""

    def remove(self, path: str) -> None:
        """Delete a file."""

    def make_folder(self, path: str) -> None:
        """Make one folder; its parent must be there. One that is there is left as it is."""

    def close(self) -> None:
        """End the connection."""


@dataclass(frozen=True)
class FileTransport:
    """A `Transport` to a place; `in_place` where files go there under their own name at once."""

    destination: Destination
    place: Place
    warning: str = ""
    in_place: bool = False

    def deliver(self, source: Path, name: str, sha256: str, progress: Progress) -> Receipt:
        """Bring a file to a name below the destination's folder; see `Transport`."""
        remote = self.destination.remote(checked_name(name))
        with self.place.told(remote):
            return _Delivery(self, source, name, sha256, progress, remote).run()

    def make_folder(self) -> None:
        """See `Transport`."""
        if path := path_there(self.destination, ""):
            with self.place.told(self.destination.address):
                self.place.make_folder(path)

    def close(self) -> None:
        """End the connection."""
        self.place.close()


@dataclass
class _Delivery:
    transport: FileTransport
    source: Path
    name: str
    sha256: str
    progress: Progress
    remote: str
    sent_bytes: int = 0
    size: int = field(init=False)
    path: str = field(init=False)
    part: str = field(init=False)
    place: Place = field(init=False)

    def __post_init__(self) -> None:
        self.place = self.transport.place
        self.size = local_size(self.source)
        self.path = path_there(self.transport.destination, self.name)
        in_place = self.transport.in_place
        self.part = self.path if in_place else part_path(self.path, self.sha256)

    def run(self) -> Receipt:
        there = self.place.size(self.path)
        if there is not None and not (self.transport.in_place and there < self.size):
            return Receipt(self.remote, self.size, 0, self._twin(there))
        self._make_folders()
        self._send()
        verified = self._check()
        if self.part != self.path:
            self.place.rename(self.part, self.path)
        return Receipt(self.remote, self.size, self.sent_bytes, verified)

    def _make_folders(self) -> None:
        for folder in reversed(PurePosixPath(self.name).parents[:-1]):
            self.place.make_folder(path_there(self.transport.destination, str(folder)))

    def _send(self) -> None:
        """Bring the part to its full size; raises PackageInvalid when the file is not its hash."""
        offset = self._resume_at()
        digest = hashlib.sha256()
        pieces = self._pieces(offset, digest)
        if offset == self.size > 0:
            for _ in pieces:
                pass
        else:
            self.place.append(self.part, offset, pieces)
        if digest.hexdigest() != self.sha256:
            self.place.remove(self.part)
            raise PackageInvalid(
                f"{self.source} is not what the manifest says (SHA-256 {digest.hexdigest()}, not "
                f"{self.sha256}): it changed after it was packaged. Package again."
            )

    def _resume_at(self) -> int:
        there = self.place.size(self.part)
        if not there or there > self.size:
            return 0
        tail = self.place.read(self.part, max(0, there - TAIL_BYTES))
        if tail is None:  # under its own name it may be another file: not mixed with this one
            return 0 if self.transport.in_place else there
        if _is_end(tail, self.source, there):
            return there
        if self.transport.in_place:
            raise self._other(there)
        return 0

    def _pieces(self, offset: int, digest: "hashlib._Hash") -> Iterator[bytes]:
        """What is yet to be sent; the digest is fed with the whole file."""
        with self.source.open("rb") as file:
            left = offset
            while left and (piece := file.read(min(left, PIECE_BYTES))):
                digest.update(piece)
                left -= len(piece)
            while piece := file.read(PIECE_BYTES):
                digest.update(piece)
                yield piece
                self.sent_bytes += len(piece)
                self.progress(len(piece))

    def _twin(self, there: int) -> Verified:
        verified = self._compare(self.path)
        if verified is None:
            raise self._other(there)
        return verified

    def _other(self, there: int) -> DeliveryFailed:
        return DeliveryFailed(
            f"{self.remote} is there already with other content ({there} bytes, not these "
            f"{self.size}) and stays as it is. Delete or rename it there, or deliver to another folder.",
            is_lasting=True,
        )

    def _check(self) -> Verified:
        verified = self._compare(self.part)
        if verified is not None:
            return verified
        there = self.place.size(self.part)
        if there is None and self.transport.in_place:
            return ""  # the agency has taken it in already
        if there is not None and there < self.size:
            raise DeliveryFailed(
                f"{self.remote}: only {there} of {self.size} bytes arrived, and the server does not say "
                "why (a full disk?). Another try goes on from there."
            )
        self.place.remove(self.part)
        raise DeliveryFailed(
            f"{self.remote}: what arrived is not what was sent, so it was deleted. Another try sends it "
            "anew."
        )

    def _compare(self, path: str) -> Verified | None:
        """By what a file there is the same as this one; None when it is not."""
        there = self.place.size(path)
        if there != self.size:
            return "" if there is None and not self.place.tells_sizes else None
        found = self.place.sha256(path)
        if found is None and there <= self.place.reads_back:
            pieces = self.place.read(path, 0)
            found = None if pieces is None else _hash(pieces)
        if found is not None:
            return "sha256" if found == self.sha256 else None
        tail = self.place.read(path, max(0, there - TAIL_BYTES))
        return "size" if tail is None or _is_end(tail, self.source, there) else None


def path_there(destination: Destination, name: str) -> str:
    """The path of a name as the server takes it: without a folder, or below /~, from the login's."""
    folder = destination.folder
    folder = folder[3:] if folder == "/~" or folder.startswith("/~/") else folder
    return (
        f"{folder}/{name}".strip("/")
        if not folder.startswith("/")
        else f"{folder}/{name}".rstrip("/")
    )


def local_size(source: Path) -> int:
    """The size of the file to deliver; raises PackageInvalid where it is not there."""
    try:
        with source.open("rb") as file:
            return file.seek(0, SEEK_END)
    except OSError as error:
        raise PackageInvalid(
            f"{source} cannot be read ({error.strerror}). Package again."
        ) from error


def checked_name(name: str) -> str:
    """A name that stays below its folder and in its line; raises PackageInvalid for others."""
    is_odd = any(category(sign) in ("Cc", "Cs") for sign in name)  # control signs, no characters
    if is_odd or "\\" in name or any(part in ("", ".", "..") for part in name.split("/")):
        raise PackageInvalid(f"{name!r} cannot be the name of a file over there. Package again.")
    return name


def part_path(path: str, sha256: str) -> str:
    """The name under which a file arrives: the same for the same bytes, another for others."""
    folder, slash, name = path.rpartition("/")
    short = name.encode()[:_NAME_BYTES].decode(errors="ignore")
    return f"{folder}{slash}{short}.{sha256[:16]}.part"


def _hash(pieces: Iterable[bytes]) -> str:
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()


def _is_end(tail: Iterable[bytes], source: Path, end: int) -> bool:
    """Whether bytes begin with those of a local file that end at an offset.

    More may follow: a server may still write what came over a line that has broken.
    """
    start = max(0, end - TAIL_BYTES)
    with source.open("rb") as file:
        file.seek(start)
        return b"".join(tail)[: end - start] == file.read(end - start)
