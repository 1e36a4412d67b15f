"""Which of the work fits into a night: an order, and a limit of files, bytes or minutes."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from dam_pipeline.catalogue.measures import Measure
from dam_pipeline.planning.work import FileWork

MISFITS_AT_MOST = (
    200  # files looked at in vain, one after the other, before a budget counts as spent
)


class Order(StrEnum):
    """Which files come first."""

    NEWEST = "newest"
    SMALLEST = "smallest"
    OLDEST_FAILURE = "oldest-failure"


@dataclass(frozen=True, slots=True)
class Budget:
    """The most that may be taken on; 0 is no limit."""

    files: int = 0
    size_bytes: int = 0
    seconds: float = 0.0


@dataclass(slots=True)
class Chosen:
    """What fits, what does not, and what is left alone whatever the budget."""

    taken: list[FileWork] = field(default_factory=list)
    too_large: list[FileWork] = field(default_factory=list)
    left: list[FileWork] = field(default_factory=list)


def in_order(files: Iterable[Measure], order: Order) -> list[Measure]:
    """The files, what comes first first; without failures the oldest failure is the newest file."""
    newest = sorted(files, key=lambda one: (one.first_seen, one.media_id), reverse=True)
    if order is Order.SMALLEST:
        return sorted(newest, key=lambda one: one.size_bytes)
    if order is Order.OLDEST_FAILURE:
        return sorted(newest, key=lambda one: one.failed_at or "9")
    return newest


def choose(
    works: Iterable[FileWork], budget: Budget, seconds_of: Callable[[FileWork], float]
) -> Chosen:
    """Take what fits, in order; a file that does not is passed over for smaller ones behind it.

    One that alone is larger than the whole budget is never taken, and told.
    """
    chosen = Chosen()
    size_bytes, seconds, misfits = 0, 0.0, 0
    for work in works:
        if work.left:
            chosen.left.append(work)
        if not work.stages:
            continue
        size, cost = work.media.size_bytes, seconds_of(work)
        if _is_over(budget, size, cost):
            chosen.too_large.append(work)
        elif _is_over(budget, size_bytes + size, seconds + cost):
            misfits += 1
        else:
            chosen.taken.append(work)
            size_bytes, seconds, misfits = size_bytes + size, seconds + cost, 0
        if len(chosen.taken) == budget.files > 0 or misfits == MISFITS_AT_MOST:
            break
    return chosen


def _is_over(budget: Budget, size_bytes: int, seconds: float) -> bool:
    return (0 < budget.size_bytes < size_bytes) or (0 < budget.seconds < seconds)
