"""Originals wherever they are: the one place that knows which kind of address is read by what.

A new kind of place is a module with the functions of `s3` and a line in each function here.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from dam_pipeline.buckets import SCHEME
from dam_pipeline.errors import SourceChanged
from dam_pipeline.identity import fingerprint_file
from dam_pipeline.sources import content, s3
from dam_pipeline.sources.content import Content, address_identity, collision_identity
from dam_pipeline.sources.folder import list_place
from dam_pipeline.sources.listing import Listed, Listing


def is_remote(address: str) -> bool:
    """Whether what is at an address must be brought here before programs can open it."""
    return address.startswith(SCHEME)


def list_originals(place: str, exclude: Sequence[str] = (), home: Path | None = None) -> Listing:
    """All media files at a path or a remote address; see `folder.list_place`, `s3.list_objects`."""
    return s3.list_objects(place, exclude) if is_remote(place) else list_place(place, exclude, home)


def read_content(file: Listed) -> Content | None:
    """Fingerprint of a listed file; None when it is no longer what was listed: look again later."""
    return s3.read_content(file) if is_remote(file.uri) else content.read_content(file)


def whole_sha256(file: Listed) -> str | None:
    """SHA-256 (64 hex digits) of every byte; None when it changed meanwhile or cannot be read."""
    return s3.whole_sha256(file) if is_remote(file.uri) else content.whole_sha256(file)


def check_remote(file: Listed) -> None:
    """Raise SourceUnavailable, SourceChanged or UnreadableMedia when a file is not as listed."""
    s3.check(file)


def bring(file: Listed, media_id: str, path: Path, on_bytes: Callable[[int], None]) -> None:
    """Copy a remote file to `path` and prove that it is the media that it was taken for.

    Raises SourceChanged when it is not, else what `check_remote` raises, and OSError for `path`.
    """
    s3.download(file, path, on_bytes)
    if not _is_media(file, media_id, path):
        raise SourceChanged(
            f"{file.uri} holds other bytes than when it was found. It is taken anew at the next "
            "look (`dam ingest` does it now)."
        )


def _is_media(file: Listed, media_id: str, path: Path) -> bool:
    found = fingerprint_file(path)
    if media_id in (found, address_identity(file.uri, file.size_bytes)):
        return path.stat().st_size == file.size_bytes
    whole = content.whole_sha256(list_place(path).files[0])
    return whole is not None and media_id == collision_identity(found, whole)
