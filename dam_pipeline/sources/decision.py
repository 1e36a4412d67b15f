"""The second half of a look at a place: what has happened to each file, from its content.

Pure: a `Triage`, what was read and what the catalogue knows go in, a `Decision` comes out. Content
is what a media is; a place is only where it was seen.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

from dam_pipeline.formats import suffix_of
from dam_pipeline.identity import WHOLE_UP_TO_BYTES
from dam_pipeline.records import Location, Media
from dam_pipeline.sources.content import Content, address_identity, collision_identity
from dam_pipeline.sources.listing import Listed, Sidecar
from dam_pipeline.sources.scan import LookState, Triage, is_old_enough


@dataclass(frozen=True, slots=True)
class Known:
    """What the catalogue knows: the places below the root by address, media by id, and of the media
    that were read or replaced all present places, wherever they are; checksums (SHA-256) by id.
    """

    places: Mapping[str, Location] = field(default_factory=dict)
    media: Mapping[str, Media] = field(default_factory=dict)
    present: Mapping[str, tuple[Location, ...]] = field(default_factory=dict)
    checksums: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reading:
    """What was read: contents by address (None: it changed meanwhile), whole SHA-256 likewise."""

    contents: Mapping[str, Content | None] = field(default_factory=dict)
    whole: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Found:
    """A listed file and the media it holds.

    `previous` is what the place held before, `moved_from` the address it had. `collides_with` names
    the media that has the same fingerprint but, proven by checksum, other bytes.
    """

    file: Listed
    media_id: str
    previous: str = ""
    supersedes: bool = False
    moved_from: str = ""
    collides_with: str = ""


@dataclass(frozen=True, slots=True)
class SidecarChange:
    """Other sidecars at a place of a media than its catalogue row says."""

    media_id: str
    uri: str
    version: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What has happened at a place since the last look.

    `new` is content never seen, `copied` known content at a further place, `changed` a place with
    other content than before, `back` a place that was missing, `touched` a new time and nothing
    else, `gone` a place without its file. `waiting` files have not settled, `need_fingerprint` and
    `need_whole` (whole SHA-256) must be read first. With `refused`, nothing else is to be applied.
    """

    new: tuple[Found, ...] = ()
    copied: tuple[Found, ...] = ()
    moved: tuple[Found, ...] = ()
    changed: tuple[Found, ...] = ()
    back: tuple[Found, ...] = ()
    touched: tuple[Found, ...] = ()
    gone: tuple[Location, ...] = ()
    sidecars_changed: tuple[SidecarChange, ...] = ()
    waiting: tuple[Listed, ...] = ()
    need_fingerprint: tuple[Listed, ...] = ()
    need_whole: tuple[Listed, ...] = ()
    unchanged: int = 0
    refused: str = ""
    state: LookState = field(default_factory=LookState)

    @property
    def placed(self) -> tuple[Found, ...]:
        """Every file whose row in the catalogue changes."""
        return self.new + self.copied + self.moved + self.changed + self.back + self.touched


def decide(
    triage: Triage, reading: Reading, known: Known, now_s: float, settle_s: float
) -> Decision:
    """Say what has happened to each file of a triage; files not read yet keep waiting.

    The same bytes twice are one media with two places; known bytes at a new place while an old
    place is empty have moved. A file over 64 MiB whose fingerprint is known is the same only when
    its whole SHA-256 is, unless it merely moved (same time, old place empty) or nothing is known to
    compare with. A loss waits while a file of that size is unread: it may have moved there.
    """
    if triage.refused:
        return Decision(refused=triage.refused, state=triage.state)
    sorting = _Sorting(triage, reading, known)
    for file in triage.to_read:
        sorting.take(file)
    return sorting.decision(now_s, settle_s)


def sidecar_version(sidecars: Iterable[Sidecar]) -> str:
    """A version of a file's sidecars (16 hex digits), empty without any; names do not count."""
    facts = sorted((suffix_of(s.uri), s.size_bytes, s.mtime_ns) for s in sidecars)
    return hashlib.blake2b(repr(facts).encode(), digest_size=8).hexdigest() if facts else ""


