"""Reading originals as far as telling them apart needs: fingerprints, and whole checksums.

A file that cannot be read, and an empty one, get an identity from their address instead, so that
each is a media of its own that people see as failed with its reason.
"""

import hashlib
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass

from dam_pipeline.identity import MEDIA_ID_BYTES, fingerprint, uri_to_path
from dam_pipeline.sources.listing import Listed

PIECE_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class Content:
    """Who a listed file is by what is in it; `is_readable` is False when its address stood in."""

    media_id: str
    is_readable: bool = True


def address_identity(uri: str, size_bytes: int) -> str:
    """The media id (32 hex digits) of a file that has no content to go by, from address and size."""
    digest = hashlib.blake2b(b"address\0", digest_size=MEDIA_ID_BYTES)
    digest.update(f"{size_bytes}\0{uri}".encode())
    return digest.hexdigest()


def collision_identity(media_id: str, sha256: str) -> str:
    """The media id of a file whose fingerprint is another's although its bytes are not."""
    return hashlib.blake2b(f"{media_id}\0{sha256}".encode(), digest_size=MEDIA_ID_BYTES).hexdigest()


def read_content(file: Listed) -> Content | None:
    """Fingerprint of a listed file; None when it is no longer what was listed: look again later.

    At most 64 MiB are read (see `identity.fingerprint`).
    """
    by_address = Content(address_identity(file.uri, file.size_bytes), is_readable=False)
    if file.size_bytes == 0:
        return by_address
    try:
        descriptor = _open_regular(file)
    except FileNotFoundError:
        return None
    except OSError:
        return by_address
    if descriptor is None:
        return None
    try:
        found = fingerprint(file.size_bytes, lambda at, length: _pread(descriptor, at, length))
        return Content(found) if _is_as_listed(descriptor, file) else None
    except OSError:
        return by_address
    finally:
        os.close(descriptor)


def whole_sha256(file: Listed, on_bytes: Callable[[int], None] | None = None) -> str | None:
    """SHA-256 (64 hex digits) of every byte; None when it changed meanwhile or cannot be read."""
    digest = hashlib.sha256()
    try:
        descriptor = _open_regular(file)
        if descriptor is None:
            return None
        try:
            at = 0
            while piece := os.pread(descriptor, PIECE_BYTES, at):
                digest.update(piece)
                at += len(piece)
                if on_bytes:
                    on_bytes(len(piece))
            return digest.hexdigest() if _is_as_listed(descriptor, file) else None
        finally:
            os.close(descriptor)
    except OSError:
        return None


def _open_regular(file: Listed) -> int | None:
    # Without O_NONBLOCK, a pipe that took the file's place would hang the look for ever.
    descriptor = os.open(uri_to_path(file.uri), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    if _is_as_listed(descriptor, file):
        return descriptor
    os.close(descriptor)
    return None


def _is_as_listed(descriptor: int, file: Listed) -> bool:
    status = os.fstat(descriptor)
    return stat.S_ISREG(status.st_mode) and (status.st_size, status.st_mtime_ns) == (
        file.size_bytes,
        file.mtime_ns,
    )


def _pread(descriptor: int, at: int, length: int) -> bytes:
    """Exactly the bytes asked for, unless the file ends: network shares may give fewer at once."""
    pieces = []
    while length > 0 and (piece := os.pread(descriptor, length, at)):
        pieces.append(piece)
        at += len(piece)
        length -= len(piece)
    return b"".join(pieces)
