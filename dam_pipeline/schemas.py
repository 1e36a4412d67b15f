"""Arrow schemas of the derived tables, one per stage that has rows.

A change of a schema is a change of that stage's version. Times are seconds on the file's axis;
vectors are float32 of length 1; boxes are x, y, w, h in 0–1 of the upright picture.
"""

import pyarrow as pa


def _schema(*columns: tuple[str, pa.DataType]) -> pa.Schema:
    return pa.schema(columns)


SHOTS = _schema(
    ("start_s", pa.float64()),
    ("end_s", pa.float64()),
    ("transition", pa.string()),
    ("transition_s", pa.float64()),
)

KEYFRAMES = _schema(
    ("shot", pa.int32()),
    ("time_s", pa.float64()),
    ("start_s", pa.float64()),
    ("end_s", pa.float64()),
    ("path", pa.string()),
    ("width", pa.int32()),
    ("height", pa.int32()),
    ("sharpness", pa.float32()),
    ("exposure", pa.float32()),
    ("is_hero", pa.bool_()),
    ("why", pa.string()),
)

FINGERPRINTS = _schema(
    ("start_s", pa.float64()),
    ("end_s", pa.float64()),
    ("luma", pa.binary(256)),
    ("chroma", pa.binary(32)),
    ("detail", pa.float32()),
)

WORD = pa.struct(
    [
        ("start_s", pa.float64()),
        ("end_s", pa.float64()),
        ("text", pa.string()),
        ("probability", pa.float32()),
    ]
)

TRANSCRIPT = _schema(
    ("start_s", pa.float64()),
    ("end_s", pa.float64()),
    ("text", pa.string()),
    ("language", pa.string()),
    ("words", pa.list_(WORD)),
)

TAGS = _schema(
    ("kind", pa.string()),  # "term" or "colour"
    ("tag", pa.string()),
    ("keyframe", pa.int32()),  # null: the whole file
    ("start_s", pa.float64()),
    ("end_s", pa.float64()),
    ("score", pa.float32()),  # term: 0.5 is its threshold; colour: share of the picture
    ("cosine", pa.float32()),  # of the term's best wording; null where only a child of it was seen
)

SCENES = _schema(
    ("start_s", pa.float64()),
    ("end_s", pa.float64()),
    ("shots", pa.list_(pa.int32())),
    ("keyframe", pa.int32()),
    ("tags", pa.list_(pa.string())),  # terms, the best first, then dominant colours
    ("words", pa.string()),
    ("faces", pa.int32()),  # most in one keyframe
    ("face_rows", pa.list_(pa.int32())),  # numbers of the rows in `face_embeddings`
    ("vector", pa.list_(pa.float32())),  # mean of the keyframes' vectors; null without
)


def clip_embeddings(dimension: int) -> pa.Schema:
    """One row a keyframe: its index, its span and its vector."""
    return _schema(
        ("keyframe", pa.int32()),
        ("time_s", pa.float64()),
        ("start_s", pa.float64()),
        ("end_s", pa.float64()),
        ("vector", pa.list_(pa.float32(), dimension)),
    )


def face_embeddings(dimension: int) -> pa.Schema:
    """One row a face: the keyframe it is in, where, how sure, its track in the file, and its vector.

    `track` numbers a person within a shot; `quality` is 0–1, `is_best` one face of each track.
    """
    return _schema(
        ("keyframe", pa.int32()),
        ("time_s", pa.float64()),
        ("start_s", pa.float64()),
        ("end_s", pa.float64()),
        ("box", pa.list_(pa.float32(), 4)),
        ("confidence", pa.float32()),
        ("landmarks", pa.list_(pa.float32(), 10)),
        ("track", pa.int32()),
        ("quality", pa.float32()),
        ("is_best", pa.bool_()),
        ("vector", pa.list_(pa.float32(), dimension)),
    )


def sentence_embeddings(dimension: int) -> pa.Schema:
    """One row a spoken sentence: its span, its words, their language and its vector."""
    return _schema(
        ("time_s", pa.float64()),
        ("start_s", pa.float64()),
        ("end_s", pa.float64()),
        ("text", pa.string()),
        ("language", pa.string()),
        ("vector", pa.list_(pa.float32(), dimension)),
    )
