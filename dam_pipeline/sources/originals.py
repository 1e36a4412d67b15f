"""Originals wherever they are: the one place that knows which kind of address is read by what.

A new kind of place is a module with the functions of `s3` and a line in each function here.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol

from dam_pipeline.buckets import SCHEME
from dam_pipeline.errors import DamError, SourceChanged
from dam_pipeline.formats import suffix_of
from dam_pipeline.identity import fingerprint_file, uri_to_path
from dam_pipeline.records import Location
from dam_pipeline.settings import Settings
from dam_pipeline.sources import content, s3
from dam_pipeline.sources.content import Content, address_identity, collision_identity
from dam_pipeline.sources.folder import Walk, list_place
from dam_pipeline.sources.listing import Listed, Listing
from dam_pipeline.sources.s3_listing import BucketWalk, check_reachable, list_objects

NAME_BYTES = 200  # longer names have no room for what decoders put beside them
TAGS_BYTES = 16 << 20  # larger sidecars hold no tags


class Walking(Protocol):
    """A listing in progress, which may be left and gone on with."""

    exclude: Sequence[str]

    @property
    def found(self) -> int:
        """How many media files were found so far."""
        ...

    def go_on(self, until_s: float | None = None) -> bool:
        """List until done (returns True) or until `time.monotonic()` is `until_s` (False)."""
        ...

    def listing(self) -> Listing:
        """What was found so far."""
        ...


def is_remote(address: str) -> bool:
    """Whether what is at an address must be brought here before programs can open it."""
    return address.startswith(SCHEME)


def list_originals(place: str, settings: Settings) -> Listing:
    """All media files at a path or a remote address; see `folder.list_place`, `list_objects`."""
    if is_remote(place):
        return list_objects(place, settings.exclude, settings.storage_url)
    return list_place(place, settings.exclude, settings.home)


def open_walk(uri: str, settings: Settings, exclude: Sequence[str], part: Path) -> Walking:
    """A listing of a folder or a bucket, to be gone on with; that of a bucket is kept in `part`."""
    left_out = (*settings.exclude, *exclude)
    if is_remote(uri):
        return BucketWalk(uri, left_out, settings.storage_url, part)
    return Walk(uri_to_path(uri), left_out, settings.home)


def is_reachable(uri: str) -> bool:
    """Whether the folder is there now, or the bucket answers and may be listed."""
    if not is_remote(uri):
        return uri_to_path(uri).is_dir()
    try:
        check_reachable(uri)
    except DamError:
        return False
    return True


def read_content(file: Listed) -> Content | None:
    """Fingerprint of a listed file; None when it is no longer what was listed: look again later."""
    return s3.read_content(file) if is_remote(file.uri) else content.read_content(file)


def whole_sha256(file: Listed) -> str | None:
    """SHA-256 (64 hex digits) of every byte; None when it changed meanwhile or cannot be read."""
    return s3.whole_sha256(file) if is_remote(file.uri) else content.whole_sha256(file)


def is_there(uri: str) -> bool:
    """Whether a local file can be seen now; of a remote one that is not known before it is read."""
    return is_remote(uri) or uri_to_path(uri).exists()


def is_as_found(place: Location) -> bool:
    """Whether a local file has the size and time with which it was found; remote ones are believed."""
    if is_remote(place.uri):
        return True
    try:
        found = uri_to_path(place.uri).stat()
    except OSError:
        return False
    return (found.st_size, found.st_mtime_ns) == (place.size_bytes, place.mtime_ns)


def local_name(uri: str) -> str:
    """The name of a copy: the original's own, which messages tell; its end where it is very long."""
    name = uri.rpartition("/")[2]
    return name.encode()[-NAME_BYTES:].decode(errors="ignore")


def pieces(file: Listed) -> Iterator[bytes]:
    """All bytes of a remote file without a copy; raises as `check_remote`."""
    return s3.pieces(file, 0, file.size_bytes)


def sidecars_at(path: Path) -> list[Path]:
    """The files beside a local one that belong to it."""
    beside = (sidecar for file in list_place(path).files for sidecar in file.sidecars)
    return [uri_to_path(sidecar.uri) for sidecar in beside]


def bring_sidecars(uri: str, folder: Path) -> list[Path]:
    """Copies of the sidecars of a remote file; those that nobody reads have their size and no bytes.

    Raises as `check_remote`.
    """
    brought = []
    for sidecar in (one for file in list_objects(uri).files for one in file.sidecars):
        path = folder / local_name(sidecar.uri)
        if sidecar.size_bytes <= TAGS_BYTES and suffix_of(path.name) == "xmp":
            s3.download(Listed(sidecar.uri, sidecar.size_bytes, sidecar.mtime_ns), path)
        else:
            with open(path, "wb") as file:
                file.truncate(sidecar.size_bytes)
        brought.append(path)
    return brought


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
