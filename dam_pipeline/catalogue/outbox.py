"""The outbox: events that wait until those who are to hear of them have taken them.

An event is written in the transaction that changes what it tells of, so that neither is there without
the other; it goes when its receiver has acknowledged it. A crash in between sends it once more.
"""

import math
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import sqlalchemy as sa

from dam_pipeline.catalogue.database import chunks
from dam_pipeline.catalogue.tables import LOCATION, MEDIA, OUTBOX
from dam_pipeline.errors import ConfigurationError, EventsUndelivered
from dam_pipeline.events import SINKS, Sink, wanted_by
from dam_pipeline.events.kinds import (
    AboutMedia,
    Event,
    MediaDelivered,
    MediaDiscovered,
    MediaFailed,
    MediaIndexed,
    MediaMissing,
    MediaReturned,
    MediaSuperseded,
    Told,
    event_of,
)
from dam_pipeline.records import Media, StageRow, State

INDEXED_BY = "search_index"  # the stage after which search finds a file


@dataclass(frozen=True, slots=True)
class Waiting:
    """Events of one sink that were not taken yet, and since when (ISO 8601) the oldest waits."""

    count: int
    since: str


@dataclass(slots=True)
class Delivery:
    """How many events each sink has taken, and what those said that did not."""

    sent: dict[str, int] = field(default_factory=dict)
    troubles: dict[str, str] = field(default_factory=dict)


class Outbox:
    """What waits for each sink; without sinks nothing is written."""

    def __init__(self, engine: sa.Engine, sinks: Sequence[str] = ()) -> None:
        self._engine = engine
        self._sinks = tuple(sinks)

    def tell(self, connection: sa.Connection, told: Iterable[Told]) -> None:
        """Write events in the transaction of `connection`."""
        if not self._sinks:
            return
        values = [
            {
                "sink": sink,
                "event_id": event.event_id,
                "type": event.type,
                "body": event.body,
                "waits_since": event.time,
            }
            for event in map(event_of, told)
            for sink in wanted_by(event.type, self._sinks)
        ]
        if values:
            connection.execute(sa.insert(OUTBOX), values)

    @contextmanager
    def silent(self) -> Iterator[None]:
        """Nothing is told meanwhile: for a rebuild, which only writes again what was told before."""
        sinks, self._sinks = self._sinks, ()
        try:
            yield
        finally:
            self._sinks = sinks

    def tell_now(self, told: Iterable[Told]) -> None:
        """Write events of something that the catalogue does not hold."""
        if self._sinks:
            with self._engine.begin() as connection:
                self.tell(connection, told)

    def tell_discovered(self, connection: sa.Connection, media: Iterable[Media]) -> None:
        """Tell of media that the catalogue has had since this transaction."""
        self.tell(
            connection,
            (
                MediaDiscovered(m.media_id, m.partition_key, m.kind.value, "", m.size_bytes)
                for m in media
            ),
        )

    def tell_outcomes(self, connection: sa.Connection, rows: Sequence[StageRow]) -> None:
        """Tell which files are indexed and which have failed by these outcomes."""
        worth = [row for row in rows if row.state is State.FAILED or row.stage == INDEXED_BY]
        if not (self._sinks and worth):
            return
        about = _about(connection, [row.media_id for row in worth])
        self.tell(
            connection,
            [_outcome(about[r.media_id], r) for r in worth if r.media_id in about and _is_told(r)],
        )

    def tell_missing(self, connection: sa.Connection, uris: Sequence[str]) -> None:
        """Tell of places, present until now, that are about to be marked missing."""
        if not self._sinks:
            return
        places = _places(connection, uris, missing=False)
        ids = [media_id for media_id, _ in places]
        about, elsewhere = _about(connection, ids), _elsewhere(connection, ids, frozenset(uris))
        self.tell(
            connection,
            [
                MediaMissing(*_at(about[media_id], uri), media_id in elsewhere)
                for media_id, uri in places
                if media_id in about
            ],
        )

    def tell_returned(self, connection: sa.Connection, uris: Sequence[str]) -> None:
        """Tell of places, missing until now, that are about to be marked present."""
        if self._sinks:
            places = _places(connection, uris, missing=True)
            about = _about(connection, [media_id for media_id, _ in places])
            self.tell(
                connection,
                [MediaReturned(*_at(about[one], uri)) for one, uri in places if one in about],
            )

    def tell_superseded(self, connection: sa.Connection, old_id: str, new_id: str) -> None:
        """Tell that the content of one media was replaced by another."""
        if self._sinks:
            for about in _about(connection, [old_id]).values():
                self.tell(connection, [MediaSuperseded(*_at(about, about.uri), new_id)])

    def tell_delivered(
        self, media_id: str, agency: str, state: str, remote: str, sha256: str
    ) -> None:
        """Tell that a file made from a media is at an agency."""
        if self._sinks:
            with self._engine.begin() as connection:
                self.tell(
                    connection,
                    [
                        MediaDelivered(*_at(about, about.uri), agency, state, remote, sha256)
                        for about in _about(connection, [media_id]).values()
                    ],
                )

    def deliver(self, open_sink: Callable[[str], Sink], within_s: float = math.inf) -> Delivery:
        """Send what waits, sink by sink; one that does not take it does not hold up the others.

        For each sink nothing more is begun after `within_s`; what is left waits on.
        """
        delivery = Delivery()
        for name in self._sinks:
            try:
                delivery.sent[name] = self._empty(name, open_sink(name), within_s)
            except (EventsUndelivered, ConfigurationError) as error:
                delivery.troubles[name] = str(error)
        return delivery

    def waiting(self) -> Mapping[str, Waiting]:
        """What waits, by sink; also for sinks that are no longer in the settings."""
        query = sa.select(
            OUTBOX.c.sink, sa.func.count(), sa.func.min(OUTBOX.c.waits_since)
        ).group_by(OUTBOX.c.sink)
        with self._engine.connect() as connection:
            return {sink: Waiting(count, since) for sink, count, since in connection.execute(query)}

    def _empty(self, name: str, sink: Sink, within_s: float) -> int:
        sent, until_s = 0, time.monotonic() + within_s
        while time.monotonic() < until_s and (events := self._oldest(name)):
            taken = sink.send(events)
            with self._engine.begin() as connection:
                for piece in chunks(taken):
                    mine = (OUTBOX.c.sink == name, OUTBOX.c.event_id.in_(piece))
                    connection.execute(sa.delete(OUTBOX).where(*mine))
            sent += len(taken)
            if len(taken) < len(events):
                raise EventsUndelivered(
                    f"The {name} took {sent} events, then no more. What waits is sent later; "
                    "`dam events send` tries now."
                )
        return sent

    def _oldest(self, name: str) -> list[Event]:
        query = sa.select(OUTBOX.c.event_id, OUTBOX.c.type, OUTBOX.c.waits_since, OUTBOX.c.body)
        query = query.where(OUTBOX.c.sink == name).order_by(OUTBOX.c.number)
        query = query.limit(SINKS[name].at_once)
        with self._engine.connect() as connection:
            return [Event(*row) for row in connection.execute(query)]


