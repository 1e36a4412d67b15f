"""L1: what is left of the pictures when codec, size and rate are taken away."""

import base64

import pyarrow as pa

from dam_pipeline import schemas
from dam_pipeline.records import Shot, State
from dam_pipeline.stages.outcome import Outcome, partial_reason
from dam_pipeline.stages.stage import Stage, each
from dam_pipeline.stages.visual_pass import NO_PICTURE, look_at
from dam_pipeline.stages.work import Toolbox, Work


def _run(work: Work, tools: Toolbox) -> Outcome:
    if not work.probe.has_picture:
        return Outcome.empty(NO_PICTURE)
    shots = tuple(Shot(**row) for row in work.table("shots").to_pylist())
    look = look_at(work, tools, shots)
    rows = [
        {
            "start_s": one.start_s,
            "end_s": one.end_s,
            "luma": base64.b64decode(one.luma),
            "chroma": base64.b64decode(one.chroma),
            "detail": one.detail,
        }
        for one in look.prints
    ]
    table = pa.Table.from_pylist(rows, schema=schemas.FINGERPRINTS)
    return Outcome(State.DONE, partial_reason(look.partial), table=table)


STAGE = Stage(
    name="fingerprints",
    level="L1",
    version=1,
    description=(
        "Prints of the pictures, two a second, by which copies are recognised after re-encoding, "
        "cropping, trimming or a change of frame rate."
    ),
    run=each(_run),
    inputs=("probe", "shots"),
    kinds=("parquet",),
)
