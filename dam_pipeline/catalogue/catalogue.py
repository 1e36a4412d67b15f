"""Media and the places where they were seen; the states of their stages hang on `states`."""

import fnmatch
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from dam_pipeline.catalogue.beats import Beats
from dam_pipeline.catalogue.database import (
    begins_with,
    chunks,
    in_order,
    insert_or,
    open_database,
    upsert,
)
from dam_pipeline.catalogue.deaths import Deaths
from dam_pipeline.catalogue.outbox import Outbox
from dam_pipeline.catalogue.spaces import Spaces
from dam_pipeline.catalogue.states import StageStates
from dam_pipeline.catalogue.tables import LOCATION, MEDIA
from dam_pipeline.errors import ConfigurationError
from dam_pipeline.identity import path_to_uri, uri_to_path
from dam_pipeline.records import Facts, Filters, Location, Media, MediaKind


def now_iso() -> str:
    """The present moment, ISO 8601 in UTC with microseconds: sorts as text."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


@contextmanager
def open_catalogue(
    home: Path, postgres_url: str = "", sinks: Sequence[str] = ()
) -> Iterator["Catalogue"]:
    """The catalogue of a home, or of the team's Postgres; made or migrated when needed.

    `sinks` name those that are to hear of what happens (see `events`).

    Raises StoreUnavailable, as all its methods do; ConfigurationError for a wrong address or login,
    SchemaMismatch when a newer version has changed it.
    """
    engine = open_database(home, postgres_url)
    try:
        yield Catalogue(engine, sinks)
    finally:
        engine.dispose()


class Catalogue:
    """Reads and writes of media and locations; each method is one transaction."""

    def __init__(self, engine: sa.Engine, sinks: Sequence[str] = ()) -> None:
        self.engine = engine
        self.outbox = Outbox(engine, sinks)
        self.states = StageStates(engine, self.outbox)
        self.spaces = Spaces(engine)
        self.deaths = Deaths(engine)
        self.beats = Beats(engine)

    def viewed(self, stems: Mapping[str, str]) -> "Catalogue":
        """The same catalogue with the states of other embedding spaces (stage → stem)."""
        view = copy(self)
        view.states = StageStates(self.engine, self.outbox, stems)
        return view

    def add_media(self, media: Iterable[Media]) -> None:
        """Add media that are not known yet; known ones stay as they are."""
        added = list(media)
        values = in_order(map(_media_values, added), ["media_id"])
        if values:
            statement = insert_or(self.engine, MEDIA).on_conflict_do_nothing()
            with self.engine.begin() as connection:
                # Of two processes that add the same media at once, one tells of it.
                new = set(connection.scalars(statement.returning(MEDIA.c.media_id), values))
                self.outbox.tell_discovered(
                    connection, {m.media_id: m for m in added if m.media_id in new}.values()
                )

    def media(self, media_ids: Sequence[str]) -> dict[str, Media]:
        """Media by id; unknown ids are left out."""
        return {m.media_id: m for m in self._select_media(MEDIA.c.media_id, media_ids)}

    def with_sidecars(self) -> dict[str, Media]:
        """Media by id whose first place had sidecars when it was last looked at."""
        query = sa.select(MEDIA).where(MEDIA.c.sidecar_version != "")
        with self.engine.connect() as connection:
            return {row.media_id: _media(row) for row in connection.execute(query)}

    def by_keys(self, partition_keys: Sequence[str]) -> dict[str, Media]:
        """Media by partition key; unknown keys are left out."""
        return {
            m.partition_key: m for m in self._select_media(MEDIA.c.partition_key, partition_keys)
        }

    def of_assets(self, asset_ids: Sequence[str]) -> dict[str, Media]:
        """The media that each asset is now, by asset id; unknown ids are left out."""
        found = self._select_media(MEDIA.c.asset_id, asset_ids)
        # Of two, which a restored file makes, the same one every time.
        present = (one for one in found if one.superseded_by is None)
        return {one.asset_id: one for one in sorted(present, key=lambda one: one.partition_key)}

    def all_media(self, *, superseded: bool = False) -> list[Media]:
        """All media in the order of their keys, superseded ones only when asked for."""
        query = sa.select(MEDIA).order_by(MEDIA.c.partition_key)
        if not superseded:
            query = query.where(MEDIA.c.superseded_by.is_(None))
        with self.engine.connect() as connection:
            return [_media(row) for row in connection.execute(query)]

    def find(self, reference: str) -> Media:
        """The media of an id, a partition key, a path, an address or a unique prefix of the first two.

        Raises ConfigurationError when there is none, or more than one.
        """
        uri = reference if "://" in reference else path_to_uri(reference)
        here = sa.select(LOCATION.c.media_id).where(LOCATION.c.uri == uri)
        exact = sa.or_(
            MEDIA.c.media_id == reference,
            MEDIA.c.partition_key == reference,
            MEDIA.c.media_id == here.scalar_subquery(),
        )
        prefix = sa.or_(
            begins_with(MEDIA.c.media_id, reference),
            begins_with(MEDIA.c.partition_key, reference),
        )
        with self.engine.connect() as connection:
            for condition in (exact, prefix):
                rows = connection.execute(sa.select(MEDIA).where(condition).limit(6)).all()
                if len(rows) == 1:
                    return _media(rows[0])
                if rows:
                    names = ", ".join(row.partition_key for row in rows)
                    raise ConfigurationError(f"{reference} fits several media: {names}. Say more.")
        raise ConfigurationError(
            f"No media is known as {reference}. `dam status` lists them; `dam ingest PATH` adds more."
        )

    def supersede(self, old_id: str, new_id: str) -> None:
        """Say that the content of `old_id` was replaced by `new_id`, which inherits its asset id."""
        with self.engine.begin() as connection:
            self.outbox.tell_superseded(connection, old_id, new_id)
            asset_id = connection.scalar(
                sa.select(MEDIA.c.asset_id).where(MEDIA.c.media_id == old_id)
            )
            connection.execute(
                sa.update(MEDIA).where(MEDIA.c.media_id == old_id).values(superseded_by=new_id)
            )
            connection.execute(
                sa.update(MEDIA)
                .where(MEDIA.c.media_id == new_id)
                .values(asset_id=asset_id, superseded_by=None)
            )

    def restore(self, media_id: str) -> None:
        """Say that a superseded content is back at one of its places."""
        with self.engine.begin() as connection:
            connection.execute(
                sa.update(MEDIA).where(MEDIA.c.media_id == media_id).values(superseded_by=None)
            )

    def set_sidecar_version(self, media_id: str, version: str) -> None:
        """Note the version of a media's sidecars; another one makes `probe` stale."""
        with self.engine.begin() as connection:
            connection.execute(
                sa.update(MEDIA).where(MEDIA.c.media_id == media_id).values(sidecar_version=version)
            )

    def set_facts(self, facts: Iterable[Facts]) -> None:
        """Copy what searches filter on from finished probes."""
        ordered = sorted(facts, key=lambda one: one.media_id)
        values = [{**asdict(f), "kind": f.kind.value, "m": f.media_id} for f in ordered]
        for value in values:
            del value["media_id"]
        if values:
            names = ("kind", "duration_s", "has_audio", "created_at", "camera")
            statement = (
                sa.update(MEDIA)
                .where(MEDIA.c.media_id == sa.bindparam("m"))
                .values({name: sa.bindparam(name) for name in names})
            )
            with self.engine.begin() as connection:
                connection.execute(statement, values)

    def put_locations(self, locations: Iterable[Location]) -> None:
        """Add places or replace what was known of them; `first_seen` of a known place stays."""
        now = now_iso()
        values = [
            {
                **asdict(x),
                "first_seen": x.first_seen or now,
                "last_seen": x.last_seen or now,
            }
            for x in locations
        ]
        if values:
            back = [value["uri"] for value in values if value["missing_since"] is None]
            with self.engine.begin() as connection:
                self.outbox.tell_returned(connection, back)
                upsert(connection, LOCATION, values, kept="first_seen")

    def mark_missing(self, uris: Sequence[str]) -> None:
        """Note that places are gone, keeping the moment of the first such note."""
        with self.engine.begin() as connection:
            self.outbox.tell_missing(connection, uris)
            for piece in chunks(sorted(uris)):
                here = sa.and_(LOCATION.c.uri.in_(piece), LOCATION.c.missing_since.is_(None))
                ordered = sa.select(LOCATION.c.uri).where(here).order_by(LOCATION.c.uri)
                connection.execute(ordered.with_for_update())
                connection.execute(sa.update(LOCATION).where(here).values(missing_since=now_iso()))

    def locations(self, below: str = "") -> list[Location]:
        """Places whose address is `below`, or below it as a folder; all when it is empty."""
        query = sa.select(LOCATION).order_by(LOCATION.c.uri)
        if below:
            folder = begins_with(LOCATION.c.uri, below.rstrip("/") + "/")
            query = query.where(sa.or_(LOCATION.c.uri == below, folder))
        with self.engine.connect() as connection:
            return [_location(row) for row in connection.execute(query)]

    def locations_of(self, media_ids: Sequence[str]) -> dict[str, list[Location]]:
        """Places by media id, present ones first, the one seen first of all first among them."""
        found: dict[str, list[Location]] = {media_id: [] for media_id in media_ids}
        with self.engine.connect() as connection:
            for piece in chunks(media_ids):
                query = sa.select(LOCATION).where(LOCATION.c.media_id.in_(piece))
                for row in connection.execute(
                    query.order_by(LOCATION.c.first_seen, LOCATION.c.uri)
                ):
                    found[row.media_id].append(_location(row))
        for places in found.values():
            places.sort(key=lambda place: place.missing_since is not None)
        return found

    def matching(self, filters: Filters) -> set[str] | None:
        """Ids of the media that pass the filters, or None when the filters let all pass."""
        if filters == Filters():
            return None
        query = sa.select(MEDIA.c.media_id).where(
            MEDIA.c.superseded_by.is_(None), *_conditions(filters)
        )
        with self.engine.connect() as connection:
            found = set(connection.scalars(query))
        if filters.path:
            found &= {x.media_id for x in self.locations() if _path_fits(x.uri, filters.path)}
        return found

    def _select_media(self, column: sa.Column[Any], values: Sequence[str]) -> Iterator[Media]:
        with self.engine.connect() as connection:
            for piece in chunks(values):
                for row in connection.execute(sa.select(MEDIA).where(column.in_(piece))):
                    yield _media(row)


