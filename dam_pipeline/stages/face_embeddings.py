"""L1: the faces in the keyframes, where they are and who they resemble."""

from collections.abc import Generator, Sequence

from dam_pipeline import schemas
from dam_pipeline.errors import DamError
from dam_pipeline.records import Face, State
from dam_pipeline.stages.gates import length_error
from dam_pipeline.stages.outcome import Outcome
from dam_pipeline.stages.pictures import Picture, Row, rows_of_pictures, table_of, where_pictures
from dam_pipeline.stages.stage import Stage
from dam_pipeline.stages.work import Toolbox, Work

PICTURES_AT_ONCE = 8  # MTCNN's pyramids of eight 1,280 px pictures take about 1 GiB


def _run(works: Sequence[Work], tools: Toolbox) -> Generator[Outcome]:
    model = tools.face

    def find(pictures: list[Picture]) -> list[list[Row]]:
        found = model.find_faces([picture.pixels for picture in pictures])
        return [[_row(p, face) for face in faces] for p, faces in zip(pictures, found, strict=True)]

    schema = schemas.face_embeddings(model.space.dimension)
    for rows in rows_of_pictures(works, PICTURES_AT_ONCE, find):
        try:
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
    return {
        **picture.place,
        "box": face.box,
        "confidence": face.confidence,
        "landmarks": [value for point in face.landmarks for value in point],
        "vector": face.vector,
    }


STAGE = Stage(
    name="face_embeddings",
    level="L1",
    version=1,
    description="Faces in the keyframes: boxes, landmarks, and vectors that tell people apart.",
    run=where_pictures(_run),
    inputs=("keyframes",),
    settings=("face_confidence",),
    models=("face",),
    kinds=("torch", "parquet"),
)
