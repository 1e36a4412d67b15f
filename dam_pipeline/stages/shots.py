"""L1: where the cuts are."""

from dataclasses import asdict

import pyarrow as pa

from dam_pipeline import schemas
from dam_pipeline.records import State
from dam_pipeline.stages.gates import uncovered_s
from dam_pipeline.stages.outcome import Outcome, partial_reason
from dam_pipeline.stages.stage import Stage, each
from dam_pipeline.stages.visual_pass import NO_PICTURE, look_at
from dam_pipeline.stages.work import Toolbox, Work


def _run(work: Work, tools: Toolbox) -> Outcome:
    if not work.probe.has_picture:
        return Outcome.empty(NO_PICTURE)
    look = look_at(work, tools)
    table = pa.Table.from_pylist([asdict(shot) for shot in look.shots], schema=schemas.SHOTS)
    result = {
        "frames": look.frames,
        "duration_s": look.duration_s,
        "uncovered_s": uncovered_s(look.shots, look.duration_s),
    }
    return Outcome(State.DONE, partial_reason(look.partial), result=result, table=table)


STAGE = Stage(
    name="shots",
    level="L1",
    version=2,
    description="The unbroken runs of frames from cut to cut; a photograph is one shot.",
    run=each(_run),
    inputs=("probe",),
    settings=("shot_threshold", "max_megapixels"),
    kinds=("video", "parquet"),
)
