"""Reads near duplicates from the current graph, of many media at once."""

import json
from collections.abc import Collection
from dataclasses import dataclass

import pyarrow as pa

from dam_pipeline.graph.database import opened
from dam_pipeline.graph.edges import NEAR_DUPLICATE
from dam_pipeline.graph.versions import current
from dam_pipeline.settings import Settings

_EDGES_SQL = """
    SELECT a_media, b_media, weight, evidence FROM edges WHERE kind = $kind
    AND (a_media IN (SELECT media_id FROM asked) OR b_media IN (SELECT media_id FROM asked))
    ORDER BY weight DESC, a_media, b_media
"""
_KNOWN_SQL = "SELECT media_id FROM media WHERE media_id IN (SELECT media_id FROM asked)"


@dataclass(frozen=True, slots=True)
class Alike:
    """A media that shows the same pictures, in `share` (0–1) of the one that was asked for."""

    media_id: str
    weight: float
    share: float


def near_duplicates_of(
    settings: Settings, media_ids: Collection[str]
) -> dict[str, list[Alike] | None]:
    """The near duplicates of each media, the most alike first; None for those not in the graph.

    Raises StoreUnavailable for a graph that cannot be read.
    """
    found: dict[str, list[Alike] | None] = dict.fromkeys(media_ids)
    path = current(settings)
    if path is None or not found:
        return found
    with opened(path) as connection:
        connection.register("asked", pa.table({"media_id": pa.array(list(found), pa.string())}))
        for (media_id,) in connection.execute(_KNOWN_SQL).fetchall():
            found[media_id] = []
        rows = connection.execute(_EDGES_SQL, {"kind": NEAR_DUPLICATE}).fetchall()
    for a, b, weight, evidence in rows:
        shares = json.loads(evidence)
        for own, other, share in ((a, b, shares["a_share"]), (b, a, shares["b_share"])):
            of_own = found.get(own)
            if of_own is not None:
                of_own.append(Alike(other, weight, share))
    return found
