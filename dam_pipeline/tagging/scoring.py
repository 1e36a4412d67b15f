"""Terms scored against stored vectors: one matrix product for a batch, then calibrated thresholds.

A score is in 0–1 and comparable over terms and spaces: 0.5 is the term's threshold, and each
deviation of its background above it multiplies the odds by e. A parent has its best child's score.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from dam_pipeline.models import ImageTextModel
from dam_pipeline.records import Space
from dam_pipeline.settings import Settings
from dam_pipeline.tagging.background import (
    Background,
    background_path,
    background_version,
    read_background,
)
from dam_pipeline.tagging.thresholds import (
    Thresholds,
    from_pictures,
    from_vocabulary,
)
from dam_pipeline.tagging.vocabulary import Vocabulary, open_vocabulary, shipped_vocabulary
from dam_pipeline.tagging.wordings import Wordings, open_wordings

NO_PICTURES = "the vocabulary itself"


@dataclass(frozen=True, slots=True)
class Scores:
    """What was found in the keyframes of one file; columns are `Scorer.tags`.

    `seen` is bool (n, tags): which keyframes carry which tag. `scores` (n, tags) are 0–1, `cosines`
    (n, tags) NaN where the model was not asked.
    """

    seen: np.ndarray
    scores: np.ndarray
    cosines: np.ndarray

    @property
    def best(self) -> np.ndarray:
        """The best score of each tag over the keyframes."""
        best: np.ndarray = self.scores.max(axis=0, initial=0.0)
        return best


@dataclass(frozen=True, slots=True)
class Scorer:
    """A vocabulary ready to be scored in one space; `calibrated_on` says what by.

    `reference` are the wordings that say what is usual in a picture. `tags` are the terms asked,
    followed by the parents that only take their children's scores.
    """

    tags: tuple[str, ...]
    wordings: Wordings
    reference: Wordings
    thresholds: Thresholds
    calibrated_on: str
    parents: tuple[tuple[int, int], ...]  # (tag, its parent), narrower ones first

    @property
    def undecided(self) -> tuple[str, ...]:
        """Terms of which too little is known to say where they begin: no file gets them."""
        begins = self.thresholds.begins
        return tuple(t for t, b in zip(self.wordings.tags, begins, strict=True) if np.isinf(b))

    def score(self, vectors: Sequence[np.ndarray]) -> list[Scores]:
        """What is in each file, from unit vectors (keyframes, d) of all of them at once.

        A file with many keyframes is asked many times, so its tags must stand out more.
        """
        counts = np.array([len(one) for one in vectors])
        joined = np.concatenate(vectors)
        cosines = self.wordings.cosines(joined)
        usual = cosines if self.reference is self.wordings else self.reference.cosines(joined)
        wide = np.full((len(cosines), len(self.tags)), -np.inf)
        known = np.full(wide.shape, np.nan, np.float32)
        asked = cosines.shape[1]
        known[:, :asked] = cosines
        wide[:, :asked] = self._in_files(self.thresholds.distances(cosines, usual), counts)
        for tag, parent in self.parents:
            higher = wide[:, tag] > wide[:, parent]
            known[higher, parent] = np.nan
            wide[:, parent] = np.maximum(wide[:, parent], wide[:, tag])
        scores = 1 / (1 + np.exp(-np.clip(wide, -50, 50)))
        ends = np.cumsum(counts)[:-1]
        parts = zip(*(np.split(one, ends) for one in (wide >= 0, scores, known)), strict=True)
        return [Scores(*one) for one in parts]

    def _in_files(self, distances: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """The distances, below 0 for all keyframes of files that do not have the term.

        So it does not come in through its parent either.
        """
        starts = np.cumsum(counts) - counts
        needed = np.stack([self.thresholds.needed(int(count)) for count in counts])
        has_it = np.maximum.reduceat(distances, starts, axis=0) >= needed
        return np.where(np.repeat(has_it, counts, axis=0), distances, np.minimum(distances, -1e-6))


def open_scorer(settings: Settings, space: Space, model: Callable[[], ImageTextModel]) -> Scorer:
    """The home's vocabulary in the active space; calls `model` only for terms not yet encoded.

    Raises ConfigurationError for a vocabulary that cannot be used, and what `model` raises.
    """
    home, rate = settings.home, settings.tag_false_rate
    vocabulary = open_vocabulary(settings)
    version = background_version(settings, space.name)
    key = (str(home), space.name, vocabulary.version, version, rate)
    kept = _KEPT.get(key)
    if kept is None:
        wordings = open_wordings(home, space, vocabulary, model)
        shipped = shipped_vocabulary()
        is_own = vocabulary.version != shipped.version
        reference = open_wordings(home, space, shipped, model) if is_own else wordings
        path = background_path(settings, space.name)
        background = read_background(path) if path else None
        kept = calibrated(vocabulary, wordings, reference, background, rate)
        _KEPT.clear()
        _KEPT[key] = kept
    return kept


def advice(scorer: Scorer) -> list[str]:
    """What a person should know of a vocabulary in a space before believing its tags."""
    found = []
    known, unknown = len(scorer.wordings.tags), len(scorer.wordings.unknown)
    if unknown > known:
        found.append(f"The model has the words for {known} of {known + unknown} terms only.")
    if scorer.calibrated_on == NO_PICTURES:
        found.append(
            "No pictures have taught this model's thresholds yet: run `dam tag calibrate` once the "
            "library holds some hundreds."
        )
    return found


def calibrated(
    vocabulary: Vocabulary,
    wordings: Wordings,
    reference: Wordings,
    background: Background | None,
    false_rate: float,
) -> Scorer:
    """The scorer of encoded terms with thresholds from a background, or without one."""
    if background is None:
        thresholds = from_vocabulary(len(wordings.tags), len(reference.tags), false_rate)
    else:
        cosines = wordings.cosines(background.vectors)
        usual = reference.cosines(background.vectors)
        shown, absent = _truth(vocabulary, background, wordings.tags)
        thresholds = from_pictures(cosines, usual, shown, absent, false_rate)
    tags, parents = _with_parents(vocabulary, wordings.tags)
    source = background.source if background else NO_PICTURES
    return Scorer(tags, wordings, reference, thresholds, source, parents)


_KEPT: dict[tuple[str | float, ...], Scorer] = {}  # the one in use, for all groups of a run


def _truth(
    vocabulary: Vocabulary, background: Background, tags: Sequence[str]
) -> tuple[np.ndarray, np.ndarray]:
    """Where terms are shown and where absent in the labelled pictures: bool (n, tags) each.

    A label says that the term and its parents are shown; it leaves open what is below it.
    """
    shown = np.zeros((len(background.labels), len(tags)), bool)
    absent = np.zeros_like(shown)
    parents = {tag: set(vocabulary.parents(tag)) for tag in vocabulary.terms}
    for row, labels in enumerate(background.labels):
        if labels is None:
            continue
        mine = {term.id for label in labels if (term := vocabulary.find(label))}
        wider = mine.union(*(parents[tag] for tag in mine))
        shown[row] = [tag in wider for tag in tags]
        absent[row] = [tag not in wider and not parents[tag] & mine for tag in tags]
    return shown, absent


def _with_parents(
    vocabulary: Vocabulary, asked: tuple[str, ...]
) -> tuple[tuple[str, ...], tuple[tuple[int, int], ...]]:
    """All tags with the parents of those asked, and (tag, parent) columns, the deepest tags first."""
    more = dict.fromkeys(parent for tag in asked for parent in vocabulary.parents(tag))
    tags = tuple(dict.fromkeys((*asked, *more)))
    column = {tag: number for number, tag in enumerate(tags)}
    deepest = sorted(tags, key=lambda tag: -len(vocabulary.parents(tag)))
    pairs = [(column[tag], vocabulary.terms[tag].parent) for tag in deepest]
    return tags, tuple((number, column[parent]) for number, parent in pairs if parent)
