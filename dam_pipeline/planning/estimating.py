"""How long work will take: costs of files, corrected by how past runs went."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from dam_pipeline.catalogue.catalogue import Catalogue
from dam_pipeline.catalogue.estimates import RunEstimate, scored_estimates
from dam_pipeline.catalogue.measures import samples
from dam_pipeline.planning.correction import RUNS, learn
from dam_pipeline.planning.costs import SAMPLES, Costs, Rate, Seconds
from dam_pipeline.planning.work import FileWork
from dam_pipeline.records import Json, MediaKind, State
from dam_pipeline.settings import Settings
from dam_pipeline.stages import STAGES
from dam_pipeline.stages.freshness import code_versions

SCORED = 10  # past estimates whose scores are told
RUN_START_S = 5.0  # queue, process and imports of a run that is launched (docs/adr/0010)


@dataclass(frozen=True, slots=True)
class StageEstimate:
    """Files of one stage by their present state, and the stage's own seconds on them."""

    files: int
    states: dict[State, int]
    seconds: Seconds


@dataclass(frozen=True, slots=True)
class Estimate:
    """What work there is and how long it takes.

    `guessed_files` have a length guessed by size; `work_s` is the stages' own time, uncorrected.
    """

    files: int
    footage_s: float
    size_bytes: int
    seconds: Seconds
    work_s: float = 0.0
    guessed_files: int = 0
    stages: dict[str, StageEstimate] = field(default_factory=dict)
    assumptions: tuple[str, ...] = ()

    @property
    def words(self) -> str:
        """One line for a person: files, footage, size, and how long."""
        files = f"{self.files} {'file' if self.files == 1 else 'files'}"
        about = f"{footage(self.footage_s)} of footage, {self.size_bytes / 1e9:.2f} GB"
        return f"{files}, {about}, {range_in_words(self.seconds)}"

    def to_json(self) -> dict[str, Json]:
        """The documented shape."""
        return {
            "files": self.files,
            "footage_s": round(self.footage_s, 3),
            "guessed_files": self.guessed_files,
            "size_bytes": self.size_bytes,
            "seconds": seconds_json(self.seconds),
            "stages": {
                name: {
                    "files": one.files,
                    **{state.value: count for state, count in one.states.items()},
                    "seconds": seconds_json(one.seconds),
                }
                for name, one in self.stages.items()
            },
            "assumptions": list(self.assumptions),
        }


class Estimator:
    """Estimates from what the catalogue of a library has measured so far."""

    def __init__(self, catalogue: Catalogue, settings: Settings) -> None:
        at_most = len(STAGES) * len(MediaKind) * SAMPLES
        self.costs = Costs(samples(catalogue, at_most), code_versions(settings))
        self.past = scored_estimates(catalogue, RUNS)
        self._correction = learn(self.past)

    def file_s(self, work: FileWork) -> float:
        """Likely seconds of one file in a run."""
        likely = sum((self._stage(name, work).likely for name in work.stages), 0.0)
        return likely * self._correction.factor

    def of_run(self, works: Sequence[FileWork]) -> Estimate:
        """What one run over these files takes from its first file to its last."""
        return self._estimate(works, 1, 0.0, 1.0)

    def of_library(self, works: Sequence[FileWork], runs: int) -> Estimate:
        """What several runs over these files take together, as many at once as there usually are."""
        return self._estimate(works, runs, RUN_START_S, self._correction.parallel)

    def _estimate(
        self, works: Sequence[FileWork], runs: int, start_s: float, parallel: float
    ) -> Estimate:
        stages = self._stages(works)
        own = sum((one.seconds for one in stages.values()), Seconds())
        at_once = max(1.0, min(parallel, runs))
        seconds = self._correction.corrected(own, runs, start_s).times(1 / at_once)
        return Estimate(
            files=len(works),
            footage_s=sum(self.costs.footage_s(work.measure) for work in works),
            size_bytes=sum(work.media.size_bytes for work in works),
            seconds=seconds if works else Seconds(),
            work_s=own.likely,
            guessed_files=sum(_is_guessed(work) for work in works),
            stages=stages,
            assumptions=tuple(self._assumptions(works)),
        )

    def _stages(self, works: Iterable[FileWork]) -> dict[str, StageEstimate]:
        states: dict[str, dict[State, int]] = {}
        seconds: dict[str, Seconds] = defaultdict(Seconds)
        for work in works:
            for name, state in work.stages.items():
                counts = states.setdefault(name, {})
                counts[state] = counts.get(state, 0) + 1
                seconds[name] += self._stage(name, work)
        return {
            name: StageEstimate(sum(states[name].values()), states[name], seconds[name])
            for name in STAGES
            if name in states
        }

    def _stage(self, name: str, work: FileWork) -> Seconds:
        found = self.costs.seconds(name, work.measure)
        # What follows an earlier stage may turn out the same, and is then only stamped.
        return Seconds(0.0, found.likely, found.high) if name in work.follows else found

    def _assumptions(self, works: Sequence[FileWork]) -> Iterable[str]:
        used = {(name, work.measure.kind) for work in works for name in work.stages}
        for name, kind in sorted(used):
            rate = self.costs.rate(name, kind)
            if not rate.samples:
                yield f"no measurement of {name} on {kind.value}: assumed {rate_in_words(rate)}"
        if works and not self.past:
            yield "no run was measured yet: assumed that stages follow one another"
        if guessed := sum(_is_guessed(work) for work in works):
            yield f"{guessed} files were never probed: their length is guessed by their size"


def score(past: Sequence[RunEstimate]) -> tuple[int, float] | None:
    """How many of the last estimates are scored, and the factor within which all of them were."""
    ratios = [one.ratio for one in past[:SCORED] if one.ratio]
    return (len(ratios), max(max(one, 1 / one) for one in ratios)) if ratios else None


def score_in_words(past: Sequence[RunEstimate]) -> str:
    """How good the last estimates were, for a person."""
    found = score(past)
    if found is None:
        return "No estimate has been scored yet."
    count, within = found
    if count == 1:
        return f"The last estimate was within ×{within:.1f}."
    return f"The last {count} estimates were within ×{within:.1f}."


def range_in_words(seconds: Seconds) -> str:
    """`about 12 min (8 to 20 min)`."""
    likely, low, high = (duration(one) for one in (seconds.likely, seconds.low, seconds.high))
    return f"about {likely} ({low} to {high})"


def duration(seconds: float) -> str:
    """Seconds as a person says them."""
    if seconds < 90:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def footage(seconds: float) -> str:
    """Hours of footage, or less where there is less."""
    return f"{seconds / 3600:.2f} h" if seconds >= 360 else f"{seconds / 60:.1f} min"


def rate_in_words(rate: Rate) -> str:
    """`0.15 s a second of footage`."""
    return f"{rate.seconds.likely:.3g} s a {rate.unit.value}"


def seconds_json(seconds: Seconds) -> dict[str, float]:
    """Low, likely and high."""
    return {
        "low": round(seconds.low, 3),
        "likely": round(seconds.likely, 3),
        "high": round(seconds.high, 3),
    }


def _is_guessed(work: FileWork) -> bool:
    return work.measure.duration_s is None and work.measure.kind is not MediaKind.IMAGE
