"""What a stage costs on a file, from what it cost on files before.

Each stage and kind of media has a rate: seconds a second of footage, a gigabyte or a file, whichever
explains best what was measured. Without measurements there are assumptions, which are told as such.
"""

import math
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from dam_pipeline.catalogue.measures import Measure, Sample
from dam_pipeline.records import MediaKind

ENOUGH = 3  # measurements of a stage on a kind of media that are believed
SAMPLES = 200  # newest measurements looked at, a stage and kind
VARIED = 4  # largest ÷ smallest file from which on measurements tell what seconds grow with
CLEARLY = 0.7  # how much less files must differ in another unit than in the usual one
MANY = 10  # measurements from which on a mean is steady
TRIMMED_OF_FEW = 0.34
TRIMMED = 0.1  # share of the cheapest and of the dearest files that is left out
GIGABYTE = 1_000_000_000
LEAST_S = 0.001  # what rounds to nothing still costs this much

# Seconds where nothing was measured: (a second of footage, a file), of the profile `bundled` on two
# cores. Only their order of magnitude matters: a first batch replaces them.
ASSUMED: Mapping[str, tuple[float, float]] = {
    "checksum": (0.002, 0.02),
    "probe": (0.0, 0.2),
    "poster": (0.0, 0.2),
    "shots": (0.06, 0.2),
    "keyframes": (0.01, 0.1),
    "fingerprints": (0.005, 0.05),
    "clip_embeddings": (0.01, 0.1),
    "face_embeddings": (0.1, 0.3),
    "transcript": (0.15, 0.0),
}
ASSUMED_OTHERS = (0.001, 0.02)
ASSUMED_BYTES_PER_S = {MediaKind.VIDEO: 1_500_000.0, MediaKind.AUDIO: 50_000.0}
ASSUMED_SPREAD = 3.0  # such a guess may be this many times too high or too low


class Unit(StrEnum):
    """What a stage's seconds grow with."""

    FOOTAGE = "second of footage"
    FILE = "file"
    BYTES = "gigabyte"


@dataclass(frozen=True, slots=True)
class Seconds:
    """A range of seconds; half of what was seen lies between low and high."""

    low: float = 0.0
    likely: float = 0.0
    high: float = 0.0

    def __add__(self, other: "Seconds") -> "Seconds":
        return Seconds(self.low + other.low, self.likely + other.likely, self.high + other.high)

    def times(self, factor: float) -> "Seconds":
        """So many times as long."""
        return Seconds(self.low * factor, self.likely * factor, self.high * factor)


@dataclass(frozen=True, slots=True)
class Rate:
    """Seconds of a stage for each unit; `samples` is 0 when it is assumed, not measured."""

    unit: Unit
    seconds: Seconds
    samples: int


class Costs:
    """Rates by stage and kind of media, and how long files are that were never probed."""

    def __init__(self, measured: Sequence[Sample], versions: Mapping[str, str]) -> None:
        """`versions` are the present code versions: their measurements are preferred."""
        self._rates: dict[tuple[str, MediaKind], Rate] = {}
        self._bytes_per_s = dict(ASSUMED_BYTES_PER_S)
        for (stage, kind), found in _grouped(measured).items():
            present = [one for one in found if one.code_version == versions.get(stage)]
            chosen = present if len(present) >= ENOUGH else found
            if len(chosen) >= ENOUGH:
                self._rates[stage, kind] = _rate(stage, kind, chosen[:SAMPLES])
        for kind in self._bytes_per_s:
            sizes = [
                one.size_bytes / one.duration_s
                for one in measured
                if one.stage == "probe" and one.kind is kind and one.duration_s
            ]
            if sizes:
                self._bytes_per_s[kind] = statistics.median(sizes)

    def rate(self, stage: str, kind: MediaKind) -> Rate:
        """What the stage costs on files of this kind."""
        return self._rates.get((stage, kind)) or _assumed(stage, kind)

    def footage_s(self, file: Measure) -> float:
        """Seconds of footage of a file: probed, or guessed by its size; none of a photograph."""
        if file.kind is MediaKind.IMAGE:
            return 0.0
        if file.duration_s is not None:
            return file.duration_s
        return file.size_bytes / self._bytes_per_s[file.kind]

    def seconds(self, stage: str, file: Measure) -> Seconds:
        """What the stage will cost on a file."""
        rate = self.rate(stage, file.kind)
        amount = _amount(rate.unit, self.footage_s(file), file.size_bytes)
        return rate.seconds.times(amount)


