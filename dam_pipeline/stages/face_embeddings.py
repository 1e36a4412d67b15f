"""L1: the faces in the keyframes, where they are and who they resemble."""

from collections.abc import Generator, Sequence

from dam_pipeline import schemas
from dam_pipeline.errors import DamError
from dam_pipeline.records import Face, State
from dam_pipeline.stages.face_tracks import Seen, best_of_tracks, face_quality, face_tracks
from dam_pipeline.stages.gates import length_error
from dam_pipeline.stages.outcome import Outcome
from dam_pipeline.stages.pictures import Picture, Row, rows_of_pictures, table_of, where_pictures
from dam_pipeline.stages.stage import Stage
from dam_pipeline.stages.work import Toolbox, Work

SWITCHED_OFF = "faces are switched off (DAM_FACES)"
PICTURES_AT_ONCE = 8  # enough for full batches of chips


def _run(works: Sequence[Work], tools: Toolbox) -> Generator[Outcome]:
    if not tools.settings.faces:
        yield from [Outcome.empty(SWITCHED_OFF)] * len(works)
        return
    model = tools.face

    def find(pictures: list[Picture]) -> list[list[Row]]:
        found = model.find_faces([picture.pixels for picture in pictures])
        return [[_row(p, face) for face in faces] for p, faces in zip(pictures, found, strict=True)]

    schema = schemas.face_embeddings(model.space.dimension)
    for rows in rows_of_pictures(works, PICTURES_AT_ONCE, find):
        try:
            if isinstance(rows, list):
                _track(rows, model.space.alike_floor)
            table = table_of(rows, schema)
            result = {"space": model.space.name, "length_error": length_error(table)}
        except DamError as error:
            yield Outcome.of_error(error)
            continue
        if not table.num_rows:
            yield Outcome.empty("no face found", model=model.ref)
            continue
        yield Outcome(State.DONE, result=result, table=table, model=model.ref, also=model.also)


def _row(picture: Picture, face: Face) -> Row:
    height, width = picture.pixels.shape[:2]
    return {
        **picture.place,
        "shot": picture.row["shot"],
        "box": face.box,
        "confidence": face.confidence,
        "landmarks": [value for point in face.landmarks for value in point],
        "quality": face_quality(face, width, height),
        "vector": face.vector,
    }


def _track(rows: list[Row], floor: float) -> None:
    """Number the tracks of a file's faces and mark the best face of each."""
    seen = [Seen(row["shot"], row["keyframe"], row["box"], row["vector"]) for row in rows]
    tracks = face_tracks(seen, floor)
    best = best_of_tracks(tracks, [row["quality"] for row in rows])
    for row, track, is_best in zip(rows, tracks, best, strict=True):
        row |= {"track": track, "is_best": is_best}


STAGE = Stage(
    name="face_embeddings",
    level="L1",
    version=2,
    description="Faces in the keyframes: boxes, landmarks, vectors that tell people apart, tracks.",
    run=where_pictures(_run),
    inputs=("keyframes",),
    settings=("faces", "face_confidence"),
    models=("face",),
    kinds=("torch", "parquet"),
)
