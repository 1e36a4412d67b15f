"""L1: the pictures that stand for the file."""

import hashlib
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa

from dam_pipeline import schemas
from dam_pipeline.records import Shot, State
from dam_pipeline.stages.outcome import Outcome, partial_reason
from dam_pipeline.stages.stage import Stage, each
from dam_pipeline.stages.visual_pass import NO_PICTURE, PASS_FOLDER, look_at
from dam_pipeline.stages.work import Toolbox, Work


def _run(work: Work, tools: Toolbox) -> Outcome:
    if not work.probe.has_picture:
        return Outcome.empty(NO_PICTURE)
    shots = tuple(Shot(**row) for row in work.table("shots").to_pylist())
    look = look_at(work, tools, shots)
    pictures = work.scratch / PASS_FOLDER
    name = f"keyframes-{_content_name([pictures / k.path for k in look.keyframes])}"
    _forget_old_pictures(work, keep=name)
    if not {f"{name}/{k.path}" for k in look.keyframes} <= work.names():
        work.take_in(name, pictures)
    rows = [{**asdict(k), "path": f"{name}/{k.path}"} for k in look.keyframes]
    table = pa.Table.from_pylist(rows, schema=schemas.KEYFRAMES)
    return Outcome(State.DONE, partial_reason(look.partial), result={"folder": name}, table=table)


def _content_name(pictures: list[Path]) -> str:
    digest = hashlib.blake2b(digest_size=4)
    for picture in pictures:
        digest.update(picture.read_bytes())
    return digest.hexdigest()


def _forget_old_pictures(work: Work, keep: str) -> None:
    # The set that the stored rows name stays until their successor is written.
    in_use = {keep, work.result("keyframes").get("folder", keep)}
    folders = ((name, name.partition("/")[0]) for name in work.names())
    work.forget(
        name for name, folder in folders if folder.startswith("keyframes-") and folder not in in_use
    )


STAGE = Stage(
    name="keyframes",
    level="L1",
    version=2,
    description=(
        "Pictures that stand for the file: at least one a shot, a new one when the picture has "
        "changed, each with the span it stands for; one of them is the hero."
    ),
    run=each(_run),
    inputs=("probe", "shots"),
    settings=("keyframe_gap_s", "keyframe_change", "keyframes_per_minute", "keyframe_px"),
    kinds=("image", "parquet"),
)