def _is_told(row: StageRow) -> bool:
    return row.state in (State.FAILED, State.DONE, State.EMPTY)


def _outcome(about: AboutMedia, row: StageRow) -> Told:
    place = _at(about, about.uri)
    if row.state is State.FAILED:
        return MediaFailed(*place, row.run_id, row.stage, row.reason, row.retryable, row.attempts)
    return MediaIndexed(*place, row.run_id)


def _at(about: AboutMedia, uri: str) -> tuple[str, str, str, str]:
    return about.media_id, about.partition_key, about.kind, uri


def _places(
    connection: sa.Connection, uris: Sequence[str], *, missing: bool
) -> list[tuple[str, str]]:
    """(media id, address) of those places that are missing, or are not."""
    is_missing = LOCATION.c.missing_since.is_not(None)
    found: list[tuple[str, str]] = []
    for piece in chunks(uris):
        query = sa.select(LOCATION.c.media_id, LOCATION.c.uri).where(
            LOCATION.c.uri.in_(piece), is_missing if missing else ~is_missing
        )
        found += [(row.media_id, row.uri) for row in connection.execute(query)]
    return found


def _elsewhere(
    connection: sa.Connection, media_ids: Sequence[str], gone: Collection[str]
) -> set[str]:
    """Those of these media that are at some place besides the ones that are gone."""
    found: set[str] = set()
    for piece in chunks(sorted(set(media_ids))):
        query = sa.select(LOCATION.c.media_id, LOCATION.c.uri).where(
            LOCATION.c.media_id.in_(piece), LOCATION.c.missing_since.is_(None)
        )
        found |= {row.media_id for row in connection.execute(query) if row.uri not in gone}
    return found


def _about(connection: sa.Connection, media_ids: Sequence[str]) -> dict[str, AboutMedia]:
    """The known ones of these media, with a place of each: a present one rather than a missing one."""
    names: dict[str, AboutMedia] = {}
    for piece in chunks(sorted(set(media_ids))):
        query = (
            sa.select(MEDIA.c.media_id, MEDIA.c.partition_key, MEDIA.c.kind, LOCATION.c.uri)
            .join(LOCATION, LOCATION.c.media_id == MEDIA.c.media_id, isouter=True)
            .where(MEDIA.c.media_id.in_(piece))
            .order_by(LOCATION.c.missing_since.is_not(None).desc(), LOCATION.c.first_seen.desc())
        )
        for row in connection.execute(query):  # the best place comes last, and stays
            names[row.media_id] = AboutMedia(
                row.media_id, row.partition_key, row.kind, row.uri or ""
            )
    return names
