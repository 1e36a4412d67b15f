"""One tick over all watched sources: list each, decide, register, within a budget of work.

The sensor calls this and only has to turn the result into run requests.
"""

import time
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field

from dam_pipeline.catalogue.catalogue import Catalogue
from dam_pipeline.catalogue.look_states import (
    load_look_state,
    save_look_state,
    unfinished_listing,
)
from dam_pipeline.catalogue.looking import Budget, look, read_within
from dam_pipeline.catalogue.registration import Registered, apply
from dam_pipeline.catalogue.registry import Source
from dam_pipeline.records import Media
from dam_pipeline.settings import Settings
from dam_pipeline.sources.content import Content
from dam_pipeline.sources.decision import Decision
from dam_pipeline.sources.listing import Listed
from dam_pipeline.sources.originals import Walking, open_walk
from dam_pipeline.sources.scan import Rules
from dam_pipeline.sources.wholes import BackgroundWholes
from dam_pipeline.stores.derived import DerivedFiles

# Half of the time that Dagster gives a tick by default is left for registering and the requests.
LIST_S = 12.0
READ_S = 15.0
# A store that does not answer takes 16 s to give up on: with several, no source is begun after this.
LATEST_S = 30.0


@dataclass(slots=True)
class Afoot:
    """What goes on between ticks in the same process; losing it costs time only."""

    walks: MutableMapping[Source, Walking] = field(default_factory=dict)
    wholes: BackgroundWholes = field(default_factory=BackgroundWholes)


@dataclass(slots=True)
class Watched:
    """What a tick has found over all sources; `notes` are sentences for people.

    `refusals` say why a source's losses are not believed. `files` were listed; `waiting` have not
    settled yet and `unread` are left for the next tick.
    """

    new: list[Media] = field(default_factory=list)
    sidecars: list[Media] = field(default_factory=list)
    returned: list[Media] = field(default_factory=list)
    superseded: list[Media] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    files: int = 0
    waiting: int = 0
    unread: int = 0

    def take(self, registered: Registered) -> None:
        """Add what one source's look has registered."""
        self.new.extend(registered.new)
        self.sidecars.extend(registered.sidecars)
        self.returned.extend(registered.returned)
        self.superseded.extend(registered.superseded)
        self.notes.extend(registered.notes)


def watch(
    sources: Sequence[Source],
    catalogue: Catalogue,
    derived: DerivedFiles,
    settings: Settings,
    afoot: Afoot,
) -> Watched:
    """Look once at each source, in the order given, and register what has happened there.

    At most `sensor_step_files` files are read in all; listing a large source may take several
    ticks. Raises DiskFull and StoreUnavailable.
    """
    watched = Watched()
    for forgotten in set(afoot.walks) - set(sources):
        del afoot.walks[forgotten]
    reader = _TickReader(Budget(settings.sensor_step_files), afoot.wholes, watched.notes)
    latest_s = time.monotonic() + LATEST_S
    for number, source in enumerate(sources):
        if number and time.monotonic() > latest_s:
            watched.notes.append(f"{source.name}: left for the next look")
            continue
        walk = afoot.walks.pop(source, None) or open_walk(
            source.uri,
            settings,
            source.exclude,
            unfinished_listing(settings.home, source.name),
        )
        if not walk.go_on(time.monotonic() + LIST_S / len(sources)):
            afoot.walks[source] = walk
            watched.notes.append(f"{source.name}: still listing, {walk.found} files so far")
            continue
        reader.budget.until_s = time.monotonic() + READ_S / len(sources)
        _look_at(source, walk, catalogue, derived, settings, reader, watched)
    return watched


@dataclass(frozen=True, slots=True)
class _TickReader:
    """Reads within the tick's budget; whole files are read in the background."""

    budget: Budget
    wholes: BackgroundWholes
    notes: list[str]

    def contents(self, files: Sequence[Listed]) -> Mapping[str, Content | None]:
        """Contents by address, of the first files that the budget allows."""
        found, trouble = read_within(self.budget, files)
        if trouble:
            self.notes.append(str(trouble))
        return found

    def whole(self, files: Sequence[Listed]) -> Mapping[str, str | None]:
        """SHA-256 of those files that are ready; the others are read until a later tick."""
        return self.wholes.whole(files)


def _look_at(
    source: Source,
    walk: Walking,
    catalogue: Catalogue,
    derived: DerivedFiles,
    settings: Settings,
    reader: _TickReader,
    watched: Watched,
) -> None:
    listing = walk.listing()
    state = load_look_state(settings.home, source.name, source.uri)
    rules = Rules(settings.settle_s, settings.disappearance_share, source.accepted_s)
    decision = look(listing, catalogue, derived, reader, state, rules, walk.exclude)
    watched.take(apply(decision, catalogue, derived, source.name))
    if decision.state != state:
        save_look_state(settings.home, source.name, source.uri, decision.state)
    watched.files += len(listing.files)
    watched.waiting += len(decision.waiting) + len(decision.need_whole)
    watched.unread += len(decision.need_fingerprint)
    if decision.refused:
        watched.refusals.append(_refusal_words(source, decision))


def _refusal_words(source: Source, decision: Decision) -> str:
    return (
        f"Source {source.name} ({source.place}) is not believed: {decision.refused.rstrip('.')}. "
        "Nothing was changed. Bring it back (mount it), or, if what is missing is gone for good, run "
        f"`dam source accept {source.name}`."
    )
