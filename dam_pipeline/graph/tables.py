"""Arrow schemas of the graph's tables; DuckDB makes its own of them.

Rows of a stage are in tables of their own, with `media_id` and `item` in front: the file, and the
number of the row in the file's derived table.
"""

from collections.abc import Mapping

import pyarrow as pa

from dam_pipeline import schemas

NOT_IN_GRAPH = ("vector", "landmarks")


def _schema(*columns: tuple[str, pa.DataType]) -> pa.Schema:
    return pa.schema(columns)


def shown(schema: pa.Schema) -> pa.Schema:
    """A stage's columns without those that nobody asks a graph for."""
    return pa.schema([field for field in schema if field.name not in NOT_IN_GRAPH])


NODE_STAGES: Mapping[str, tuple[str, pa.Schema]] = {
    "shots": ("shots", schemas.SHOTS),
    "keyframes": ("keyframes", schemas.KEYFRAMES),
    "transcript": ("segments", schemas.TRANSCRIPT),
    "scenes": ("scenes", shown(schemas.SCENES)),
    "face_embeddings": ("faces", shown(schemas.face_embeddings(1))),
}
"""Tables that are a stage's rows, by stage: the table's name and its columns."""

MEDIA = _schema(
    ("media_id", pa.string()),
    ("partition_key", pa.string()),
    ("kind", pa.string()),
    ("name", pa.string()),
    ("duration_s", pa.float64()),
    ("width", pa.int32()),
    ("height", pa.int32()),
    ("has_audio", pa.bool_()),
    ("created_at", pa.string()),
    ("camera", pa.string()),
    ("lat", pa.float64()),
    ("lon", pa.float64()),
)

TAGS = _schema(
    ("media_id", pa.string()),
    ("tag", pa.string()),
    ("label", pa.string()),
    ("source", pa.string()),
    ("score", pa.float64()),
    ("start_s", pa.float64()),
    ("end_s", pa.float64()),
)

EDGES = _schema(
    ("kind", pa.string()),
    ("a_media", pa.string()),
    ("a_start_s", pa.float64()),
    ("a_end_s", pa.float64()),
    ("b_media", pa.string()),
    ("b_start_s", pa.float64()),
    ("b_end_s", pa.float64()),
    ("weight", pa.float64()),
    ("evidence", pa.string()),
)

PERSON_OF = _schema(("media_id", pa.string()), ("item", pa.int32()), ("person", pa.string()))

PEOPLE = _schema(
    ("person", pa.string()),
    ("faces", pa.int32()),
    ("media", pa.int32()),
    ("best_media", pa.string()),
    ("best_item", pa.int32()),
)

COMMUNITIES = _schema(
    ("community", pa.int32()),
    ("name", pa.string()),
    ("named_by", pa.string()),
    ("terms", pa.list_(pa.string())),
    ("media", pa.int32()),
    ("first_created_at", pa.string()),
    ("last_created_at", pa.string()),
)

COMMUNITY_OF = _schema(("media_id", pa.string()), ("community", pa.int32()))

COMPONENT_OF = _schema(("media_id", pa.string()), ("component", pa.int32()))

SHINGLES = _schema(("media_id", pa.string()), ("shingle", pa.uint64()), ("place", pa.int32()))

MADE_FROM = _schema(("what", pa.string()), ("media_id", pa.string()), ("version", pa.string()))

META = _schema(("key", pa.string()), ("value", pa.string()))

OWN_TABLES: Mapping[str, pa.Schema] = {
    "media": MEDIA,
    "tags": TAGS,
    "edges": EDGES,
    "people": PEOPLE,
    "person_of": PERSON_OF,
    "communities": COMMUNITIES,
    "community_of": COMMUNITY_OF,
    "component_of": COMPONENT_OF,
    "shingles": SHINGLES,
    "made_from": MADE_FROM,
    "meta": META,
}
"""Tables that are not a stage's rows, by name."""
