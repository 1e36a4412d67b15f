"""The job `reprocess`: files and stages chosen by state and filter, put in the queue."""

from collections.abc import Sequence
from typing import Self

import dagster as dg
from pydantic import Field

from dam_pipeline.errors import ConfigurationError
from dam_pipeline.ops.requesting import Requested, answer, failures_told, request_runs
from dam_pipeline.records import Filters, MediaKind
from dam_pipeline.stages.choosing import Choice, Chosen, asked_for, choose, prepare_again
from resources.library import LibraryResource

TOLD_FILES = 500
"""Files whose plan an answer spells out; all are counted."""


class ReprocessConfig(dg.Config):
    """Which files and stages. Left as it is: all that failed, is stale or was blocked."""

    media: list[str] = Field(
        default=[],
        description="Only these: media ids, partition keys, or paths as the workers see them.",
    )
    failed: bool = Field(default=False, description="Only what has failed.")
    stale: bool = Field(default=False, description="Only what is stale.")
    everything: bool = Field(
        default=False, description="Also what is done and fresh: compute it anew."
    )
    stages: list[str] = Field(
        default=[], description="Only these stages (what depends on them follows). Empty: all."
    )
    kinds: list[str] = Field(default=[], description="Only video, image or audio. Empty: all.")
    path: str = Field(default="", description="Only paths that fit this glob or hold it.")
    camera: str = Field(default="", description="Only what this camera took.")
    after: str = Field(default="", description="Only recorded at or after: 2026-05 or 2026-05-17.")
    before: str = Field(default="", description="Only recorded before.")
    dry_run: bool = Field(default=False, description="Only say what would run.")

    def choice(self: Self) -> Choice:
        """What it asks for; raises ConfigurationError for a word that is none."""
        if unknown := [kind for kind in self.kinds if kind not in set(MediaKind)]:
            raise ConfigurationError(f"{unknown[0]} is no kind. Kinds: {', '.join(MediaKind)}.")
        filters = Filters(
            kinds=tuple(MediaKind(kind) for kind in self.kinds),
            path=self.path,
            camera=self.camera,
            after=self.after,
            before=self.before,
        )
        return asked_for(
            self.media,
            filters,
            self.stages,
            failed=self.failed,
            stale=self.stale,
            everything=self.everything,
        )


@dg.op(
    out=dg.Out(dg.Nothing),
    description=(
        "Chooses files and stages, by default what failed, is stale or was blocked, and requests "
        "runs of them and of what depends on them."
    ),
)
def choose_media(
    context: dg.OpExecutionContext, config: ReprocessConfig, library: LibraryResource
) -> None:
    """What `dam retry` does first, on the library's own machine."""
    requested, stages = Requested(), []
    with failures_told(), library.open() as tools:
        choice = config.choice()
        chosen = choose(tools, choice)
        if chosen and not config.dry_run:
            stages = prepare_again(tools, choice, chosen)
            media = [one.media for one in chosen]
            requested = request_runs(context, tools.settings, media, stages)
    _tell(context, chosen, requested, stages)


def _tell(
    context: dg.OpExecutionContext,
    chosen: Sequence[Chosen],
    requested: Requested,
    stages: Sequence[str],
) -> None:
    context.log.info(f"{len(chosen)} files chosen, {len(requested.run_ids)} runs requested.")
    answer(
        context,
        {
            "chosen": len(chosen),
            "media": [one.to_json() for one in chosen[:TOLD_FILES]],
            "stages": list(stages),
            "keys": list(requested.keys),
            "run_ids": list(requested.run_ids),
        },
        {
            "chosen_files": len(chosen),
            "requested_runs": len(requested.run_ids),
            "stages": ", ".join(stages),
            "files": ", ".join(one.media.partition_key for one in chosen[:TOLD_FILES]),
        },
    )
