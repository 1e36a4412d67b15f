"""L1: what the keyframes show, as vectors of the active image-text space."""

from collections.abc import Generator, Sequence

import pyarrow as pa

from dam_pipeline import schemas
from dam_pipeline.errors import SchemaMismatch
from dam_pipeline.records import Json, State
from dam_pipeline.stages.outcome import Outcome
from dam_pipeline.stages.pictures import picture_batches
from dam_pipeline.stages.stage import Stage
from dam_pipeline.stages.visual_pass import NO_PICTURE
from dam_pipeline.stages.work import Toolbox, Work


def _run(works: Sequence[Work], tools: Toolbox) -> Generator[Outcome]:
    seen = [work for work in works if work.has_rows("keyframes")]
    if seen:
        found = dict(zip(seen, _encode(seen, tools), strict=True))
    for work in works:
        yield found[work] if work in seen else Outcome.empty(NO_PICTURE)


def _encode(works: Sequence[Work], tools: Toolbox) -> Generator[Outcome]:
    model = tools.image_text
    rows: list[list[dict[str, Json]]] = [[] for _ in works]
    failures: dict[int, SchemaMismatch] = {}
    for batch in picture_batches(works, tools.settings.clip_batch, failures):
        vectors = model.encode_images([picture.pixels for picture in batch])
        for picture, vector in zip(batch, vectors, strict=True):
            times = {name: picture.row[name] for name in ("time_s", "start_s", "end_s")}
            rows[picture.work].append({"keyframe": picture.index, **times, "vector": vector})
    schema = schemas.clip_embeddings(model.space.dimension)
    for number, mine in enumerate(rows):
        if number in failures:
            yield Outcome.of_error(failures[number])
            continue
        table = pa.Table.from_pylist(mine, schema=schema)
        yield Outcome(State.DONE, result={"space": model.space.name}, table=table, model=model.ref)


STAGE = Stage(
    name="clip_embeddings",
    level="L1",
    version=1,
    description="One vector a keyframe in the active image-text space: search by words or picture.",
    run=_run,
    inputs=("keyframes",),
    settings=("clip_precision",),
    models=("image_text",),
    kinds=("torch", "parquet"),
)
