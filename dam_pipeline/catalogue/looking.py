"""One look at a place: what the catalogue knows, what is there, what has to be read, the decision.

The decisions themselves are pure and lie in `sources`; this fetches what they need. Nothing is
written here.
"""

import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Protocol

from dam_pipeline.catalogue.catalogue import Catalogue
from dam_pipeline.errors import SourceUnavailable
from dam_pipeline.identity import WHOLE_UP_TO_BYTES, sample_ranges, uri_to_path
from dam_pipeline.records import Location, State
from dam_pipeline.sources.content import Content
from dam_pipeline.sources.decision import Decision, Known, Reading, decide
from dam_pipeline.sources.folder import has_left, is_left_out, path_below
from dam_pipeline.sources.listing import Listed, Listing
from dam_pipeline.sources.originals import is_remote, read_content
from dam_pipeline.sources.scan import LookState, Rules, Triage, what_to_read
from dam_pipeline.stores.derived import DerivedFiles

CHECKSUM_STAGE = "checksum"
STEP_BYTES = 2 << 30  # read in one look at most: 20 s from a share that gives 100 MB/s
READERS = 8  # objects of a bucket read at once: each is waited for, and holds 16 MiB at most


class Reader(Protocol):
    """Reads originals, as many as its limits allow; what it leaves out waits for the next look."""

    def contents(self, files: Sequence[Listed]) -> Mapping[str, Content | None]:
        """Contents by address, of a first part of `files`."""
        ...

    def whole(self, files: Sequence[Listed]) -> Mapping[str, str | None]:
        """SHA-256 of every byte by address, of those files for which it is known already."""
        ...


@dataclass(slots=True)
class Budget:
    """How much one look, of one source or several, may still read."""

    files: int
    size_bytes: int = STEP_BYTES
    until_s: float | None = None  # of time.monotonic()

    def allows(self) -> bool:
        """Whether one more file may be read."""
        in_time = self.until_s is None or time.monotonic() < self.until_s
        return in_time and self.files > 0 and self.size_bytes > 0


def read_within(
    budget: Budget, files: Sequence[Listed]
) -> tuple[dict[str, Content | None], SourceUnavailable | None]:
    """Contents by address, of the first files that the budget allows; the budget shrinks.

    Ends early when the place cannot be reached; why is told beside what was read.
    """
    found: dict[str, Content | None] = {}
    with ThreadPoolExecutor(READERS) as readers:  # no thread is made for local files
        at = 0
        while at < len(files) and budget.allows():
            count = min(READERS, budget.files) if is_remote(files[at].uri) else 1
            group = files[at : at + count]
            read = readers.map(read_content, group) if count > 1 else map(read_content, group)
            try:
                found.update((file.uri, content) for file, content in zip(group, read, strict=True))
            except SourceUnavailable as error:
                return found, error
            at += len(group)
            budget.files -= len(group)
            budget.size_bytes -= sum(sampled_bytes(file.size_bytes) for file in group)
    return found, None


def sampled_bytes(size_bytes: int) -> int:
    """How many bytes the fingerprint of a file of this size reads."""
    return sum(length for _, length in sample_ranges(size_bytes))


def look(
    listing: Listing,
    catalogue: Catalogue,
    derived: DerivedFiles,
    reader: Reader,
    state: LookState,
    rules: Rules,
    exclude: Sequence[str] = (),
) -> Decision:
    """Decide what has happened at a listed place; reads originals through `reader`.

    A loss that cannot be believed gives a decision with `refused` and nothing else.
    """
    known = _known_at(listing, catalogue, exclude)
    triage = what_to_read(known.places, listing, state, time.time(), rules)
    return read_and_decide(triage, known, catalogue, derived, reader, rules.settle_s)


def look_as_told(
    listing: Listing,
    catalogue: Catalogue,
    derived: DerivedFiles,
    reader: Reader,
    state: LookState,
    rules: Rules,
    exclude: Sequence[str] = (),
) -> tuple[Decision, str]:
    """`look` at a place that a person has just named, and why losses there are not believed, if so.

    What is there is taken even then. Known content at a new place has moved when its old place,
    wherever that was, is empty now.
    """
    known = _known_at(listing, catalogue, exclude)
    triage = what_to_read(known.places, listing, state, time.time(), rules)
    doubt = triage.refused
    if doubt:
        triage = replace(triage, refused="", lost=())
    decision = read_and_decide(
        triage, known, catalogue, derived, reader, rules.settle_s, check_old_places=True
    )
    return decision, doubt


