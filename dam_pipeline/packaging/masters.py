"""Masters as they are packaged: brought here where they are remote, and proved to be what was found."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dam_pipeline.errors import SourceChanged, SourceUnavailable
from dam_pipeline.packaging.verification import sha256_of
from dam_pipeline.records import Location
from dam_pipeline.stages.work import Toolbox, Work
from dam_pipeline.stock.record import Item


@dataclass(frozen=True, slots=True)
class Master:
    """A master that can be opened at `path`, and the SHA-256 of its bytes (64 hex digits)."""

    path: Path
    sha256: str


@contextmanager
def opened_master(
    tools: Toolbox, item: Item, place: Location | None, check_stopped: Callable[[], None]
) -> Iterator[Master]:
    """The master of an item, the same before and after it was used; a copy of a remote one goes then.

    Raises SourceUnavailable when it is nowhere, SourceChanged when it holds other bytes than the
    catalogue knows or is written to meanwhile, DiskFull.
    """
    work = Work(item.media, place, {}, tools)
    try:
        work.original.check()
        if work.original.is_remote and work.original.is_over_limit:
            raise SourceUnavailable(
                f"{item.media.first_name} has {item.media.size_bytes:,} bytes, more than copies of "
                "remote originals may take. Raise DAM_SCRATCH_BYTES."
            )
        path = work.original.path
        before = _state(path)
        sha256 = sha256_of(path, lambda _: check_stopped())
        if item.sha256 and sha256 != item.sha256:
            raise SourceChanged(
                f"{item.media.first_name} holds other bytes than when it was taken in "
                f"(SHA-256 {sha256[:12]}… instead of {item.sha256[:12]}…). Bring the original back, "
                "or `dam ingest` it as it is now."
            )
        yield Master(path, sha256)
        if _state(path) != before:
            raise SourceChanged(
                f"{item.media.first_name} was written to while it was packaged. Package again when "
                "nobody works on it."
            )
    finally:
        work.clean()


def _state(path: Path) -> tuple[int, ...]:
    # Not the time of the inode's last change: a hard link to it counts as one.
    found = os.stat(path)
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
