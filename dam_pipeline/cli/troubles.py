"""Telling a person what failed, what is blocked (each reason once), and what was passed over."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from dam_pipeline.cli.output import say
from dam_pipeline.records import State

if TYPE_CHECKING:
    from dam_pipeline.stages.listing import Listing

TROUBLE = (State.FAILED, State.BLOCKED)

UNDER_WAY = (State.NEVER, State.RUNNING)  # of a file that nothing stands in the way of


def tell_troubles(listings: Sequence["Listing"]) -> None:
    """One line a failure: "KEY at STAGE failed: reason, what to do"; one a reason for waiting."""
    waiting: Counter[tuple[str, str]] = Counter()
    for listing in listings:
        for stage, verdict in listing.verdicts.items():
            if verdict.state is State.FAILED:
                say(f"{listing.media.partition_key} at {stage} failed: {verdict.reason}")
            elif verdict.state is State.BLOCKED:
                waiting[stage, verdict.reason] += 1
    for (stage, reason), count in waiting.items():
        say(f"{count} {'file' if count == 1 else 'files'} at {stage} blocked: {reason}")
    if elsewhere := sum(one.state in UNDER_WAY for one in listings):
        say(
            f"{elsewhere} {'file is' if elsewhere == 1 else 'files are'} not through yet: another process is "
            "at them, or will be. `dam status` tells when they are."
        )


def is_in_trouble(listings: Sequence["Listing"]) -> bool:
    """Whether some file has a failed or blocked stage."""
    return any(verdict.state in TROUBLE for one in listings for verdict in one.verdicts.values())


def tell_left_out(notes: Sequence[str], waiting: int, skipped: Mapping[str, int]) -> None:
    """Say what was not taken up, and why; `skipped` are counts by the names of SkipCounts."""
    for note in notes:
        say(f"note: {note}")
    if waiting:
        say(f"{waiting} files are still being written; ingest them later.")
    counts = {
        "hidden": skipped["hidden"],
        "of the system": skipped["system"],
        "excluded": skipped["excluded"],
        "no media": skipped["other"],
        "loops of links": skipped["loops"],
        "not readable": skipped["unreadable"],
    }
    if total := sum(counts.values()):
        words = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
        say(f"{total} entries passed over: {words}.")
