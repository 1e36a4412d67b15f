"""L2: shots that belong together, with what is said and who is seen in them."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from dam_pipeline import schemas
from dam_pipeline.models import spaces
from dam_pipeline.records import Json, State
from dam_pipeline.stages.outcome import Outcome
from dam_pipeline.stages.stage import Stage, each
from dam_pipeline.stages.work import Toolbox, Work

LINK_WITHIN = 4  # shots: how far apart two takes of one dialogue may be and still belong together

Rows = list[dict[str, Json]]


def group_shots(likeness: np.ndarray, floor: float) -> list[tuple[int, int]]:
    """Half-open runs of shots that belong together, from an (n, n) matrix of shot likeness.

    Overlapping links (Hanjalic et al. 1999, "Automated high-level movie segmentation"): two shots
    at most `LINK_WITHIN` apart and at least `floor` alike bind all shots between them.
    """
    count = len(likeness)
    reach = list(range(count))
    for first in range(count):
        for second in range(first + 1, min(first + LINK_WITHIN + 1, count)):
            if likeness[first, second] >= floor:
                reach[first] = second
    groups: list[tuple[int, int]] = []
    start, furthest = 0, 0
    for shot in range(count):
        if shot > furthest:
            groups.append((start, shot))
            start = shot
        furthest = max(furthest, reach[shot], shot)
    return [*groups, (start, count)] if count else []


def _run(work: Work, tools: Toolbox) -> Outcome:
    tables = {
        name: work.table(name).to_pylist() if work.has_rows(name) else []
        for name in ("shots", "keyframes", "clip_embeddings", "face_embeddings", "transcript")
    }
    shots: Rows = tables["shots"]
    if not shots:
        if not tables["transcript"]:
            return Outcome.empty("neither picture nor words in this file")
        shots = [{"start_s": 0.0, "end_s": work.probe.duration_s}]
    likeness = _shot_likeness(len(shots), tables["keyframes"], tables["clip_embeddings"])
    space = spaces(tools.settings).get("image_text")
    floor = space.image_floor if space else 0.0
    rows = [
        _scene(shots[first]["start_s"], shots[last - 1]["end_s"], range(first, last), tables)
        for first, last in group_shots(likeness, floor)
    ]
    return Outcome(State.DONE, table=pa.Table.from_pylist(rows, schema=schemas.SCENES))


def _shot_likeness(count: int, keyframes: Rows, embeddings: Rows) -> np.ndarray:
    """Best cosine between the keyframes of each two shots; 1 everywhere without vectors."""
    if not embeddings:
        return np.ones((count, count), np.float32)
    vectors = np.asarray([row["vector"] for row in embeddings], np.float32)
    of_shot = np.asarray([keyframes[row["keyframe"]]["shot"] for row in embeddings])
    likeness = np.full((count, count), -1.0, np.float32)
    for first in range(count):
        for second in range(first + 1, min(first + LINK_WITHIN + 1, count)):
            pairs = vectors[of_shot == first] @ vectors[of_shot == second].T
            likeness[first, second] = pairs.max(initial=-1.0)
    return likeness


def _scene(start_s: float, end_s: float, shots: Sequence[int], tables: dict[str, Rows]) -> Json:
    frames = [(n, row) for n, row in enumerate(tables["keyframes"]) if row["shot"] in shots]
    best = max(frames, key=lambda pair: (pair[1]["is_hero"], pair[1]["sharpness"]), default=None)
    inside = {number for number, _row in frames}
    faces = [row["keyframe"] for row in tables["face_embeddings"] if row["keyframe"] in inside]
    words = [r for r in tables["transcript"] if r["start_s"] < end_s and r["end_s"] > start_s]
    return {
        "start_s": start_s,
        "end_s": end_s,
        "shots": list(shots) if tables["shots"] else [],
        "keyframe": best[0] if best else None,
        "words": " ".join(row["text"].strip() for row in words),
        "faces": max((faces.count(frame) for frame in set(faces)), default=0),
    }


STAGE = Stage(
    name="scenes",
    level="L2",
    version=1,
    description="Shots that belong together on one time axis with their words and faces.",
    run=each(_run, reads_original=False),
    inputs=("probe", "shots", "keyframes"),
    enrichments=("clip_embeddings", "face_embeddings", "transcript"),
    models=("image_text",),
    kinds=("parquet",),
)
