"""How much room the derived files of new media will take, from what they took so far."""

import statistics
from collections.abc import Sequence

from dam_pipeline.catalogue.catalogue import Catalogue
from dam_pipeline.catalogue.measures import Measure, measures
from dam_pipeline.planning.costs import Costs
from dam_pipeline.planning.work import FileWork
from dam_pipeline.records import MediaKind, State
from dam_pipeline.stages import STAGES
from dam_pipeline.stores.derived import DerivedFiles

LOOKED_AT = 50  # files of each kind whose folders are measured
ASSUMED_BYTES = 300_000.0  # of a photograph; of a film or sound, of ten seconds of it
ASSUMED_PIECE_S = 10.0


class Disk:
    """Bytes of derived files by kind of media: a second of footage, or a photograph."""

    def __init__(self, catalogue: Catalogue, derived: DerivedFiles, costs: Costs) -> None:
        self._costs = costs
        self._rates: dict[MediaKind, float] = {}
        by_kind: dict[MediaKind, list[float]] = {kind: [] for kind in MediaKind}
        for one in reversed(measures(catalogue)):
            found = by_kind[one.kind]
            if len(found) < LOOKED_AT and (size := _size(derived, one.media_id)):
                found.append(size / self._amount(one))
        for kind, found in by_kind.items():
            if found:
                self._rates[kind] = statistics.fmean(found)

    def bytes(self, works: Sequence[FileWork]) -> int:
        """What these files will add: the share of their stages that never ran."""
        return int(
            sum(
                self._rate(work.measure.kind)
                * self._amount(work.measure)
                * sum(state is State.NEVER for state in work.stages.values())
                / len(STAGES)
                for work in works
            )
        )

    def _rate(self, kind: MediaKind) -> float:
        piece_s = 1.0 if kind is MediaKind.IMAGE else ASSUMED_PIECE_S
        return self._rates.get(kind, ASSUMED_BYTES / piece_s)

    def _amount(self, file: Measure) -> float:
        return max(self._costs.footage_s(file), 1.0)


def _size(derived: DerivedFiles, media_id: str) -> int:
    """Bytes of a media's files, when it has been through the stages; else 0."""
    return derived.size_bytes(media_id) if derived.has(media_id, "search_index.json") else 0
