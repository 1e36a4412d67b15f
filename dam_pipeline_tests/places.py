"""Folders of tiny files with a chosen age, and looks at them, for the tests of sources."""

import ctypes
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dam_pipeline.catalogue.catalogue import Catalogue
from dam_pipeline.catalogue.registry import Source
from dam_pipeline.catalogue.watching import Afoot, Watched, watch
from dam_pipeline.records import Media
from dam_pipeline.settings import Settings
from dam_pipeline.stores.derived import DerivedFiles

OLD_S = 3600.0
CAPABILITY_VERSION_3 = 0x20080522
MAY_READ_ANYTHING = 0b110  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH


def write(path: Path, content: str | bytes = "", age_s: float = OLD_S) -> Path:
    """A file with this content, last changed `age_s` ago; its folders are made."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return aged(path, age_s)


def aged(path: Path, age_s: float) -> Path:
    """Set a file's modification time to `age_s` ago."""
    when = time.time() - age_s
    os.utime(path, (when, when))
    return path


def sparse(path: Path, size_bytes: int, marks: dict[int, bytes], age_s: float = OLD_S) -> Path:
    """A large file of zeros with some bytes set, which takes no room on the disk."""
    with open(path, "wb") as file:
        file.truncate(size_bytes)
        for at, mark in marks.items():
            file.seek(at)
            file.write(mark)
    return aged(path, age_s)


@contextmanager
def as_ordinary_user() -> Iterator[None]:
    """Let permissions count for this thread even when the tests are run by root."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION_3, 0)
    before = (ctypes.c_uint32 * 6)()
    assert libc.capget(header, before) == 0
    reduced = (ctypes.c_uint32 * 6)(*before)
    reduced[0] &= ~MAY_READ_ANYTHING  # the effective set only, so that it can be had back
    assert libc.capset(header, reduced) == 0
    try:
        yield
    finally:
        assert libc.capset(header, before) == 0


class Library:
    """A catalogue with derived files, and one watched folder."""

    def __init__(self, settings: Settings, catalogue: Catalogue, folder: Path) -> None:
        self.settings, self.catalogue, self.folder = settings, catalogue, folder
        self.derived = DerivedFiles(settings.home)
        self.source = Source("films", f"file://{folder}")
        self.afoot = Afoot()

    def look(self) -> Watched:
        """One tick of the sensor's work."""
        return watch([self.source], self.catalogue, self.derived, self.settings, self.afoot)

    def settle(self) -> Watched:
        """Two ticks: what had settled before the first is taken at the second."""
        self.look()
        return self.look()

    def media(self) -> dict[str, Media]:
        """All media that are not superseded, by the name first seen."""
        return {media.first_name: media for media in self.catalogue.all_media()}

    def present(self) -> dict[str, str]:
        """Media id by path below the folder, of all places that are present."""
        start = len(f"file://{self.folder}/")
        return {
            place.uri[start:]: place.media_id
            for place in self.catalogue.locations()
            if place.missing_since is None
        }
