"""Listing a folder or a single file of the local file system, network mounts included.

Nothing is opened here, only names and `stat`: a file that cannot be read is listed all the same.
Names are bytes on disk; they travel as surrogate-escaped strings and percent-encoded addresses, so
no Unicode form is changed.
"""

import errno
import os
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from time import monotonic
from urllib.parse import quote_from_bytes, unquote_to_bytes

from dam_pipeline.formats import SIDECAR, kind_of_name, suffix_of
from dam_pipeline.identity import path_to_uri
from dam_pipeline.sources.listing import Listed, Listing, Sidecar, SkipCounts

SYSTEM_NAMES = frozenset(
    name.casefold()
    for name in (
        "@eaDir", "#recycle", "#snapshot", "$RECYCLE.BIN", "RECYCLER", "System Volume Information",
        "lost+found", "__MACOSX",
    )
)  # fmt: skip
# Sony writes C0001M01.XML beside C0001.MP4.
_CARD_SUFFIX = re.compile(r"m\d\d$")


def list_place(path: str | Path, exclude: Sequence[str] = (), home: Path | None = None) -> Listing:
    """All media files at `path`, a folder or one file; never raises for what it finds there.

    `exclude` are glob patterns (see `is_left_out`); `home` is a folder that is passed over.
    """
    walk = Walk(path, exclude, home)
    walk.go_on()
    return walk.listing()


def is_left_out(relative: str, exclude: Sequence[str]) -> bool:
    """Whether a path below a root is passed over for its name or that of a folder above it.

    Hidden and system names are, and what fits a glob pattern of `exclude`. A pattern is compared,
    case included, with each name and each path from the root; `*` also matches `/`, so
    `*.tmp.mp4`, `Proxies` and `2019/*/rejected` all do what one expects.
    """
    return bool(why_left_out(relative, exclude))


def why_left_out(relative: str, exclude: Sequence[str]) -> str:
    """The field of SkipCounts that `is_left_out` goes by; empty when the path is not left out."""
    parts = relative.split("/")
    reasons = (
        _why_skipped(one, "/".join(parts[:end]), exclude) for end, one in enumerate(parts, 1)
    )
    return next(filter(None, reasons), "")


def path_below(uri: str, root: str) -> str:
    """The path of a file from the root, both given as addresses; empty for the root itself."""
    below = uri.removeprefix(root).lstrip("/")
    return os.fsdecode(unquote_to_bytes(below)) if uri.startswith("file://") else below


def has_left(old: Path, new: Path) -> bool:
    """Whether the file at `new` may have come from `old`, because nothing of that name is there.

    Unlike `exists`, tells `a.JPG` from `a.jpg` on file systems that do not. A folder that is not
    there counts as renamed only on the file system of `new`: elsewhere it may not be mounted.
    """
    try:
        if os.path.lexists(old):
            # Only here can the two names be one: reading the folder for each file would be slow.
            may_be_one = old.name.casefold() == new.name.casefold() and old.parent == new.parent
            return may_be_one and old.name not in os.listdir(old.parent)
        folder = next(one for one in old.parents if one.exists())
        return folder == old.parent or folder.stat().st_dev == new.stat().st_dev
    except OSError:
        return False