def read_and_decide(
    triage: Triage,
    known: Known,
    catalogue: Catalogue,
    derived: DerivedFiles,
    reader: Reader,
    settle_s: float,
    check_old_places: bool = False,
) -> Decision:
    """Read what a triage wants read, as far as `reader` goes, and decide."""
    now_s = time.time()
    if triage.refused:
        return decide(triage, Reading(), known, now_s, settle_s)
    contents = reader.contents(triage.to_read)
    known = _with_contents(known, triage, contents, catalogue, derived)
    if check_old_places:
        triage = replace(triage, lost=(*triage.lost, *_emptied_elsewhere(known, triage, contents)))
    decision = decide(triage, Reading(contents), known, now_s, settle_s)
    if decision.need_whole:
        reading = Reading(contents, reader.whole(decision.need_whole))
        decision = decide(triage, reading, known, now_s, settle_s)
    return decision


def known_below(catalogue: Catalogue, root: str) -> Known:
    """Known places at or below an address, and their media."""
    places = {place.uri: place for place in catalogue.locations(root)}
    media_ids = sorted({place.media_id for place in places.values()})
    return Known(places=places, media=catalogue.media(media_ids))


def _known_at(listing: Listing, catalogue: Catalogue, exclude: Sequence[str]) -> Known:
    """Known places at or below a listing's root, but those that it passed over for their names.

    Of their media those that have, or had, sidecars: nothing else is asked of a file as it was.
    """
    places = {place.uri: place for place in catalogue.locations(listing.root)}
    beside = {
        places[file.uri].media_id for file in listing.files if file.sidecars and file.uri in places
    }
    media = {**catalogue.with_sidecars(), **catalogue.media(sorted(beside))}
    known = Known(places=places, media=media)
    listed = {file.uri for file in listing.files}
    unlisted = [uri for uri in known.places if uri not in listed and uri != listing.root]
    left_out = {uri for uri in unlisted if is_left_out(path_below(uri, listing.root), exclude)}
    if not left_out:
        return known
    places = {uri: place for uri, place in known.places.items() if uri not in left_out}
    return replace(known, places=places)


def _with_contents(
    known: Known,
    triage: Triage,
    contents: Mapping[str, Content | None],
    catalogue: Catalogue,
    derived: DerivedFiles,
) -> Known:
    """`known` and what the catalogue knows of the contents that were read, and of those replaced."""
    read = {content.media_id for content in contents.values() if content}
    before = {known.places[uri].media_id for uri in contents if uri in known.places}
    ids = sorted(read | before)
    present = {
        media_id: tuple(place for place in places if place.missing_since is None)
        for media_id, places in catalogue.locations_of(ids).items()
    }
    large = {f.uri for f in triage.to_read if f.size_bytes > WHOLE_UP_TO_BYTES}
    wanted = {c.media_id for uri, c in contents.items() if c and uri in large}
    return replace(
        known,
        media={**known.media, **catalogue.media(ids)},
        present=present,
        checksums=_checksums(derived, sorted(wanted)),
    )


def _checksums(derived: DerivedFiles, media_ids: Iterable[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for media_id in media_ids:
        outcome = derived.outcome(media_id, CHECKSUM_STAGE)
        sha256 = outcome.result.get("sha256") if outcome and outcome.state is State.DONE else None
        if sha256:
            found[media_id] = sha256
    return found


def _emptied_elsewhere(
    known: Known, triage: Triage, contents: Mapping[str, Content | None]
) -> list[Location]:
    """Places outside the listing, of the media just read, that are empty on the disk now."""
    already = {place.uri for place in triage.lost}
    emptied: dict[str, Location] = {}
    for file in triage.to_read:
        content = contents.get(file.uri)
        for place in known.present.get(content.media_id, ()) if content else ():
            is_elsewhere = place.uri not in known.places and place.uri not in already
            local = place.uri.startswith("file://") and file.uri.startswith("file://")
            if is_elsewhere and local and has_left(uri_to_path(place.uri), uri_to_path(file.uri)):
                emptied[place.uri] = place
    return list(emptied.values())
