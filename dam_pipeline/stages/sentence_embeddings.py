"""L1: what the spoken sentences mean, as vectors of the active sentence space."""

import pyarrow as pa

from dam_pipeline import schemas
from dam_pipeline.records import State
from dam_pipeline.search.passages import passages
from dam_pipeline.stages.gates import length_error
from dam_pipeline.stages.outcome import Outcome
from dam_pipeline.stages.stage import Stage, each
from dam_pipeline.stages.work import Toolbox, Work


def _run(work: Work, tools: Toolbox) -> Outcome:
    segments = work.table("transcript").to_pylist() if work.has_rows("transcript") else []
    found = passages(segments)
    if not found:
        return Outcome.empty("no speech in this file")
    model = tools.sentence
    vectors = model.encode_texts([one.text for one in found])
    rows = [
        {
            "time_s": one.start_s,
            "start_s": one.start_s,
            "end_s": one.end_s,
            "text": one.text,
            "language": one.language,
            "vector": vector,
        }
        for one, vector in zip(found, vectors, strict=True)
    ]
    table = pa.Table.from_pylist(rows, schemas.sentence_embeddings(model.space.dimension))
    result = {"space": model.space.name, "length_error": length_error(table)}
    return Outcome(State.DONE, result=result, table=table, model=model.ref)


STAGE = Stage(
    name="sentence_embeddings",
    level="L1",
    version=1,
    description="One vector a spoken sentence, so that speech is found by what it means.",
    run=each(_run, reads_original=False),
    inputs=("transcript",),
    models=("sentence",),
    kinds=("torch", "parquet"),
)