@dataclass(slots=True)
class Walk:
    """A listing in progress, which may be left and gone on with: network shares can be slow.

    Real folders come first, linked ones after them, so that a file is listed under its own folder.
    """

    path: str | Path
    exclude: Sequence[str] = ()
    home: Path | None = None
    skipped: SkipCounts = field(default_factory=SkipCounts)
    problem: str = ""
    _folders: list[tuple[str, str]] = field(default_factory=list)  # (path, path below the root)
    _links: list[tuple[str, str]] = field(default_factory=list)
    _seen: set[tuple[int, int]] = field(default_factory=set)
    _files: list[Listed] = field(default_factory=list)
    _unlisted: list[str] = field(default_factory=list)
    _home: tuple[int, int] | None = None
    _folder: tuple[str, str] = ("", "")  # the present one and its address: quoting takes long
    _started: bool = False

    def go_on(self, until_s: float | None = None) -> bool:
        """List until done (returns True) or until `time.monotonic()` is `until_s` (False)."""
        if not self._started:
            self._start()
        while self._folders or self._links:
            if until_s is not None and monotonic() >= until_s:
                return False
            path, below = (self._folders or self._links).pop()
            self._list_folder(path, below)
        return True

    def listing(self) -> Listing:
        """What was found so far."""
        return Listing(
            root=path_to_uri(self.path),
            files=tuple(sorted(self._files, key=lambda file: file.uri)),
            skipped=self.skipped,
            unlisted=tuple(sorted(self._unlisted)),
            problem=self.problem,
        )

    @property
    def found(self) -> int:
        """How many media files were found so far."""
        return len(self._files)

    def _start(self) -> None:
        self._started = True
        root = os.path.abspath(self.path)
        try:
            if self.home is not None and self.home.exists():
                self._home = _identity(os.stat(self.home))
            is_folder = stat.S_ISDIR(os.stat(root).st_mode)
        except OSError as error:
            self.problem = f"{root} cannot be listed: {error.strerror or error}"
            return
        if is_folder:
            self._folders.append((root, ""))
        else:
            self._take_one(root)

    def _list_folder(self, path: str, below: str) -> None:
        try:
            identity = _identity(os.stat(path))
            if identity == self._home:
                self.skipped.system += 1
                return
            if identity in self._seen:
                self.skipped.loops += 1
                self._unlisted.append(_uri(path))
                return
            self._seen.add(identity)
            with os.scandir(path) as entries:
                files = [
                    entry.name for entry in entries if self._is_file(entry, below + entry.name)
                ]
        except OSError as error:
            if not below:
                self.problem = f"{path} cannot be listed: {error.strerror or error}"
            self._cannot_read(path, error)
            return
        self._take_files(path, sorted(files))

    def _is_file(self, entry: "os.DirEntry[str]", relative: str) -> bool:
        """Whether an entry is to be looked at as a file; folders are queued."""
        if not self._is_wanted(entry.name, relative):
            return False
        try:
            if not entry.is_dir():
                return True
            queue = self._links if entry.is_symlink() else self._folders
            queue.append((entry.path, f"{relative}/"))
        except OSError as error:
            self._cannot_read(entry.path, error)
        return False

    def _is_wanted(self, name: str, relative: str) -> bool:
        why = _why_skipped(name, relative, self.exclude)
        if why:
            setattr(self.skipped, why, getattr(self.skipped, why) + 1)
        return not why

    def _take_files(self, folder: str, names: Sequence[str]) -> None:
        media = [name for name in names if kind_of_name(name)]
        owned = sidecars_of(media, names)
        taken = {sidecar for found in owned.values() for sidecar in found}
        self.skipped.other += len(names) - len(media) - len(taken)
        for name in media:
            self._take(folder, name, owned.get(name, ()))

    def _take_one(self, path: str) -> None:
        folder, name = os.path.split(path)
        if not kind_of_name(name):
            self.skipped.other += 1
            return
        try:
            beside = sorted(one for one in os.listdir(folder) if _is_sidecar(one))
        except OSError:
            beside = []  # the file itself may be within reach even so
        self._take(folder, name, sidecars_of([name], beside).get(name, ()))

    def _take(self, folder: str, name: str, sidecars: Sequence[str]) -> None:
        path = f"{folder.rstrip('/')}/{name}"
        try:
            status = os.stat(path)
        except OSError as error:
            self._cannot_read(path, error)
            return
        if not stat.S_ISREG(status.st_mode):
            self.skipped.other += 1
            return
        found = tuple(s for one in sidecars if (s := _sidecar(os.path.join(folder, one))))
        if folder != self._folder[0]:
            self._folder = (folder, _uri(folder).rstrip("/"))
        uri = f"{self._folder[1]}/{quote_from_bytes(os.fsencode(name))}"
        self._files.append(Listed(uri, status.st_size, status.st_mtime_ns, status.st_ino, found))

    def _cannot_read(self, path: str, error: OSError) -> None:
        self.skipped.unreadable += 1
        # Broken links and what has just vanished are really not there; the rest is unknown.
        if error.errno not in (errno.ENOENT, errno.ELOOP):
            self._unlisted.append(_uri(path))


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _uri(absolute: str) -> str:
    # As `path_to_uri`, without making absolute again what is: a third of the time of a listing.
    return "file://" + quote_from_bytes(os.fsencode(absolute), safe="/")


def _why_skipped(name: str, relative: str, exclude: Sequence[str]) -> str:
    """The field of SkipCounts that an entry of this name goes under, or an empty string."""
    if name.startswith("."):
        return "hidden"
    if name.casefold() in SYSTEM_NAMES:
        return "system"
    return "excluded" if exclude and _fits(name, relative, exclude) else ""


def _fits(name: str, relative: str, patterns: Sequence[str]) -> bool:
    return any(
        fnmatchcase(name, pattern.rstrip("/")) or fnmatchcase(relative, pattern.rstrip("/"))
        for pattern in patterns
    )


def _is_sidecar(name: str) -> bool:
    return suffix_of(name) in SIDECAR


def _sidecar(path: str) -> Sidecar | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return Sidecar(_uri(path), status.st_size, status.st_mtime_ns)


def sidecars_of(media: Sequence[str], names: Sequence[str]) -> dict[str, list[str]]:
    """Sidecars by the name of the media file: `a.mp4.xmp` belongs to a.mp4, `a.xmp` to every a.*"""
    sidecars = list(filter(_is_sidecar, names))
    whole: dict[str, list[str]] = {}
    stems: dict[str, list[str]] = {}
    for name in media if sidecars else ():
        whole.setdefault(name.casefold(), []).append(name)
        stems.setdefault(name.rpartition(".")[0].casefold(), []).append(name)
    owned: dict[str, list[str]] = {}
    for sidecar in sidecars:
        stem = sidecar.rpartition(".")[0].casefold()
        card = _CARD_SUFFIX.sub("", stem)
        for owner in whole.get(stem) or stems.get(stem) or stems.get(card) or ():
            owned.setdefault(owner, []).append(sidecar)
    return owned
