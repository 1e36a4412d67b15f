"""The tables `people` and `person_of`: who is seen in which face, by `people`."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from dam_pipeline import schemas
from dam_pipeline.graph import database as db
from dam_pipeline.graph.kinds import FACE_STAGE
from dam_pipeline.graph.loading import Library, vectors_of
from dam_pipeline.graph.people import FaceKey, Sightings, people, persons
from dam_pipeline.graph.tables import PEOPLE, PERSON_OF
from dam_pipeline.records import Space

TABLE = "person_of"


def write_people(
    connection: Any,
    library: Library,
    space: Space | None,
    before: Mapping[str, str],
    now: Mapping[str, str],
) -> int:
    """Write both tables and give the number of people; `before` and `now` are versions of the faces.

    Where files were only added after all others, those before keep their people and the rest is
    found from there, which comes to the same.
    """
    if before and before == now:
        return db.count_rows(connection, "people")
    ranks = {media_id: at for at, media_id in enumerate(library.by_age(now))}
    sightings = _sightings(library, space, ranks)
    known: dict[FaceKey, str] = {}
    if before and _only_added(before, now, ranks):
        old = connection.execute(f"SELECT media_id, item, person FROM {TABLE}").fetchall()
        known = {(media_id, item): person for media_id, item, person in old}
    ids = people(sightings, space.alike_floor if space else 1.0, known)
    rows: dict[str, Any] = {
        "media_id": list(sightings.media_ids),
        "item": sightings.items,
        "person": ids,
    }
    db.write_table(connection, TABLE, pa.Table.from_pydict(rows, schema=PERSON_OF))
    found = [
        {
            "person": one.person,
            "faces": one.faces,
            "media": one.media,
            "best_media": one.best[0],
            "best_item": one.best[1],
        }
        for one in persons(sightings, ids)
    ]
    db.write_table(connection, "people", pa.Table.from_pylist(found, PEOPLE))
    return len(found)


def _only_added(
    before: Mapping[str, str], now: Mapping[str, str], ranks: Mapping[str, int]
) -> bool:
    """Whether the files before are as they were, and all others came after them."""
    if any(now.get(media_id) != version for media_id, version in before.items()):
        return False
    new = min((ranks[one] for one in now if one not in before), default=len(now))
    return all(ranks[one] < new for one in before)


def _sightings(library: Library, space: Space | None, ranks: Mapping[str, int]) -> Sightings:
    """The faces of these media in the order of their ranks."""
    schema = schemas.face_embeddings(space.dimension if space else 1)
    rows = library.rows(FACE_STAGE, schema, ranks)
    rank = np.array([ranks[media_id] for media_id in rows.media_ids], np.int64)
    order = np.argsort(rank[rows.media], kind="stable")
    return Sightings(
        [rows.media_ids[number] for number in rows.media[order].tolist()],
        rows.items[order],
        np.asarray(rows.table["track"].to_numpy())[order],
        np.asarray(rows.table["quality"].to_numpy())[order],
        vectors_of(rows.table)[order],
    )
