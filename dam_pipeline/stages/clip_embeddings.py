"""L1: what the keyframes show, as vectors of the active image-text space."""

from collections.abc import Generator, Sequence

from dam_pipeline import schemas
from dam_pipeline.errors import DamError
from dam_pipeline.records import State
from dam_pipeline.stages.gates import length_error
from dam_pipeline.stages.outcome import Outcome
from dam_pipeline.stages.pictures import Picture, Row, rows_of_pictures, table_of, where_pictures
from dam_pipeline.stages.stage import Stage
from dam_pipeline.stages.work import Toolbox, Work

LEAST_PX = 448  # pictures are read reduced, but not below twice what the network looks at


def _run(works: Sequence[Work], tools: Toolbox) -> Generator[Outcome]:
    model = tools.image_text

    def encode(pictures: list[Picture]) -> list[list[Row]]:
        vectors = model.encode_images([picture.pixels for picture in pictures])
        return [[{**p.place, "vector": v}] for p, v in zip(pictures, vectors, strict=True)]

    schema = schemas.clip_embeddings(model.space.dimension)
    for rows in rows_of_pictures(works, tools.settings.clip_batch, encode, LEAST_PX):
        try:
            table = table_of(rows, schema)
            result = {"space": model.space.name, "length_error": length_error(table)}
            yield Outcome(State.DONE, result=result, table=table, model=model.ref)
        except DamError as error:
            yield Outcome.of_error(error)


STAGE = Stage(
    name="clip_embeddings",
    level="L1",
    version=2,
    description="One vector a keyframe in the active image-text space: search by words or picture.",
    run=where_pictures(_run),
    inputs=("keyframes",),
    settings=("clip_precision",),
    models=("image_text",),
    kinds=("torch", "parquet"),
)
