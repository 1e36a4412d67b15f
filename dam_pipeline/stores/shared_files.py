"""Derived files that several workers share: objects below the library's storage address.

Laid out as under DAM_HOME: `derived/ab/<media_id>/…`. What is written lies on this machine, in a
folder of this process, until `flush` stores it; only whole, stored files ever get into the cache
below DAM_HOME/derived, so that other processes here, and whoever comes after a crash, find in it
nothing that the storage does not have.
"""

import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path

from dam_pipeline.errors import ConfigurationError, DiskFull, StoreUnavailable
from dam_pipeline.settings import Settings
from dam_pipeline.stores.cache import Cache, missing
from dam_pipeline.stores.derived import FOLDER, RESERVE_BYTES, DerivedFiles, replaced
from dam_pipeline.stores.objects import Objects

MARKER = ".cache-of"  # the file that tells a cache from a library's own files
RESULTS = ("json", "parquet")  # what is not a picture
ASK_AGAIN_S = 5.0  # while the storage is away; meanwhile what it said last is said again

_File = tuple[str, str]  # media id, name below its folder


class _Written(threading.local):
    """What a thread has written or deleted since its last flush."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Begin anew."""
        self.files: dict[_File, Path] = {}
        self.gone: set[_File] = set()


class SharedFiles(DerivedFiles):
    """Derived files in the storage of `settings`; a thread's own are stored by its `flush`."""

    def __init__(self, settings: Settings, unstored: Callable[[], Path] | None) -> None:
        super().__init__(settings.home)
        self._objects = Objects(settings.storage_url)
        self._cache = Cache(self._objects, FOLDER, self.root, settings.cache_bytes)
        self._make_folder = unstored
        self._unstored: Path | None = None
        self._written = _Written()
        self._opening = threading.Lock()
        self._away: StoreUnavailable | None = None
        self._asked_s = 0.0

    def path(self, media_id: str, name: str) -> Path:
        """A file of a media, brought here from the storage unless it is; raises StoreUnavailable."""
        if self._unstored is not None:
            own = self._unstored / _shard(media_id) / name
            if own.exists():
                return own
        if (media_id, name) in self._written.gone:
            return missing(self.folder(media_id) / name)
        return self._cache.path(_shard(media_id), name)

    def names(self, media_id: str) -> set[str]:
        """The names of all files of a media, those not yet stored as well."""
        own = {name for one, name in self._written.files if one == media_id}
        gone = {name for one, name in self._written.gone if one == media_id}
        return {*self._cache.names(_shard(media_id)), *own} - gone

    def size_bytes(self, media_id: str) -> int:
        """What the stored files of a media take together, whether they were brought here or not."""
        return sum(one.size_bytes for one in self._cache.names(_shard(media_id)).values())

    def has(self, media_id: str, name: str) -> bool:
        """Whether a media has a file; it is not brought here."""
        return name in self.names(media_id)

    def bring(
        self,
        media_ids: Iterable[str],
        stages: Collection[str] | None = None,
        *,
        pictures: bool = False,
        anew: bool = True,
    ) -> None:
        """Look again at what is stored of these media and bring it, several objects at a time.

        Without the storage, nothing happens: it is told by whoever has to read.
        """
        wanted = None if stages is None else {self.stem(stage) for stage in stages}

        def is_wanted(name: str) -> bool:
            stem, _, form = name.rpartition(".")
            if form not in RESULTS:
                return pictures
            return wanted is None or stem in wanted

        folders = [_shard(media_id) for media_id in media_ids]
        for folder in folders if anew else ():
            self._cache.forget(folder)
        try:
            self._cache.bring(folders, is_wanted)
        except StoreUnavailable as error:
            self._note_away(error)
        except DiskFull:
            return

    def media_ids(self) -> Iterator[str]:
        """Ids of all media that have stored files, in order."""
        shards = [f"{FOLDER}/{shard}/" for shard in self._objects.folders(f"{FOLDER}/")]
        for ids in self._cache.in_parallel(lambda one: list(self._objects.folders(one)), shards):
            yield from ids

    def forget(self, media_id: str, names: Iterable[str]) -> None:
        """Delete some files of a media; the storage hears of it at the next flush."""
        known = self.names(media_id)
        for name in names:
            own = self._written.files.pop((media_id, name), None)
            if own:
                own.unlink(missing_ok=True)
            if name in known:
                self._written.gone.add((media_id, name))

    def check_room(self) -> None:
        """Raise DiskFull without room on the disk, StoreUnavailable while the storage is away."""
        try:
            super().check_room()
        except DiskFull:
            self._cache.make_room(RESERVE_BYTES)
            super().check_room()
        if self._away is not None:
            if time.monotonic() - self._asked_s < ASK_AGAIN_S:
                raise self._away
            try:
                next(self._objects.folders(f"{FOLDER}/"), None)
            except StoreUnavailable as error:
                self._note_away(error)
                raise
            self._away = None

    def flush(self) -> None:
        """Store all that this thread wrote; when it returns, every worker can read it.

        First what outcome files speak of, then these, then what is gone is deleted: whatever stops
        it, an outcome file that is stored has its table. Raises StoreUnavailable, and nothing of
        what was written is kept then.
        """
        files = {one: path for one, path in self._written.files.items() if path.exists()}
        gone = self._written.gone
        if not files and not gone:
            return
        try:
            for is_last in (False, True):
                some = [one for one in files if one[1].endswith(".json") is is_last]
                self._cache.in_parallel(self._store, [(one, files[one]) for one in some])
            self._objects.delete(f"{FOLDER}/{_shard(one)}/{name}" for one, name in sorted(gone))
        except BaseException as error:
            if isinstance(error, StoreUnavailable):
                self._note_away(error)
            for media_id in {one for one, _ in (*files, *gone)}:
                self._cache.forget(_shard(media_id))
            raise
        finally:
            for path in files.values():
                path.unlink(missing_ok=True)
            self._written.clear()
        for media_id, name in gone:
            self._cache.forget(_shard(media_id), [name])
        self._cache.make_room()

    def drop_unstored(self) -> None:
        """Delete what any thread wrote and did not store."""
        self._written.clear()
        if self._unstored is not None:
            shutil.rmtree(self._unstored, ignore_errors=True)

    def _note_away(self, error: StoreUnavailable) -> None:
        self._away, self._asked_s = error, time.monotonic()

    def _store(self, one: tuple[_File, Path]) -> None:
        (media_id, name), path = one
        stored = self._objects.put_file(f"{FOLDER}/{_shard(media_id)}/{name}", path)
        self._cache.take(_shard(media_id), name, path, stored)

    def _target(self, media_id: str, name: str) -> Path:
        target = self._folder() / _shard(media_id) / name
        self._written.files[media_id, name] = target
        self._written.gone.discard((media_id, name))
        return target

    def _folder(self) -> Path:
        with self._opening:
            if self._unstored is None:
                if self._make_folder is None:
                    raise ConfigurationError("These derived files were opened for reading only.")
                self._unstored = Path(tempfile.mkdtemp(prefix="unstored-", dir=self._make_folder()))
            return self._unstored


