"""Delivery into a folder of this machine or a mounted share."""

import errno
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dam_pipeline.errors import DeliveryFailed
from dam_pipeline.publishing import Destination
from dam_pipeline.publishing.parts import PIECE_BYTES, FileTransport
from dam_pipeline.settings import Settings

_TRANSIENT = (errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EHOSTDOWN, errno.ENOTCONN)
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EACCES)


def open_transport(destination: Destination, settings: Settings) -> FileTransport:
    """The transport to a folder; raises DeliveryFailed where its parent is not there.

    A folder is made, its parents are not: a share that is not mounted would be taken for one.
    """
    folder = Path(destination.folder)
    if not folder.is_dir() and not folder.parent.is_dir():
        raise DeliveryFailed(
            f"{folder.parent} is not there: a share that is not mounted? Mount or make it, or "
            "deliver to another folder.",
            is_lasting=True,
        )
    return FileTransport(destination, _Folder())


class _Folder:
    reads_back = 1 << 62
    tells_sizes = True

    @contextmanager
    def told(self, path: str) -> Iterator[None]:
        """See `Place.told`."""
        try:
            yield
        except OSError as error:
            raise DeliveryFailed(
                f"{path}: {error.strerror}.{_advice(error)}",
                is_lasting=error.errno not in _TRANSIENT,
            ) from error

    def size(self, path: str) -> int | None:
        """See `Place.size`."""
        try:
            return Path(path).stat().st_size
        except FileNotFoundError:
            return None

    def append(self, path: str, offset: int, pieces: Iterable[bytes]) -> None:
        """Write pieces and wait until they are on the disk."""
        with Path(path).open("r+b" if offset else "wb") as file:
            file.seek(offset)
            for piece in pieces:
                file.write(piece)
            file.flush()
            os.fsync(file.fileno())

    def read(self, path: str, offset: int) -> Iterator[bytes]:
        """See `Place.read`."""
        with Path(path).open("rb") as file:
            file.seek(offset)
            while piece := file.read(PIECE_BYTES):
                yield piece

    def sha256(self, _path: str) -> None:
        """Nobody but us hashes here."""
        return

    def rename(self, path: str, new: str) -> None:
        """Give the file its name by a link, which never replaces one that came meanwhile."""
        try:
            os.link(path, new)
        except OSError as error:
            if error.errno not in _NO_LINKS or Path(new).exists():
                raise
            Path(path).rename(new)  # such as FAT: without links
        else:
            Path(path).unlink()
        _flush_folder(Path(new).parent)

    def remove(self, path: str) -> None:
        """See `Place.remove`."""
        Path(path).unlink(missing_ok=True)

    def make_folder(self, path: str) -> None:
        """See `Place.make_folder`."""
        Path(path).mkdir(exist_ok=True)

    def close(self) -> None:
        """There is nothing to end."""


def _flush_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some shares cannot flush a folder
            os.fsync(handle)
    finally:
        os.close(handle)


def _advice(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return " Make room there and publish again: it goes on where it stopped."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return " Allow this user to write there, or deliver to another folder."
    return ""
