"""Two spaces asked the same: how many of their answers they share, and what they find of known pairs.

Both are asked through the vector store, as a search would, and about the files that both have. Here
is also what must be true of a space before it may become the active one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Self

import numpy as np

from dam_pipeline.catalogue.catalogue import now_iso
from dam_pipeline.catalogue.spaces import SpaceRecord
from dam_pipeline.errors import SpaceMismatch
from dam_pipeline.records import Json, Media, Space
from dam_pipeline.search.index_rows import vectors_array
from dam_pipeline.settings import Settings
from dam_pipeline.spaces.building import Coverage, calibrate, coverage
from dam_pipeline.spaces.candidates import active_space, checked_space
from dam_pipeline.spaces.queries import Encoder, Queries, default_queries, read_queries, spread
from dam_pipeline.stages.gates import LENGTH_TOLERANCE
from dam_pipeline.stages.work import Toolbox
from dam_pipeline.stores.derived import DerivedFiles
from dam_pipeline.stores.vectors import VectorStore

DEFAULT_K = 10
ROWS_PER_MEDIA = 8  # rows asked for at first, for each file that is wanted
WIDEN = 4
CHECKED_FILES = 500  # whose vectors are looked at one by one


@dataclass(frozen=True, slots=True)
class Comparison:
    """A space beside the active one, when both were asked the same.

    `overlap` is the mean share of the best `k` files that both give, over `queries`; `recalls` are
    the shares of `pairs` that each finds among its best `k`. None where nothing could be asked.
    `length_error` is how far vectors are from length 1 at most. `refusals` say what stands against
    a promotion.
    """

    space: str
    active: str
    when: str
    k: int
    wanted: int
    covered: int
    queries: int
    overlap: float | None
    pairs: int
    recall: float | None
    active_recall: float | None
    vectors: int
    length_error: float
    is_finite: bool
    dimension: int
    calibrated_on: str
    refusals: tuple[str, ...] = ()

    @classmethod
    def from_json(cls, document: Mapping[str, Json]) -> Self:
        """The record of what `to_json` gave."""
        return cls(**{**document, "refusals": tuple(document["refusals"])})

    def to_json(self) -> dict[str, Json]:
        """The documented form."""
        return {**asdict(self), "refusals": list(self.refusals)}


def compare(
    tools: Toolbox, record: SpaceRecord, lines: Sequence[str] = (), k: int = DEFAULT_K
) -> Comparison:
    """Ask a space and the active one the queries of `lines`, or the library's own; keeps the result.

    Raises ConfigurationError for bad queries, WeightsMissing and SpaceMismatch.
    """
    media = tools.catalogue.all_media()
    made = coverage(tools, record, media)
    calibrated_on = calibrate(tools, record, media)
    pair = _Pair(tools, record, media, made, k)
    queries = Queries(
        read_queries(lines, tools) if lines else default_queries(tools, media),
        spread(sorted(pair.common)),
    )
    overlaps, found = pair.ask(queries)
    vectors, length_error, is_finite = _look_at(
        pair.view.derived, record, spread(sorted(pair.common), CHECKED_FILES)
    )
    recalls = np.mean(found, axis=0) if found else None
    result = Comparison(
        space=record.name,
        active=pair.active.name,
        when=now_iso(),
        k=k,
        wanted=made.wanted,
        covered=made.covered,
        queries=len(overlaps),
        overlap=round(float(np.mean(overlaps)), 4) if overlaps else None,
        pairs=len(found),
        recall=None if recalls is None else round(float(recalls[1]), 4),
        active_recall=None if recalls is None else round(float(recalls[0]), 4),
        vectors=vectors,
        length_error=length_error,
        is_finite=is_finite,
        dimension=record.dimension,
        calibrated_on=calibrated_on,
    )
    result = replace(result, refusals=refusals(result, tools.settings))
    tools.catalogue.spaces.put(replace(record, comparison=result.to_json()))
    return result


def refusals(found: Comparison, settings: Settings) -> tuple[str, ...]:
    """What stands against making a space the active one; empty when nothing does."""
    said = list(faults(found))
    if found.covered < found.wanted:
        said.append(
            f"{found.wanted - found.covered} of {found.wanted} files have no vectors in it: run "
            f"`dam space build` again."
        )
    if found.recall is not None and found.active_recall is not None:
        if found.recall < found.active_recall - settings.space_recall_loss:
            said.append(
                f"It finds {found.recall:.0%} of {found.pairs} labelled pairs, the active one "
                f"{found.active_recall:.0%}."
            )
    elif found.overlap is not None and found.overlap < settings.space_overlap:
        said.append(
            f"It shares {found.overlap:.0%} of its answers with the active one, less than "
            f"{settings.space_overlap:.0%}, and no labelled pair says that its own are right: give "
            "some with --queries, or tag files."
        )
    return tuple(said)


def faults(found: Comparison) -> tuple[str, ...]:
    """What no force overrides: vectors that cannot be compared, or none at all."""
    said = []
    if not found.is_finite or found.length_error > LENGTH_TOLERANCE:
        said.append(f"Its vectors are not of length 1 (off by {found.length_error:g}).")
    if found.wanted and not found.covered:
        said.append("It holds nothing yet: run `dam space build`.")
    return tuple(said)


class _Pair:
    """The active space and another one, ready to be asked about the files that both have."""

    def __init__(
        self, tools: Toolbox, record: SpaceRecord, media: Sequence[Media], made: Coverage, k: int
    ) -> None:
        self.active = active_space(tools, record.kind)
        self.view = tools.in_space(record)
        self.kind, self._stage, self._k = record.kind, record.stage, k
        self._store, self._here = tools.store, tools
        self._spaces = (
            Space(self.active.name, record.kind, self.active.dimension),
            checked_space(self.view, record),
        )
        present = tools.store.media_in(self._spaces[0])
        self.common = {one.media_id for one in media} - made.missing
        self.common &= present & tools.store.media_in(self._spaces[1])

    def ask(self, queries: Queries) -> tuple[list[float], list[tuple[bool, bool]]]:
        """Shares of common answers, one a query, and of each pair whether each space finds it."""
        overlaps: list[float] = []
        found: list[tuple[bool, bool]] = []
        for vectors, wanted in self._encoded(queries.asked):
            answers = [self._answer(n, vector) for n, vector in enumerate(vectors)]
            if vectors[0] is not None and vectors[1] is not None:
                overlaps.append(self._shared(answers))
            for media_id in sorted(wanted & self.common):
                found.append((media_id in answers[0], media_id in answers[1]))
        for media_id in queries.own:
            own = [_own_vector(files, media_id, self._stage) for files in self._files()]
            answers = [self._answer(n, vector, but=media_id) for n, vector in enumerate(own)]
            overlaps.append(self._shared(answers))
        return [one for one in overlaps if one >= 0], found

    def _encoded(
        self, asked: Mapping[str, frozenset[str]]
    ) -> list[tuple[tuple[np.ndarray | None, np.ndarray | None], frozenset[str]]]:
        before, after = Encoder(self._here, self.kind), Encoder(self.view, self.kind)
        return [((before.vector(q), after.vector(q)), wanted) for q, wanted in asked.items()]

    def _files(self) -> tuple[DerivedFiles, DerivedFiles]:
        return self._here.derived, self.view.derived

    def _answer(self, which: int, vector: np.ndarray | None, but: str = "") -> list[str]:
        if vector is None:
            return []
        return best_media(self._store, self._spaces[which], vector, self._k, self.common - {but})

    def _shared(self, answers: Sequence[Sequence[str]]) -> float:
        """The share of common answers; below 0 where there are none at all."""
        most = max(len(answers[0]), len(answers[1]))
        return len(set(answers[0]) & set(answers[1])) / most if most else -1.0


def best_media(
    store: VectorStore, space: Space, vector: np.ndarray, k: int, among: set[str]
) -> list[str]:
    """The `k` media of a space nearest to a vector (d,), best first."""
    rows = k * ROWS_PER_MEDIA
    while True:
        found = store.nearest(space, vector, rows, among)
        media = list(dict.fromkeys(one.media_id for one in found))
        if len(media) >= min(k, len(among)) or len(found) < rows:
            return media[:k]
        rows *= WIDEN


def _own_vector(derived: DerivedFiles, media_id: str, stage: str) -> np.ndarray:
    """The vector in the middle of a file."""
    vectors = vectors_array(derived.table(media_id, stage))
    middle: np.ndarray = vectors[len(vectors) // 2]
    return middle


def _look_at(
    derived: DerivedFiles, record: SpaceRecord, ids: Sequence[str]
) -> tuple[int, float, bool]:
    """How many vectors of these files there are, how far from length 1, and whether all are finite.

    Raises SpaceMismatch when one is of another dimension than the space says.
    """
    count, worst, is_finite = 0, 0.0, True
    for media_id in ids:
        vectors = vectors_array(derived.table(media_id, record.stage))
        if vectors.shape[1] != record.dimension:
            raise SpaceMismatch(
                f"{media_id} has vectors of {vectors.shape[1]} numbers in {record.name}, which has "
                f"{record.dimension}. Remove the space and build it anew."
            )
        lengths = np.linalg.norm(vectors, axis=1)
        count += len(vectors)
        is_finite = is_finite and bool(np.isfinite(lengths).all())
        worst = max(worst, float(np.abs(lengths - 1).max(initial=0.0)))
    return count, round(worst, 6), is_finite