def _conditions(filters: Filters) -> list[sa.ColumnElement[bool]]:
    conditions: list[sa.ColumnElement[bool]] = []
    if filters.kinds:
        conditions.append(MEDIA.c.kind.in_([kind.value for kind in filters.kinds]))
    if filters.after:
        conditions.append(MEDIA.c.created_at >= filters.after)
    if filters.before:
        conditions.append(MEDIA.c.created_at < filters.before)
    if filters.camera:
        conditions.append(MEDIA.c.camera.icontains(filters.camera, autoescape=True))
    if filters.has_audio is not None:
        conditions.append(MEDIA.c.has_audio == filters.has_audio)
    if filters.min_duration_s is not None:
        conditions.append(MEDIA.c.duration_s >= filters.min_duration_s)
    if filters.max_duration_s is not None:
        conditions.append(MEDIA.c.duration_s <= filters.max_duration_s)
    return conditions


def _path_fits(uri: str, pattern: str) -> bool:
    path = os.fspath(uri_to_path(uri)) if uri.startswith("file://") else uri
    return fnmatch.fnmatchcase(path, pattern) or fnmatch.fnmatchcase(path, f"*{pattern}*")


def _media_values(media: Media) -> dict[str, Any]:
    return {**asdict(media), "kind": media.kind.value}


def _media(row: Any) -> Media:
    return Media(
        media_id=row.media_id,
        partition_key=row.partition_key,
        kind=MediaKind(row.kind),
        size_bytes=row.size_bytes,
        first_name=row.first_name,
        asset_id=row.asset_id,
        superseded_by=row.superseded_by,
        sidecar_version=row.sidecar_version,
    )


def _location(row: Any) -> Location:
    return Location(*row)  # the columns stand in the record's order: by name takes thrice as long
