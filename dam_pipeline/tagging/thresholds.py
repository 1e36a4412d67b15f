"""Where a term begins, learnt from pictures: pure arithmetic over cosines and labels.

Every cosine becomes a distance from the term's background, in its standard deviations; a term is there
where that distance reaches its threshold. Without pictures to learn from, the background is what the
many terms of a reference vocabulary give for the same picture.
"""

from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

FEW = 30  # pictures presumed to be without the term below which nothing is learnt of it
FEW_ABSENT = 10  # pictures labelled as being without it from which these alone count
FEW_SHOWN = 3  # pictures with the term from which the gap to those without is used
LOW_SHOWN = 0.05  # share of pictures with the term that may lie below a threshold in the gap
FEW_TERMS = 12  # reference terms below which one picture has no background of its own


@dataclass(frozen=True, slots=True)
class Thresholds:
    """For each term the mean and deviation of its background and where it begins, (terms,) float64.

    `begins` is in deviations above the mean; infinite where a term is not decided. `spare` is how far
    it lies above the floor from which on `false_rate` of the pictures without the term lie. With
    `within_picture` they apply to cosines as they stand out in each picture (`standing_out`).
    """

    mean: np.ndarray
    deviation: np.ndarray
    begins: np.ndarray
    spare: np.ndarray
    false_rate: float
    within_picture: bool

    def distances(self, cosines: np.ndarray, reference: np.ndarray) -> np.ndarray:
        """Deviations above the threshold (n, terms) of cosines (n, terms); 0 is the threshold.

        `reference` are the cosines (n, m) of the reference terms with the same pictures.
        """
        values = standing_out(cosines, reference) if self.within_picture else cosines
        return (values - self.mean) / self.deviation - self.begins

    def needed(self, looks: int) -> np.ndarray:
        """Deviations above the threshold (terms,) that a file needs which is asked `looks` times.

        Its best look must pass a floor that is raised accordingly (Bonferroni); where the threshold
        lies higher anyway, nothing more.
        """
        raised = _normal(self.false_rate / max(looks, 1)) - _normal(self.false_rate)
        return np.maximum(raised - self.spare, 0.0)


def from_vocabulary(terms: int, references: int, false_rate: float) -> Thresholds:
    """Thresholds without any picture: a term must stand out among the reference terms of its picture.

    All are infinite where these are too few to say what is usual.
    """
    begins = _normal(false_rate) if references >= FEW_TERMS else np.inf
    none, one = np.zeros(terms), np.ones(terms)
    return Thresholds(none, one, np.full(terms, begins), none, false_rate, True)


def from_pictures(
    cosines: np.ndarray,
    reference: np.ndarray,
    shown: np.ndarray,
    absent: np.ndarray,
    false_rate: float,
) -> Thresholds:
    """Thresholds from cosines (n, terms), and where a term is known to be shown and to be absent.

    `reference` are cosines (n, m) of the reference terms, `shown` and `absent` bool (n, terms). A
    term that is nowhere known to be shown, or hardly anywhere to be absent, takes for absent all
    pictures in which it does not stand out among the reference terms. A threshold lets at most
    `false_rate` of the pictures without the term through, by count and by the normal tail; where
    nearly all pictures with it lie higher, it is in the middle of the gap.
    """
    count = cosines.shape[1]
    mean, deviation = np.zeros(count), np.ones(count)
    begins, spare = np.full(count, np.inf), np.zeros(count)
    usual = standing_out(cosines, reference) < _normal(false_rate)
    for term in range(count):
        is_labelled = shown[:, term].any() and absent[:, term].sum() >= FEW_ABSENT
        without = cosines[absent[:, term] if is_labelled else usual[:, term], term]
        if not is_labelled and len(without) < FEW:
            continue
        mean[term], deviation[term] = without.mean(), max(float(without.std()), 1e-6)
        floor = _floor(without, false_rate)
        spare[term] = _gap(floor, cosines[shown[:, term], term]) / 2 / deviation[term]
        begins[term] = (floor - mean[term]) / deviation[term] + spare[term]
    return Thresholds(mean, deviation, begins, spare, false_rate, False)


def standing_out(cosines: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Cosines (n, terms) in deviations from the mean of the picture's reference cosines (n, m)."""
    if not reference.shape[1]:
        return np.zeros_like(cosines)
    spread = np.maximum(reference.std(axis=1, keepdims=True), 1e-6)
    result: np.ndarray = (cosines - reference.mean(axis=1, keepdims=True)) / spread
    return result


def _floor(without: np.ndarray, false_rate: float) -> float:
    by_count = float(np.quantile(without, 1 - false_rate))
    by_normal = float(without.mean() + _normal(false_rate) * without.std())
    return max(by_count, by_normal)


def _gap(floor: float, shown: np.ndarray) -> float:
    """How far nearly all pictures with a term lie above its floor; 0 where they do not."""
    if len(shown) < FEW_SHOWN:
        return 0.0
    return max(0.0, float(np.quantile(shown, LOW_SHOWN)) - floor)


def _normal(rate: float) -> float:
    return NormalDist().inv_cdf(1 - rate)
