"""L2: shots that belong together, with what is seen, said and who is there in them."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import pyarrow as pa

from dam_pipeline import schemas
from dam_pipeline.models import spaces
from dam_pipeline.records import Json, State
from dam_pipeline.stages.outcome import Outcome
from dam_pipeline.stages.stage import Stage, each
from dam_pipeline.stages.work import Toolbox, Work
from dam_pipeline.tagging.colours import DOMINANT, NAMES

LINK_WITHIN = 4  # shots: how far apart two takes of one dialogue may be and still belong together
# Shares of named colours that two pictures have in common. Of one camera's takes 95% lie above 0.9,
# of different photographs all below 0.7 (benchmarks/accuracy/scenes.py).
COLOURS_AGREE = 0.7  # below it two pictures are of different places, whatever a model says
COLOURS_ALIKE = 0.85  # from it on they are of one place, where no model says anything

USED = ("shots", "keyframes", "clip_embeddings", "tags", "face_embeddings", "transcript")

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


def shot_likeness(of_shot: np.ndarray, alike: Callable[[slice, slice], np.ndarray]) -> np.ndarray:
    """Likeness (shots, shots) of near shots: the best of their keyframes; -1 for all other pairs.

    `of_shot` (keyframes,) is the shot of each keyframe, ascending; `alike` gives the likeness of two
    runs of keyframes, each with each.
    """
    count = int(of_shot.max(initial=-1)) + 1
    edges = np.searchsorted(of_shot, np.arange(count + 1))
    runs = [slice(start, end) for start, end in pairwise(edges)]
    likeness = np.full((count, count), -1.0, np.float32)
    for first in range(count):
        for second in range(first + 1, min(first + LINK_WITHIN + 1, count)):
            likeness[first, second] = alike(runs[first], runs[second]).max(initial=-1.0)
    return likeness


def colours_in_common(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """What share of their dominant colours pictures have in common, (n, m).

    `a` (n, colours) and `b` (m, colours) are shares of the picture.
    """
    common = np.minimum(a[:, None], b[None, :]).sum(axis=2)
    most = np.maximum(a.sum(axis=1)[:, None], b.sum(axis=1)[None, :])
    agreed: np.ndarray = common / np.maximum(most, 1e-6)
    return agreed


def _run(work: Work, tools: Toolbox) -> Outcome:
    tables = {n: work.table(n).to_pylist() if work.has_rows(n) else [] for n in USED}
    shots: Rows = tables["shots"]
    if not shots:
        if not tables["transcript"]:
            return Outcome.empty("neither picture nor words in this file")
        shots = [{"start_s": 0.0, "end_s": work.probe.duration_s}]
    space = spaces(tools.settings).get("image_text")
    likeness, floor = likeness_of(tables, space.image_floor if space else 0.0)
    rows = [
        _scene(shots[first]["start_s"], shots[last - 1]["end_s"], range(first, last), tables)
        for first, last in (group_shots(likeness, floor) if len(likeness) else [(0, len(shots))])
    ]
    result = {"space": work.result("clip_embeddings").get("space", "")}
    return Outcome(
        State.DONE, result=result, table=pa.Table.from_pylist(rows, schema=schemas.SCENES)
    )


def likeness_of(tables: dict[str, Rows], image_floor: float) -> tuple[np.ndarray, float]:
    """Likeness of the shots, and from where on they belong together; empty without keyframes.

    A model's word counts where the colours agree; without a model the colours decide alone.
    """
    of_shot = np.asarray([row["shot"] for row in tables["keyframes"]], int)
    shares = _colour_shares(tables["tags"], len(of_shot))
    vectors = _vectors(tables["clip_embeddings"], len(of_shot))

    def by_colours(a: slice, b: slice) -> np.ndarray:
        return colours_in_common(shares[a], shares[b])

    def by_both(a: slice, b: slice) -> np.ndarray:
        agree = by_colours(a, b) >= COLOURS_AGREE if shares.any() else True
        return np.where(agree, vectors[a] @ vectors[b].T, -1.0)

    if len(vectors):
        return shot_likeness(of_shot, by_both), image_floor
    return shot_likeness(of_shot, by_colours), COLOURS_ALIKE


def _vectors(embeddings: Rows, keyframes: int) -> np.ndarray:
    """Unit vectors (keyframes, d) float32; (0, 0) where not every keyframe has one."""
    if len(embeddings) != keyframes or not embeddings:
        return np.zeros((0, 0), np.float32)
    return np.asarray([row["vector"] for row in embeddings], np.float32)


def _colour_shares(tags: Rows, keyframes: int) -> np.ndarray:
    """Shares (keyframes, colours) float32 of the dominant colours."""
    shares = np.zeros((keyframes, len(NAMES)), np.float32)
    for row in tags:
        if row["kind"] == "colour" and row["keyframe"] is not None and row["tag"] in NAMES:
            shares[row["keyframe"], NAMES.index(row["tag"])] = row["score"]
    return shares


def _scene(start_s: float, end_s: float, shots: Sequence[int], tables: dict[str, Rows]) -> Json:
    frames = [(n, row) for n, row in enumerate(tables["keyframes"]) if row["shot"] in shots]
    best = max(frames, key=lambda pair: (pair[1]["is_hero"], pair[1]["sharpness"]), default=None)
    inside = {number for number, _row in frames}
    faces = [n for n, row in enumerate(tables["face_embeddings"]) if row["keyframe"] in inside]
    of_frame = [tables["face_embeddings"][face]["keyframe"] for face in faces]
    words = [r for r in tables["transcript"] if r["start_s"] < end_s and r["end_s"] > start_s]
    return {
        "start_s": start_s,
        "end_s": end_s,
        "shots": list(shots) if tables["shots"] else [],
        "keyframe": best[0] if best else None,
        "tags": _tags([row for row in tables["tags"] if row["keyframe"] in inside], len(inside)),
        "words": " ".join(row["text"].strip() for row in words),
        "faces": max((of_frame.count(frame) for frame in set(of_frame)), default=0),
        "face_rows": faces,
        "vector": _mean(
            [r["vector"] for r in tables["clip_embeddings"] if r["keyframe"] in inside]
        ),
    }


def _tags(rows: Rows, keyframes: int) -> list[str]:
    """Terms by their best score, then the colours that are dominant over all keyframes."""
    terms: dict[str, float] = {}
    shares: dict[str, float] = {}
    for row in rows:
        tag, score = row["tag"], row["score"]
        if row["kind"] == "term":
            terms[tag] = max(terms.get(tag, 0.0), score)
        else:
            shares[tag] = shares.get(tag, 0.0) + score / keyframes
    named = {tag: share for tag, share in shares.items() if share >= DOMINANT}
    return [tag for found in (terms, named) for tag in sorted(found, key=lambda t: -found[t])]


def _mean(vectors: list[list[float]]) -> list[float] | None:
    """The mean of unit vectors, of length 1; None without any."""
    if not vectors:
        return None
    mean = np.mean(np.asarray(vectors, np.float32), axis=0)
    length = float(np.linalg.norm(mean))
    return (mean / length).tolist() if length > 0 else None


STAGE = Stage(
    name="scenes",
    level="L2",
    version=2,
    description=(
        "Shots that belong together on one time axis with their tags, words, faces and a vector."
    ),
    run=each(_run, reads_original=False),
    inputs=("probe", "shots", "keyframes"),
    enrichments=("clip_embeddings", "tags", "face_embeddings", "transcript"),
    models=("image_text",),
    kinds=("parquet",),
)