def _grouped(measured: Sequence[Sample]) -> dict[tuple[str, MediaKind], list[Sample]]:
    groups: dict[tuple[str, MediaKind], list[Sample]] = defaultdict(list)
    for one in measured:
        groups[one.stage, one.kind].append(one)
    return groups


def _amount(unit: Unit, footage_s: float, size_bytes: int) -> float:
    if unit is Unit.FOOTAGE:
        return footage_s
    return size_bytes / GIGABYTE if unit is Unit.BYTES else 1.0


def _rate(stage: str, kind: MediaKind, found: Sequence[Sample]) -> Rate:
    """The rate in the stage's usual unit, or in one in which files clearly differ less."""
    usual = _usual_unit(stage, kind)
    best = _rate_in(usual, found)
    for unit in Unit:
        other = _rate_in(unit, found) if unit is not usual else None
        if other and (best is None or (other[0] < best[0] * CLEARLY and _vary(usual, found))):
            best = other
    # "file" fits always, so there is one.
    return best[1] if best else _assumed(stage, kind)


def _rate_in(unit: Unit, found: Sequence[Sample]) -> tuple[float, Rate] | None:
    """How much files differ in a unit, and the rate; None where some file has nothing of it."""
    amounts = [_amount(unit, one.duration_s or 0.0, one.size_bytes) for one in found]
    if min(amounts) <= 0:
        return None
    seconds = (max(one.seconds, LEAST_S) for one in found)
    pairs = sorted(zip(seconds, amounts, strict=True), key=lambda pair: pair[0] / pair[1])
    rates = [one / amount for one, amount in pairs]
    return _spread(rates), Rate(unit, _seconds(pairs, rates), len(pairs))


def _vary(unit: Unit, found: Sequence[Sample]) -> bool:
    """Whether the files are so different that another unit can be told from the usual one."""
    amounts = [_amount(unit, one.duration_s or 0.0, one.size_bytes) for one in found]
    return max(amounts) >= VARIED * min(amounts)


def _spread(rates: Sequence[float]) -> float:
    """Median distance from the median, as a factor's logarithm."""
    logs = [math.log(rate) for rate in rates]
    middle = statistics.median(logs)
    return statistics.median(abs(one - middle) for one in logs)


def _seconds(pairs: Sequence[tuple[float, float]], rates: Sequence[float]) -> Seconds:
    """Quartiles, and between them the mean of the rates without the extremes.

    The mean, not the median: it is sums over many files that are asked for. Of a few files only the
    middle ones count: one of them has waited for the model to be loaded.
    """
    share = TRIMMED if len(pairs) >= MANY else TRIMMED_OF_FEW
    left_out = int(len(pairs) * share)
    kept = pairs[left_out : len(pairs) - left_out]
    likely = sum(seconds for seconds, _ in kept) / sum(amount for _, amount in kept)
    low, _middle, high = statistics.quantiles(rates, n=4)
    return Seconds(min(low, likely), likely, max(high, likely))


def _usual_unit(stage: str, kind: MediaKind) -> Unit:
    of_footage, _of_file = ASSUMED.get(stage, ASSUMED_OTHERS)
    return Unit.FOOTAGE if of_footage > 0 and kind is not MediaKind.IMAGE else Unit.FILE


def _assumed(stage: str, kind: MediaKind) -> Rate:
    of_footage, of_file = ASSUMED.get(stage, ASSUMED_OTHERS)
    unit = _usual_unit(stage, kind)
    likely = of_footage if unit is Unit.FOOTAGE else of_file
    return Rate(unit, Seconds(likely / ASSUMED_SPREAD, likely, likely * ASSUMED_SPREAD), 0)
