"""The first half of a look at a place: what needs reading, and whether to believe what is missing.

Pure: what is known, what is listed and the time go in, a `Triage` comes out. `decision` holds the
second half, once the files that need it were read.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from dam_pipeline.records import Location
from dam_pipeline.sources.content import address_identity
from dam_pipeline.sources.listing import Listed, Listing

GUARD_FROM_FILES = 3  # the share that may vanish says nothing about fewer
NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Pending:
    """A file that waits to settle or to be read, and since when (Unix seconds) it looks so."""

    size_bytes: int
    mtime_ns: int
    since_s: float


@dataclass(frozen=True, slots=True)
class LookState:
    """What one look leaves for the next: waiting files by address, and an open refusal's moment."""

    pending: Mapping[str, Pending] = field(default_factory=dict)
    refused_since_s: float | None = None


@dataclass(frozen=True, slots=True)
class Rules:
    """Settings of a look; `accepted_s` is when a person last accepted losses (Unix seconds)."""

    settle_s: float
    disappearance_share: float
    accepted_s: float | None = None


@dataclass(frozen=True, slots=True)
class Triage:
    """The files of a listing by what has to happen with them.

    `to_read` has first the files that may have moved, then those at new places, then those at
    known ones, then those that could not be read before: a mass of touched files holds up no new
    ones. `lost` are places that were present and are not listed now.
    `refused` says why nothing of this may be believed, or is empty.
    """

    unchanged: tuple[Listed, ...]
    back: tuple[Listed, ...]
    unsettled: tuple[Listed, ...]
    to_read: tuple[Listed, ...]
    lost: tuple[Location, ...]
    state: LookState
    refused: str = ""


def what_to_read(
    places: Mapping[str, Location],
    listing: Listing,
    state: LookState,
    now_s: float,
    rules: Rules,
) -> Triage:
    """Sort a listing by what has to happen; `places` are the known ones below its root, by address.

    A place with the same size and modification time is unchanged without reading. Anything else is
    read once it has settled: looked the same at an earlier look, at least `settle_s` ago, and is
    itself older than that (a time in the future counts as old). Objects in buckets appear whole.
    """
    piles = _Piles()
    for file in listing.files:
        before = state.pending.get(file.uri)
        piles.add(file, places.get(file.uri), before, now_s, rules.settle_s)
    lost = _lost(places, listing)
    sizes = Counter(file.size_bytes for file in (*piles.unsettled, *piles.to_read))
    reason = _refusal(places, listing, lost, sizes, rules)
    open_since = state.refused_since_s
    if reason and open_since is not None and (rules.accepted_s or 0.0) > open_since:
        reason, open_since = "", None
    lost_sizes = {place.size_bytes for place in lost}
    piles.to_read.sort(key=lambda file: (file.size_bytes not in lost_sizes, file.uri in places))
    return Triage(
        tuple(piles.unchanged),
        tuple(piles.back),
        tuple(piles.unsettled),
        (*piles.to_read, *piles.retried),
        tuple(lost),
        LookState(piles.pending, (open_since or now_s) if reason else None),
        reason,
    )


@dataclass(slots=True)
class _Piles:
    """A listing being sorted; `retried` are files that no look could read yet."""

    unchanged: list[Listed] = field(default_factory=list)
    back: list[Listed] = field(default_factory=list)
    unsettled: list[Listed] = field(default_factory=list)
    to_read: list[Listed] = field(default_factory=list)
    retried: list[Listed] = field(default_factory=list)
    pending: dict[str, Pending] = field(default_factory=dict)

    def add(
        self,
        file: Listed,
        place: Location | None,
        before: Pending | None,
        now_s: float,
        settle_s: float,
    ) -> None:
        """Put a file on its pile, given the known place of that address and the last look."""
        if place is None or not _looks_same(file, place):
            seen = self.pending[file.uri] = _seen(file, before, now_s)
            has_settled = file.appears_whole or (
                seen is before and _has_settled(file, seen, now_s, settle_s)
            )
            (self.to_read if has_settled else self.unsettled).append(file)
        elif file.size_bytes and place.media_id == address_identity(file.uri, file.size_bytes):
            self.retried.append(file)
        else:
            (self.back if place.missing_since else self.unchanged).append(file)


def is_old_enough(mtime_ns: int, now_s: float, settle_s: float) -> bool:
    """Whether a modification time is `settle_s` ago; one in the future (a wrong clock) counts so."""
    age_s = now_s - mtime_ns / NS
    return age_s >= settle_s or age_s < 0


def _looks_same(file: Listed, place: Location) -> bool:
    return (file.size_bytes, file.mtime_ns) == (place.size_bytes, place.mtime_ns)


def _seen(file: Listed, before: Pending | None, now_s: float) -> Pending:
    if before and (before.size_bytes, before.mtime_ns) == (file.size_bytes, file.mtime_ns):
        return before
    return Pending(file.size_bytes, file.mtime_ns, now_s)


def _has_settled(file: Listed, seen: Pending, now_s: float, settle_s: float) -> bool:
    return now_s - seen.since_s >= settle_s and is_old_enough(file.mtime_ns, now_s, settle_s)


def _lost(places: Mapping[str, Location], listing: Listing) -> list[Location]:
    listed = {file.uri for file in listing.files}
    unlisted = frozenset() if listing.problem else frozenset(listing.unlisted)
    return [
        place
        for uri, place in places.items()
        if place.missing_since is None and uri not in listed and not _is_below(uri, unlisted)
    ]


def _is_below(uri: str, roots: frozenset[str]) -> bool:
    while roots and uri:
        if uri in roots:
            return True
        uri = uri.rpartition("/")[0]
    return False


def _refusal(
    places: Mapping[str, Location],
    listing: Listing,
    lost: list[Location],
    unread_sizes: Counter[int],
    rules: Rules,
) -> str:
    """Why the loss cannot be believed; a lost file of which an unread one has the size may be it."""
    present = sum(place.missing_since is None for place in places.values())
    if listing.problem:
        return listing.problem
    if not lost:
        return ""
    if not listing.files and len(lost) == present:
        doubt = "another bucket or folder" if listing.is_remote else "not mounted"
        return f"it is empty, but {present} files were there: it may be {doubt}"
    lost_sizes = Counter(place.size_bytes for place in lost)
    really = (lost_sizes - unread_sizes).total()
    if present >= GUARD_FROM_FILES and really > rules.disappearance_share * present:
        return f"{really} of {present} files vanished at once"
    return ""
