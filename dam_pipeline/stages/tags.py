"""L1: what the keyframes show in words of the vocabulary, and their dominant colours."""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyarrow as pa

from dam_pipeline import schemas
from dam_pipeline.errors import ConfigurationError, DamError, SchemaMismatch
from dam_pipeline.models import identify, spaces
from dam_pipeline.records import Json, ModelRef, Space, State
from dam_pipeline.search.index_rows import vectors_array
from dam_pipeline.settings import Settings
from dam_pipeline.stages.outcome import Outcome
from dam_pipeline.stages.stage import Stage, attempt
from dam_pipeline.stages.visual_pass import NO_PICTURE
from dam_pipeline.stages.work import Toolbox, Work
from dam_pipeline.tagging import colours
from dam_pipeline.tagging.background import background_version
from dam_pipeline.tagging.scoring import Scorer, Scores, advice, open_scorer
from dam_pipeline.tagging.vocabulary import vocabulary_version

COLOURS_ONLY = "colours only: no vectors of the active image-text model"
FOUND = 0.5  # the score at a term's threshold
DECIMALS = 4  # the last bits of a product depend on the other files of the batch

Rows = list[dict[str, Json]]


@dataclass(frozen=True, slots=True)
class _Tagger:
    """The scorer with the model and the space that it is of."""

    scorer: Scorer
    space: Space
    model: ModelRef | None


def _run(works: Sequence[Work], tools: Toolbox) -> Generator[Outcome]:
    space = spaces(tools.settings).get("image_text")
    vectors: dict[Work, np.ndarray] = {}
    faults: dict[Work, DamError] = {}
    for work in works:
        try:
            if space and _has_vectors(work, space):
                vectors[work] = vectors_array(work.table("clip_embeddings"))
        except DamError as error:
            faults[work] = error
    try:
        tagger = _open(tools, space) if space and vectors else None
    except ConfigurationError as error:
        # The vocabulary is at fault, not the files: they wait until it is mended.
        yield from (Outcome(State.BLOCKED, str(error)) for _ in works)
        return
    scored = tagger.scorer.score(list(vectors.values())) if tagger else []
    scores = dict(zip(vectors, scored, strict=True))
    for work in works:
        if work in faults:
            yield Outcome.of_error(faults[work])
        else:
            yield attempt(partial(_outcome, work, tagger, scores.get(work)), work)


def _has_vectors(work: Work, space: Space) -> bool:
    is_of_space = work.result("clip_embeddings").get("space") == space.name
    return is_of_space and work.has_rows("clip_embeddings")


def _open(tools: Toolbox, space: Space) -> _Tagger:
    scorer = open_scorer(tools.settings, space, lambda: tools.image_text)
    return _Tagger(scorer, space, identify(tools.settings)["image_text"])


def _outcome(work: Work, tagger: _Tagger | None, scores: Scores | None) -> Outcome:
    if not work.has_rows("keyframes"):
        return Outcome.empty(NO_PICTURE)
    keyframes: Rows = work.table("keyframes").to_pylist()
    result, rows = _colours(work, keyframes)
    if tagger is None or scores is None:
        table = pa.Table.from_pylist(rows, schema=schemas.TAGS)
        return Outcome(State.DONE, COLOURS_ONLY, result={"colours": result}, table=table)
    if len(scores.seen) != len(keyframes):
        raise SchemaMismatch(
            f"{work.media.partition_key} has {len(keyframes)} keyframes and {len(scores.seen)} "
            "vectors. Run `dam retry --stage clip_embeddings` on it."
        )
    terms, term_rows = _terms(tagger.scorer, scores, keyframes)
    about = {
        "space": tagger.space.name,
        "terms": terms,
        "colours": result,
        "calibrated_on": tagger.scorer.calibrated_on,
        "warning": " ".join(advice(tagger.scorer)),
    }
    table = pa.Table.from_pylist([*term_rows, *rows], schema=schemas.TAGS)
    return Outcome(State.DONE, result=about, table=table, model=tagger.model)


def _terms(scorer: Scorer, scores: Scores, keyframes: Rows) -> tuple[dict[str, float], Rows]:
    """File-level scores by term, the best first, and the rows of the file and its keyframes."""
    best = scores.best
    columns = [n for n in np.argsort(-best, kind="stable") if best[n] >= FOUND]
    whole, rows = [], []
    for column in columns:
        tag = scorer.tags[column]
        where = np.flatnonzero(scores.seen[:, column]).tolist()
        mine = [
            _row("term", tag, n, keyframes[n], scores.scores[n, column], scores.cosines[n, column])
            for n in where
        ]
        whole.append(_of_file(mine, max(row["score"] for row in mine)))
        rows += mine
    return {row["tag"]: row["score"] for row in whole}, [*whole, *rows]


def _colours(work: Work, keyframes: Rows) -> tuple[dict[str, float], Rows]:
    """Shares by colour of the whole file, a keyframe counting as long as it lasts, and all rows."""
    found = np.stack([_shares(work, row["path"]) for row in keyframes])
    lasting = np.array([max(row["end_s"] - row["start_s"], 1e-3) for row in keyframes])
    of_file = colours.dominant(np.average(found, axis=0, weights=lasting))
    rows: Rows = []
    for number, (row, shares) in enumerate(zip(keyframes, found, strict=True)):
        named = colours.dominant(shares).items()
        rows += [_row("colour", name, number, row, share) for name, share in named]
    # A file of many colours may have one that is among the first of no single keyframe.
    seen = {row["tag"] for row in rows}
    of_file = {name: share for name, share in of_file.items() if name in seen}
    whole = [_of_file([r for r in rows if r["tag"] == n], s) for n, s in of_file.items()]
    return of_file, [*whole, *rows]


def _shares(work: Work, path: str) -> np.ndarray:
    try:
        return colours.shares(colours.read_small(work.file(path)))
    except OSError as error:
        raise SchemaMismatch(
            f"Keyframe {path} of {work.media.partition_key} cannot be read ({error}). "
            f"Run `dam retry --stage keyframes {work.media.partition_key}`."
        ) from error


def _row(
    kind: str, tag: str, number: int, keyframe: Json, score: float, cosine: float = np.nan
) -> dict[str, Json]:
    return {
        "kind": kind,
        "tag": tag,
        "keyframe": int(number),
        "start_s": keyframe["start_s"],
        "end_s": keyframe["end_s"],
        "score": round(float(score), DECIMALS),
        "cosine": None if np.isnan(cosine) else round(float(cosine), DECIMALS),
    }


def _of_file(rows: Rows, score: float) -> dict[str, Json]:
    """The row of the whole file for a tag's rows."""
    cosines = [row["cosine"] for row in rows if row["cosine"] is not None]
    return {
        **rows[0],
        "keyframe": None,
        "start_s": min(row["start_s"] for row in rows),
        "end_s": max(row["end_s"] for row in rows),
        "score": round(float(score), DECIMALS),
        "cosine": max(cosines, default=None),
    }


def _others(settings: Settings) -> Mapping[str, Json]:
    space = spaces(settings).get("image_text")
    return {
        "vocabulary": vocabulary_version(settings),
        "calibration": background_version(settings, space.name) if space else "",
    }


STAGE = Stage(
    name="tags",
    level="L1",
    version=1,
    description=(
        "Terms of the vocabulary that the keyframes show, scored from their stored vectors with "
        "thresholds of the model's own, and the dominant colours."
    ),
    run=_run,
    inputs=("keyframes",),
    enrichments=("clip_embeddings",),
    settings=("tag_false_rate",),
    models=("image_text",),
    kinds=("parquet",),
    others=_others,
)
