"""`dam ingest PATH…`: find and register what is at some paths now, in the foreground."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dam_pipeline.catalogue.catalogue import Catalogue
from dam_pipeline.catalogue.looking import known_below, look_as_told
from dam_pipeline.catalogue.registration import Registered, apply
from dam_pipeline.errors import ConfigurationError
from dam_pipeline.identity import uri_to_path
from dam_pipeline.records import Media
from dam_pipeline.settings import Settings
from dam_pipeline.sources.content import Content
from dam_pipeline.sources.listing import Listed, Listing, SkipCounts
from dam_pipeline.sources.originals import (
    is_remote,
    list_originals,
    read_content,
    whole_sha256,
)
from dam_pipeline.sources.scan import LookState, Pending, Rules, is_old_enough
from dam_pipeline.stores.derived import DerivedFiles

RESTAT_S = 1.0  # how long a file that was written just now is watched before it is taken

OnProgress = Callable[[int, int, str], None]


@dataclass(frozen=True, slots=True)
class MediaAt:
    """A media and the place under the given paths where it is."""

    media: Media
    uri: str


@dataclass(frozen=True, slots=True)
class Discovery:
    """What there is at some paths: `discovered` files = new + unchanged + waiting.

    `new` media, and those with changed `sidecars`, want a run; `returned` are known media at other
    places than before, which want one only if they are not done. `waiting` are addresses of files
    that are still being written. `media` are all under the paths, in the order of their addresses.
    """

    discovered: int = 0
    new: tuple[Media, ...] = ()
    sidecars: tuple[Media, ...] = ()
    returned: tuple[Media, ...] = ()
    superseded: tuple[Media, ...] = ()
    unchanged: int = 0
    waiting: tuple[str, ...] = ()
    skipped: SkipCounts = field(default_factory=SkipCounts)
    media: tuple[MediaAt, ...] = ()
    notes: tuple[str, ...] = ()


def discover(
    paths: Sequence[str | Path],
    catalogue: Catalogue,
    derived: DerivedFiles,
    settings: Settings,
    on_progress: OnProgress | None = None,
) -> Discovery:
    """Register what is at `paths` (folders, files, remote addresses) now, and say what was found.

    `on_progress(done, total, address)` is called for each file that is read. Files written in the
    last moment are looked at again after a second and taken if they are as they were. Losses that
    the guard of the sources would refuse are left alone, with a note. Raises ConfigurationError for
    a path that does not exist or lies in DAM_HOME, SourceUnavailable for an address out of reach.
    """
    given = _Given()
    reader = _ProgressReader(settings.sensor_step_files, on_progress)
    for root in _roots(paths, settings.home):
        listing = list_originals(root, settings)
        if listing.problem:
            raise ConfigurationError(f"{listing.problem}. Give a path that can be read.")
        _register_all(listing, catalogue, derived, settings, reader, given)
        given.take_media(listing, catalogue)
    return given.discovery()


@dataclass(slots=True)
class _Given:
    """The sums over all given paths."""

    discovered: int = 0
    new: list[Media] = field(default_factory=list)
    sidecars: list[Media] = field(default_factory=list)
    returned: list[Media] = field(default_factory=list)
    superseded: list[Media] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    skipped: SkipCounts = field(default_factory=SkipCounts)
    media: list[MediaAt] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def take_registered(self, registered: Registered) -> None:
        self.new.extend(registered.new)
        self.sidecars.extend(registered.sidecars)
        self.returned.extend(registered.returned)
        self.superseded.extend(registered.superseded)
        self.notes.extend(registered.notes)

    def take_media(self, listing: Listing, catalogue: Catalogue) -> None:
        known = known_below(catalogue, listing.root)
        listed = (known.places.get(file.uri) for file in listing.files)
        self.media.extend(MediaAt(known.media[at.media_id], at.uri) for at in listed if at)
        self.discovered += len(listing.files)
        self.skipped.add(listing.skipped)

    def discovery(self) -> Discovery:
        return Discovery(
            discovered=self.discovered,
            new=tuple(self.new),
            sidecars=tuple(self.sidecars),
            returned=tuple(self.returned),
            superseded=tuple(self.superseded),
            unchanged=self.discovered - len(self.new) - len(self.waiting),
            waiting=tuple(self.waiting),
            skipped=self.skipped,
            media=tuple(self.media),
            notes=tuple(self.notes),
        )


class _ProgressReader:
    """Reads a step of files at a time and remembers what it has read."""

    def __init__(self, step_files: int, on_progress: OnProgress | None) -> None:
        self._step_files, self._on_progress = step_files, on_progress
        self._contents: dict[str, Content | None] = {}
        self._whole: dict[str, str | None] = {}

    def contents(self, files: Sequence[Listed]) -> Mapping[str, Content | None]:
        """Contents of all files read before, and of the next ones."""
        unread = [file for file in files if file.uri not in self._contents]
        total = len(self._contents) + len(unread)
        for file in unread[: self._step_files]:
            if self._on_progress:
                self._on_progress(len(self._contents), total, file.uri)
            self._contents[file.uri] = read_content(file)
        return {f.uri: self._contents[f.uri] for f in files if f.uri in self._contents}

    def whole(self, files: Sequence[Listed]) -> Mapping[str, str | None]:
        """SHA-256 of all of the files."""
        for file in files:
            if file.uri not in self._whole:
                self._whole[file.uri] = whole_sha256(file)
        return {file.uri: self._whole[file.uri] for file in files}


def _roots(paths: Sequence[str | Path], home: Path) -> list[str]:
    """The given paths made absolute, and addresses, without those that lie in another one."""
    remote = sorted({str(path).rstrip("/") for path in paths if is_remote(str(path))})
    absolute = sorted({os.path.abspath(path) for path in paths if not is_remote(str(path))})
    for path in absolute:
        if not os.path.exists(path):
            raise ConfigurationError(f"There is no {path}. Give a file or a folder that exists.")
        if _is_in(os.path.realpath(path), os.path.realpath(home)):
            raise ConfigurationError(
                f"{path} lies in DAM_HOME, which holds what the pipeline writes. Give originals."
            )
    roots = (*absolute, *remote)
    return [p for p in roots if not any(p != top and _is_in(p, top) for top in roots)]


def _is_in(path: str, folder: str) -> bool:
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def _register_all(
    listing: Listing,
    catalogue: Catalogue,
    derived: DerivedFiles,
    settings: Settings,
    reader: _ProgressReader,
    given: _Given,
) -> None:
    state = LookState(_settled_now(listing, settings.settle_s))
    rules = Rules(settle_s=0.0, disappearance_share=settings.disappearance_share)
    while True:
        decision, doubt = look_as_told(
            listing, catalogue, derived, reader, state, rules, settings.exclude
        )
        given.take_registered(apply(decision, catalogue, derived))
        if not decision.need_fingerprint:
            break
    given.waiting.extend(file.uri for file in decision.waiting)
    if doubt:
        given.notes.append(_left_as_it_is(listing.root, doubt))


def _left_as_it_is(root: str, doubt: str) -> str:
    place = root if is_remote(root) else uri_to_path(root)
    return (
        f"What is missing in {place} was left as it is: {doubt}. If it is gone for good, add it "
        "with `dam source add` and say `dam source accept NAME`."
    )


def _settled_now(listing: Listing, settle_s: float) -> dict[str, Pending]:
    """All listed files but those that still change; waits a moment for those written just now."""
    now_s = time.time()
    young = [
        file
        for file in listing.files
        if not file.appears_whole and not is_old_enough(file.mtime_ns, now_s, settle_s)
    ]
    if young:
        time.sleep(min(settle_s, RESTAT_S))
    changing = {file.uri for file in young if not _is_as_listed(file)}
    return {
        file.uri: Pending(file.size_bytes, file.mtime_ns, 0.0)
        for file in listing.files
        if file.uri not in changing
    }


def _is_as_listed(file: Listed) -> bool:
    try:
        status = os.stat(uri_to_path(file.uri))
    except OSError:
        return False
    return (status.st_size, status.st_mtime_ns) == (file.size_bytes, file.mtime_ns)
