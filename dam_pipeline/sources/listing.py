"""What a look at a place gives: its media files with their sidecars, and what was passed over."""

from dataclasses import dataclass, field, fields

from dam_pipeline.buckets import SCHEME


@dataclass(frozen=True, slots=True)
class Sidecar:
    """A file that belongs to the media file beside it (XMP, XML, THM, LRV, SRT)."""

    uri: str
    size_bytes: int
    mtime_ns: int


@dataclass(frozen=True, slots=True)
class Listed:
    """A media file as the file system shows it; `inode` is 0 where there is no such thing."""

    uri: str
    size_bytes: int
    mtime_ns: int
    inode: int = 0
    sidecars: tuple[Sidecar, ...] = ()

    @property
    def appears_whole(self) -> bool:
        """Whether it is complete as soon as it is there: uploads to buckets show when they end."""
        return self.uri.startswith(SCHEME)


@dataclass(slots=True)
class SkipCounts:
    """How many entries were passed over, and why."""

    hidden: int = 0  # names that begin with a dot
    system: int = 0  # folders of operating systems and storage boxes, and DAM_HOME
    excluded: int = 0  # by a pattern that a person gave
    other: int = 0  # neither media nor sidecar by name, or no regular file
    loops: int = 0  # folders that were listed already under another name
    unreadable: int = 0  # no permission, broken links, failing disks, archive tiers

    def add(self, other: "SkipCounts") -> None:
        """Add the counts of another listing to these."""
        for one in fields(self):
            setattr(self, one.name, getattr(self, one.name) + getattr(other, one.name))

    @property
    def total(self) -> int:
        """All of them together."""
        return self.hidden + self.system + self.excluded + self.other + self.loops + self.unreadable


@dataclass(frozen=True, slots=True)
class Listing:
    """A place and its media files in the order of their addresses.

    `problem` says why the root itself could not be listed, or is empty. `unlisted` are addresses
    that were passed over for now: what is there or below them is unknown, not gone.
    """

    root: str
    files: tuple[Listed, ...] = ()
    skipped: SkipCounts = field(default_factory=SkipCounts)
    unlisted: tuple[str, ...] = ()
    problem: str = ""

    @property
    def is_remote(self) -> bool:
        """Whether the place is in a bucket."""
        return self.root.startswith(SCHEME)
