"""L1: the faces in the keyframes, where they are and who they resemble."""

from collections.abc import Generator, Sequence

import pyarrow as pa

from dam_pipeline import schemas
from dam_pipeline.errors import SchemaMismatch
from dam_pipeline.records import Face, Json, State
from dam_pipeline.stages.outcome import Outcome
from dam_pipeline.stages.pictures import Picture, picture_batches
from dam_pipeline.stages.stage import Stage
from dam_pipeline.stages.visual_pass import NO_PICTURE
from dam_pipeline.stages.work import Toolbox, Work

PICTURES_AT_ONCE = 8  # MTCNN's pyramids of eight 1,280 px pictures take about 1 GiB


def _run(works: Sequence[Work], tools: Toolbox) -> Generator[Outcome]:
    seen = [work for work in works if work.has_rows("keyframes")]
    if seen:
        found = dict(zip(seen, _find(seen, tools), strict=True))
    for work in works:
        yield found[work] if work in seen else Outcome.empty(NO_PICTURE)


def _find(works: Sequence[Work], tools: Toolbox) -> Generator[Outcome]:
    model = tools.face
    rows: list[list[dict[str, Json]]] = [[] for _ in works]
    failures: dict[int, SchemaMismatch] = {}
    for batch in picture_batches(works, PICTURES_AT_ONCE, failures):
        found = model.find_faces([picture.pixels for picture in batch])
        for picture, faces in zip(batch, found, strict=True):
            rows[picture.work].extend(_row(picture, face) for face in faces)
    schema = schemas.face_embeddings(model.space.dimension)
    for number, mine in enumerate(rows):
        if number in failures:
            yield Outcome.of_error(failures[number])
        elif not mine:
            yield Outcome.empty("no face found", model=model.ref)
        else:
            yield Outcome(
                State.DONE,
                result={"space": model.space.name},
                table=pa.Table.from_pylist(mine, schema),
                model=model.ref,
                also=model.also,
            )


def _row(picture: Picture, face: Face) -> dict[str, Json]:
    return {
        "keyframe": picture.index,
        "time_s": picture.row["time_s"],
        "start_s": picture.row["start_s"],
        "end_s": picture.row["end_s"],
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
    run=_run,
    inputs=("keyframes",),
    settings=("face_confidence",),
    models=("face",),
    kinds=("torch", "parquet"),
)