def _shard(media_id: str) -> str:
    return f"{media_id[:2]}/{media_id}"


def open_derived(settings: Settings, unstored: Callable[[], Path] | None = None) -> DerivedFiles:
    """The derived files of a library, wherever its settings keep them.

    `unstored` makes a folder for files on their way to the storage, on the disk of DAM_HOME; who
    gives none may only read. Raises ConfigurationError when DAM_HOME/derived is a cache and should
    not be, or should be one and holds files of its own: these could be thrown out.
    """
    _check_marker(settings)
    return SharedFiles(settings, unstored) if settings.storage_url else DerivedFiles(settings.home)


def _check_marker(settings: Settings) -> None:
    folder, address = settings.home / FOLDER, settings.storage_url.rstrip("/")
    marker = folder / MARKER
    cached = marker.read_text().strip() if marker.exists() else ""
    if cached == address:
        return
    if cached:
        raise ConfigurationError(
            f"{folder} is a cache of {cached}, and DAM_STORAGE_URL is "
            f"{address or 'empty'}. Set it to {cached}, set DAM_HOME to another folder, or delete "
            f"{folder}: nothing is lost by that."
        )
    if any(folder.glob("??/*")):
        raise ConfigurationError(
            f"{folder} holds the files of a library, and would be a cache of {address}. Copy them "
            "there, move the folder away and run `dam rebuild`; or set DAM_HOME to another folder."
        )
    with replaced(marker) as temporary:
        temporary.write_text(address + "\n")
