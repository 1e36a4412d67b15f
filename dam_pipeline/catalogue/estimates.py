"""What runs were expected to take, and what they took."""

from dataclasses import asdict, dataclass

import sqlalchemy as sa

from dam_pipeline.catalogue.catalogue import Catalogue
from dam_pipeline.catalogue.database import upsert
from dam_pipeline.catalogue.tables import ESTIMATE


@dataclass(frozen=True, slots=True)
class RunEstimate:
    """One run; `ended_s` is None until it has ended. Moments are Unix seconds.

    `work_s` is what its stages were expected to take one after the other, before any correction.
    """

    run_id: str
    job: str
    files: int
    footage_s: float
    size_bytes: int
    low_s: float
    likely_s: float
    high_s: float
    work_s: float
    started_s: float
    ended_s: float | None = None

    @property
    def actual_s(self) -> float | None:
        """What it took."""
        return None if self.ended_s is None else self.ended_s - self.started_s

    @property
    def ratio(self) -> float | None:
        """What it took ÷ what was likely; None until it has ended, or when nothing was to do."""
        actual_s = self.actual_s
        return None if actual_s is None or not self.likely_s else actual_s / self.likely_s


def put_estimate(catalogue: Catalogue, estimate: RunEstimate) -> None:
    """Write an estimate, over the one of the same run."""
    with catalogue.engine.begin() as connection:
        upsert(connection, ESTIMATE, [asdict(estimate)])


def scored_estimates(catalogue: Catalogue, at_most: int) -> list[RunEstimate]:
    """Estimates of runs that have ended and had something to do, the newest first."""
    query = (
        sa.select(ESTIMATE)
        .where(ESTIMATE.c.ended_s.is_not(None), ESTIMATE.c.likely_s > 0)
        .order_by(ESTIMATE.c.started_s.desc())
        .limit(at_most)
    )
    with catalogue.engine.connect() as connection:
        return [RunEstimate(**row._mapping) for row in connection.execute(query)]
