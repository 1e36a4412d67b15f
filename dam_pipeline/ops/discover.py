"""The job `discover`: what is at some paths, registered and put in the queue."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict

import dagster as dg
from pydantic import Field

from dam_pipeline.assets.lineage import tell_dagster
from dam_pipeline.catalogue.discovery import Discovery, discover
from dam_pipeline.ops.requesting import Requested, answer, failures_told, request_runs
from dam_pipeline.records import Json, State
from dam_pipeline.stages.choosing import media_below
from dam_pipeline.stages.freshness import due_stages
from dam_pipeline.stages.listing import Listing, list_media
from resources.library import LibraryResource

TOLD_TROUBLES = 100
"""Files in trouble that an answer names; all are counted."""


class DiscoverConfig(dg.Config):
    """Where to look."""

    paths: list[str] = Field(
        description=(
            "Folders, files, or s3://bucket/folder, as the workers see them: a path of your own "
            "machine must be mounted there under the same name."
        )
    )


@dg.op(
    out=dg.Out(dg.Nothing),
    description=(
        "Registers all media at or below the paths, and requests runs for what is new, changed or "
        "unfinished. Originals are only read."
    ),
)
def find_media(
    context: dg.OpExecutionContext, config: DiscoverConfig, library: LibraryResource
) -> None:
    """What `dam ingest` does first, on the library's own machine."""
    with failures_told(), library.open() as tools:
        found = discover(config.paths, tools.catalogue, tools.derived, tools.settings)
        tell_dagster(context.instance, found)
        below = media_below(tools.catalogue, config.paths, may_be_unknown=True)
        listings = list_media(tools, below)
        limit = tools.settings.max_attempts
        due = [one for one in listings if due_stages(one.rows, one.verdicts, limit)]
        requested = request_runs(context, tools.settings, [one.media for one in due])
    _tell(context, found, listings, requested)


def _tell(
    context: dg.OpExecutionContext,
    found: Discovery,
    listings: Sequence[Listing],
    requested: Requested,
) -> None:
    context.log.info(
        f"{found.discovered} files found, {len(found.new)} new, {found.unchanged} unchanged; "
        f"{len(requested.keys)} files in {len(requested.run_ids)} runs."
    )
    for note in found.notes:
        context.log.warning(note)
    keys = frozenset(requested.keys)
    answer(
        context,
        {
            "discovered": found.discovered,
            "new": len(found.new),
            "unchanged": found.unchanged,
            "waiting": len(found.waiting),
            "skipped": asdict(found.skipped),
            "notes": list(found.notes),
            **_settled([one for one in listings if one.media.partition_key not in keys]),
            "keys": list(requested.keys),
            "run_ids": list(requested.run_ids),
        },
        {
            "found": found.discovered,
            "new": len(found.new),
            "unchanged": found.unchanged,
            "still_being_written": len(found.waiting),
            "passed_over": found.skipped.total,
            "requested_files": len(requested.keys),
            "requested_runs": len(requested.run_ids),
            "notes": "\n".join(found.notes),
        },
    )


def _settled(listings: Sequence[Listing]) -> dict[str, Json]:
    """States of files that no run was requested for, and the reasons of those in trouble."""
    counts = Counter(one.state.value for one in listings)
    troubles = [
        {"partition_key": one.media.partition_key, "stage": stage, "state": verdict.state.value}
        | {"reason": verdict.reason}
        for one in listings
        for stage, verdict in one.verdicts.items()
        if verdict.state in (State.FAILED, State.BLOCKED)
    ]
    return {"settled": dict(counts), "troubles": troubles[:TOLD_TROUBLES]}
