"""Writing down what a look at a place has found: media, places, sidecar versions.

`sources.decision` says what has happened; this makes `media.json` and rows of it. The file comes
first, then the rows, so that a kill between them leaves only what the next look does again.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from dam_pipeline.catalogue.catalogue import Catalogue, now_iso
from dam_pipeline.errors import StoreUnavailable
from dam_pipeline.formats import kind_of_name
from dam_pipeline.identity import display_name, partition_key
from dam_pipeline.records import Location, Media, MediaKind
from dam_pipeline.sources.decision import Decision, Found, sidecar_version
from dam_pipeline.stores.derived import DerivedFiles


@dataclass(frozen=True, slots=True)
class Registered:
    """What a decision has changed in the catalogue.

    `new` media, in the order of their addresses, are to become partitions and to be run. `sidecars`
    are media whose `probe` is stale now; `returned` are known media at a new place or back at an
    old one; `superseded` ones have a successor now. `notes` are sentences for people.
    """

    new: tuple[Media, ...] = ()
    sidecars: tuple[Media, ...] = ()
    returned: tuple[Media, ...] = ()
    superseded: tuple[Media, ...] = ()
    notes: tuple[str, ...] = ()


def apply(
    decision: Decision, catalogue: Catalogue, derived: DerivedFiles, source: str = ""
) -> Registered:
    """Register what a decision says; a refused one changes nothing.

    `source` is the name of the watched source, kept with new places. Raises DiskFull and
    StoreUnavailable; safe to repeat after either, and after a kill.
    """
    if decision.refused:
        return Registered()
    books = _Books(decision, catalogue, source)
    books.add_new_media()
    books.place_files()
    books.replace_contents()
    books.note_sidecars()
    books.write_files(derived)
    books.write_new_media(derived)
    books.write_other_rows()
    return books.registered()


class _Books:
    """The media and places that a decision touches, brought up to date step by step."""

    def __init__(self, decision: Decision, catalogue: Catalogue, source: str) -> None:
        self._decision, self._catalogue, self._source = decision, catalogue, source
        self._now = now_iso()
        ids = {found.media_id for found in decision.placed}
        ids |= {found.previous for found in decision.changed}
        ids |= {change.media_id for change in decision.sidecars_changed}
        touched = sorted(ids)
        self._before = catalogue.media(touched)
        self._media = dict(self._before)
        places = catalogue.locations_of(touched)
        self._places = {m: {place.uri: place for place in of} for m, of in places.items()}
        self._changed_places = {found.media_id for found in decision.placed}
        self._new: list[str] = []
        self._superseded: list[tuple[str, str]] = []
        self._sidecars: list[str] = []

    def add_new_media(self) -> None:
        """Make media of the contents that the catalogue does not know."""
        unknown: dict[str, Found] = {}
        for found in sorted(self._decision.placed, key=lambda found: found.file.uri):
            if found.media_id not in self._media:
                unknown.setdefault(found.media_id, found)
        taken = set(self._catalogue.by_keys([_key(found, 1) for found in unknown.values()]))
        for media_id, found in unknown.items():
            number = 1
            while (key := _key(found, number)) in taken or (
                number > 1 and self._catalogue.by_keys([key])
            ):
                number += 1
            taken.add(key)
            self._media[media_id] = _media_of(found, key)
            self._new.append(media_id)

    def place_files(self) -> None:
        """Put every file under its media, and take it away from the one it was under."""
        for found in self._decision.placed:
            file, own = found.file, self._places[found.media_id]
            before = own.get(file.uri)
            if found.previous:
                before = self._places[found.previous].pop(file.uri, None)
                self._changed_places.add(found.previous)
            own[file.uri] = Location(
                uri=file.uri,
                media_id=found.media_id,
                size_bytes=file.size_bytes,
                mtime_ns=file.mtime_ns,
                source=self._source or (before.source if before else ""),
                first_seen=before.first_seen if before else self._now,
                last_seen=self._now,
            )
            left = own.get(found.moved_from)
            if left:
                own[left.uri] = replace(left, missing_since=self._now)

    def replace_contents(self) -> None:
        """Let successors inherit; content that is back somewhere is current again."""
        for found in self._decision.placed:
            media = self._media[found.media_id]
            if found.supersedes:
                old = self._media[found.previous]
                self._superseded.append((old.media_id, media.media_id))
                self._media[old.media_id] = replace(old, superseded_by=media.media_id)
                media = replace(media, asset_id=old.asset_id)
            self._media[media.media_id] = replace(media, superseded_by=None)

    def note_sidecars(self) -> None:
        """Take the sidecars of each media's first place; those at other places do not count."""
        for change in self._decision.sidecars_changed:
            present = [
                place
                for place in self._places[change.media_id].values()
                if place.missing_since is None
            ]
            first = min(present, key=lambda place: (place.first_seen, place.uri), default=None)
            if first and first.uri == change.uri:
                media = self._media[change.media_id]
                self._media[change.media_id] = replace(media, sidecar_version=change.version)
                self._sidecars.append(change.media_id)

    def write_files(self, derived: DerivedFiles) -> None:
        """Write `media.json` of all that changed and wait until it is on the disk."""
        changed = {m for m, media in self._media.items() if media != self._before.get(m)}
        for media_id in sorted(changed | self._changed_places):
            derived.write_media(self._media[media_id], list(self._places[media_id].values()))
        if changed or self._changed_places:
            derived.flush()

    def write_new_media(self, derived: DerivedFiles) -> None:
        """Add the rows of new media; where another writer was first, its key holds."""
        self._catalogue.add_media(self._media[media_id] for media_id in self._new)
        stored = self._catalogue.media(self._new)
        is_renamed = False
        for media_id in self._new:
            ours = self._media[media_id]
            if media_id not in stored:
                raise StoreUnavailable(
                    f"Another writer took the key {ours.partition_key} meanwhile. Run it again."
                )
            if stored[media_id].partition_key != ours.partition_key:
                self._media[media_id] = replace(
                    ours,
                    partition_key=stored[media_id].partition_key,
                    first_name=stored[media_id].first_name,
                )
                derived.write_media(self._media[media_id], list(self._places[media_id].values()))
                is_renamed = True
        if is_renamed:
            derived.flush()

    def write_other_rows(self) -> None:
        """Write the rows of places, successors and sidecars."""
        decision, catalogue = self._decision, self._catalogue
        catalogue.put_locations(
            self._places[found.media_id][found.file.uri] for found in decision.placed
        )
        moved = [found.moved_from for found in decision.moved]
        catalogue.mark_missing([place.uri for place in decision.gone] + moved)
        for old_id, new_id in self._superseded:
            catalogue.supersede(old_id, new_id)
        for media_id, media in self._before.items():
            if media.superseded_by and self._media[media_id].superseded_by is None:
                catalogue.restore(media_id)
        for media_id in self._sidecars:
            catalogue.set_sidecar_version(media_id, self._media[media_id].sidecar_version)

    def registered(self) -> Registered:
        """The result for the caller."""
        decision = self._decision
        again = (*decision.copied, *decision.moved, *decision.back, *decision.changed)
        returned = {found.media_id for found in again} - set(self._new)
        return Registered(
            new=tuple(self._media[media_id] for media_id in self._new),
            sidecars=tuple(self._media[media_id] for media_id in self._sidecars),
            returned=tuple(self._media[media_id] for media_id in sorted(returned)),
            superseded=tuple(self._media[old_id] for old_id, _new_id in self._superseded),
            notes=tuple(self._notes()),
        )

    def _notes(self) -> Iterator[str]:
        for found in self._decision.placed:
            if found.collides_with:
                media = self._media[found.media_id]
                yield (
                    f"{display_name(found.file.uri)} looks like another file in its samples but "
                    f"differs in the rest: it is a media of its own, {media.partition_key}."
                )


def _key(found: Found, number: int) -> str:
    # A proven collision shares the other's digits, so its number begins at 2.
    media_id, first = (found.collides_with, 1) if found.collides_with else (found.media_id, 0)
    return partition_key(display_name(found.file.uri), media_id, first + number)


def _media_of(found: Found, key: str) -> Media:
    name = display_name(found.file.uri)
    return Media(
        media_id=found.media_id,
        partition_key=key,
        kind=kind_of_name(name) or MediaKind.VIDEO,
        size_bytes=found.file.size_bytes,
        first_name=name,
        asset_id=found.media_id,
        sidecar_version=sidecar_version(found.file.sidecars),
    )