class _Sorting:
    """The lists of a decision in the making."""

    def __init__(self, triage: Triage, reading: Reading, known: Known) -> None:
        self._triage, self._reading, self._known = triage, reading, known
        self._lost: dict[str, list[Location]] = {}
        for place in triage.lost:
            self._lost.setdefault(place.media_id, []).append(place)
        self._first_large: dict[str, Listed] = {}  # by fingerprint
        self._found_media: set[str] = set()
        self.new: list[Found] = []
        self.copied: list[Found] = []
        self.moved: list[Found] = []
        self.changed: list[Found] = []
        self.touched: list[Found] = []
        self.back = [Found(f, known.places[f.uri].media_id) for f in triage.back]
        self.unchanged = list(triage.unchanged)
        self.waiting = list(triage.unsettled)
        self.unreadable: list[Listed] = []
        self.unread: list[Listed] = []
        self.unproven: list[Listed] = []
        self.need_whole: dict[str, Listed] = {}

    def take(self, file: Listed) -> None:
        """Sort one file that is to be read."""
        contents = self._reading.contents
        if file.uri not in contents:
            self.unread.append(file)
            return
        content = contents[file.uri]
        is_small = file.size_bytes <= WHOLE_UP_TO_BYTES
        if content is None:
            self.waiting.append(file)
        elif self._has_become_unreadable(file, content):
            self.unreadable.append(file)
        elif is_small or not content.is_readable:
            self._place(file, content.media_id)
        else:
            self._take_large(file, content.media_id)

    def _has_become_unreadable(self, file: Listed, content: Content) -> bool:
        place = self._known.places.get(file.uri)
        return bool(
            place
            and not content.is_readable
            and file.size_bytes
            and place.missing_since is None
            and place.media_id != address_identity(file.uri, place.size_bytes)
        )

    def _take_large(self, file: Listed, fingerprint: str) -> None:
        """Place a file of which only samples were read, once it is as sure as it can be."""
        whole = self._reading.whole
        first = self._first_large.setdefault(fingerprint, file)
        reference = self._known.checksums.get(fingerprint)
        nothing_to_compare = reference is None and first is file
        if nothing_to_compare or self._has_merely_moved(file, fingerprint):
            self._place(file, fingerprint)
            return
        wanted = [file] if reference else [first, file]
        missing = {one.uri: one for one in wanted if one.uri not in whole}
        if missing:
            self.need_whole |= missing
            self.unproven.append(file)
            return
        sha256, reference = whole[file.uri], reference or whole[first.uri]
        if sha256 is None or reference is None:
            self.waiting.append(file)
        elif sha256 == reference:
            self._place(file, fingerprint)
        else:
            self._place(file, collision_identity(fingerprint, sha256), fingerprint)

    def _has_merely_moved(self, file: Listed, media_id: str) -> bool:
        return file.uri not in self._known.places and any(
            place.mtime_ns == file.mtime_ns for place in self._lost.get(media_id, ())
        )

    def _place(self, file: Listed, media_id: str, collides_with: str = "") -> None:
        is_known = media_id in self._known.media or media_id in self._found_media
        self._found_media.add(media_id)
        found = Found(file, media_id, collides_with=collides_with)
        place = self._known.places.get(file.uri)
        if place and place.media_id == media_id:
            self._place_again(found, place)
        elif place:
            self.changed.append(replace(found, previous=place.media_id))
        elif not is_known:
            self.new.append(found)
        elif lost := self._lost.get(media_id):
            self.moved.append(replace(found, moved_from=lost.pop(0).uri))
        else:
            self.copied.append(found)

    def _place_again(self, found: Found, place: Location) -> None:
        if place.missing_since is not None:
            self.back.append(found)
        elif (found.file.size_bytes, found.file.mtime_ns) == (place.size_bytes, place.mtime_ns):
            self.unchanged.append(found.file)
        else:
            self.touched.append(found)

    def decision(self, now_s: float, settle_s: float) -> Decision:
        """The lists as they stand, with losses and replacements judged."""
        unresolved = (*self.waiting, *self.unread, *self.unproven)
        unread_sizes = {file.size_bytes for file in unresolved}
        unresolved += tuple(self.unreadable)
        pending = self._triage.state.pending
        return Decision(
            new=tuple(self.new),
            copied=tuple(self.copied),
            moved=tuple(self.moved),
            changed=tuple(replace(f, supersedes=self._supersedes(f)) for f in self.changed),
            back=tuple(self.back),
            touched=tuple(self.touched),
            gone=tuple(
                place
                for places in self._lost.values()
                for place in places
                if place.size_bytes not in unread_sizes
            ),
            sidecars_changed=tuple(self._sidecar_changes(now_s, settle_s)),
            waiting=(*self.waiting, *self.unreadable),
            need_fingerprint=tuple(self.unread),
            need_whole=tuple(self.need_whole.values()),
            unchanged=len(self.unchanged),
            state=LookState({f.uri: pending[f.uri] for f in unresolved if f.uri in pending}),
        )

    def _supersedes(self, found: Found) -> bool:
        """Whether the content that a place held before is nowhere any more, and this follows it."""
        old_id = found.previous
        placed = (*self.new, *self.copied, *self.moved, *self.changed, *self.back, *self.touched)
        emptied = {place.uri for place in self._triage.lost} | {f.file.uri for f in self.changed}
        is_elsewhere = any(one.media_id == old_id for one in placed) or any(
            place.uri not in emptied for place in self._known.present.get(old_id, ())
        )
        old, new = self._known.media.get(old_id), self._known.media.get(found.media_id)
        follows = new is None or (old is not None and new.asset_id == old.asset_id)
        return old is not None and follows and not is_elsewhere

    def _sidecar_changes(self, now_s: float, settle_s: float) -> Iterator[SidecarChange]:
        again = ((f.file, f.media_id) for f in (*self.back, *self.touched, *self.moved))
        here = ((file, self._known.places[file.uri].media_id) for file in self.unchanged)
        for file, media_id in (*here, *again):
            media = self._known.media.get(media_id)
            if media is None:  # it has no sidecars and had none
                continue
            version = sidecar_version(file.sidecars)
            has_settled = all(is_old_enough(s.mtime_ns, now_s, settle_s) for s in file.sidecars)
            if version != media.sidecar_version and has_settled:
                yield SidecarChange(media_id, file.uri, version)
