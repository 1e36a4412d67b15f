"""Reads the current graph: what is related to a media, and how many of everything there are."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dam_pipeline.catalogue.catalogue import Catalogue
from dam_pipeline.errors import StoreUnavailable
from dam_pipeline.graph.database import count_edges, count_rows, opened, read_meta
from dam_pipeline.graph.versions import graph_path
from dam_pipeline.records import Json
from dam_pipeline.settings import Settings

NODE_TABLES = ("media", "shots", "keyframes", "faces", "segments", "scenes")
_COMMUNITY_SQL = """
    SELECT community, name, named_by, terms, media FROM communities
    JOIN community_of USING (community) WHERE media_id = $media
"""
_RELATED_SQL = """
    SELECT kind, weight, a_start_s, a_end_s, b_media, b_start_s, b_end_s, evidence, true AS is_a
    FROM edges WHERE a_media = $media
    UNION ALL
    SELECT kind, weight, b_start_s, b_end_s, a_media, a_start_s, a_end_s, evidence, false
    FROM edges WHERE b_media = $media
    ORDER BY weight DESC, kind, 5
"""


@dataclass(frozen=True, slots=True)
class Related:
    """A relation of the media that was asked for to another one, with both stretches in seconds.

    In `evidence`, keys that start with `other_` speak of the other media.
    """

    kind: str
    weight: float
    start_s: float
    end_s: float
    other_media_id: str
    other_uri: str | None
    other_start_s: float
    other_end_s: float
    evidence: Json

    def to_json(self) -> dict[str, Json]:
        """The documented form of an entry of `dam related --json`."""
        return {
            "kind": self.kind,
            "weight": self.weight,
            "start_s": self.start_s,
            "end_s": self.end_s,
            "other": {
                "media_id": self.other_media_id,
                "uri": self.other_uri,
                "start_s": self.other_start_s,
                "end_s": self.other_end_s,
            },
            "evidence": self.evidence,
        }


@dataclass(frozen=True, slots=True)
class Community:
    """Files that belong together more than with others: its number, its name, how many they are.

    `terms` are what it is named by: `named_by` is tags, words, camera or file.
    """

    community: int
    name: str
    named_by: str
    terms: tuple[str, ...]
    media: int


@dataclass(frozen=True, slots=True)
class GraphCounts:
    """Rows of the current graph by table and edge kind, its file and how it was made."""

    nodes: Mapping[str, int]
    edges: Mapping[str, int]
    path: Path
    meta: Mapping[str, Json]


def related(settings: Settings, media_id: str, catalogue: Catalogue) -> list[Related]:
    """All relations of a media, the strongest first; raises StoreUnavailable without a graph.

    Media that were superseded since the graph was built are left out; `other_uri` is where the
    other one is now (where it was last, when it is missing).
    """
    with opened(graph_path(settings)) as connection:
        rows = connection.execute(_RELATED_SQL, {"media": media_id}).fetchall()
    others = sorted({row[4] for row in rows})
    known = catalogue.media(others)
    places = catalogue.locations_of(others)
    current = {other for other, media in known.items() if media.superseded_by is None}
    return [
        _related(row, next((place.uri for place in places[row[4]]), None))
        for row in rows
        if row[4] in current
    ]


def is_behind(settings: Settings, catalogue: Catalogue) -> bool:
    """Whether some state has changed that the current graph does not know, or there is none yet."""
    newest = catalogue.states.newest()
    if not newest:
        return False
    try:
        with opened(graph_path(settings)) as connection:
            return str(read_meta(connection).get("newest_state", "")) < newest
    except StoreUnavailable:
        return True


def community_of(settings: Settings, media_id: str) -> Community | None:
    """The community that a media is in, None for one that is on its own.

    Raises StoreUnavailable without a graph.
    """
    with opened(graph_path(settings)) as connection:
        rows = connection.execute(_COMMUNITY_SQL, {"media": media_id}).fetchall()
    for number, name, named_by, terms, media in rows:
        return Community(number, name, named_by, tuple(terms), media)
    return None


def graph_counts(settings: Settings) -> GraphCounts:
    """Counts of the current graph; raises StoreUnavailable without one."""
    path = graph_path(settings)
    with opened(path) as connection:
        nodes = {name: count_rows(connection, name) for name in NODE_TABLES}
        return GraphCounts(nodes, count_edges(connection), path, read_meta(connection))


def _related(row: tuple[Any, ...], uri: str | None) -> Related:
    kind, weight, start_s, end_s, other, other_start_s, other_end_s, evidence, is_a = row
    own, far = ("a_", "b_") if is_a else ("b_", "a_")
    return Related(
        kind=kind,
        weight=weight,
        start_s=start_s,
        end_s=end_s,
        other_media_id=other,
        other_uri=uri,
        other_start_s=other_start_s,
        other_end_s=other_end_s,
        evidence=_seen_from(json.loads(evidence), own, far),
    )


def _seen_from(evidence: Json, own: str, far: str) -> Json:
    """The evidence with the sides named as the media that was asked for and the other one."""
    if isinstance(evidence, list):
        return [_seen_from(one, own, far) for one in evidence]
    if not isinstance(evidence, dict):
        return evidence
    return {_side(key, own, far): _seen_from(value, own, far) for key, value in evidence.items()}


def _side(key: str, own: str, far: str) -> str:
    if key.startswith(own):
        return key.removeprefix(own)
    return f"other_{key.removeprefix(far)}" if key.startswith(far) else key
