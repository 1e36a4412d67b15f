"""Embedding spaces in Dagster: built for files in the shadow, weighed, and promoted behind a gate.

`candidate_embeddings` is made file by file, by backfill on as many workers as there are;
`candidate_space` compares the whole with the active space, and its blocking check keeps
`active_space` from being touched when the candidate is not fit.
"""

from collections.abc import Iterator, Mapping, Sequence

import dagster as dg
from pydantic import Field

from dam_pipeline.assets.metadata import OWNER, describe, pointer_tags, version_tags
from dam_pipeline.catalogue.spaces import SpaceRecord, Status
from dam_pipeline.errors import ConfigurationError
from dam_pipeline.event_log.batches import report_in_run, report_without_run
from dam_pipeline.partitions import media_partitions
from dam_pipeline.records import State
from dam_pipeline.settings import Settings
from dam_pipeline.spaces.building import build_space
from dam_pipeline.spaces.candidates import find_space, named_space
from dam_pipeline.spaces.comparing import DEFAULT_K, Comparison, compare, faults, refusals
from dam_pipeline.spaces.switching import promote
from dam_pipeline.stages.engine import Finished
from dam_pipeline.stages.work import Toolbox
from resources.library import LibraryResource

GROUP = "embedding_spaces"
CHECK = "is_fit_to_be_active"
EVENTS_AT_ONCE = 200


class BuildConfig(dg.Config):
    """Which space is built."""

    space: str = Field(
        default="",
        description="Name of a candidate of `dam space list`; empty: all candidates.",
    )


class CandidateConfig(dg.Config):
    """Which space is weighed, and by what."""

    space: str = Field(
        default="",
        description="Name of a candidate of `dam space list`; may be empty where there is just one.",
    )
    queries: list[str] = Field(
        default=[],
        description=(
            "Queries, one each: a text, or a text, a tab and the media that it must find. Empty: "
            "the words of the vocabulary and what people tagged."
        ),
    )
    k: int = Field(default=DEFAULT_K, description="How many of the best files are looked at.")
    force: bool = Field(
        default=False,
        description="Promote although it finds less or does not cover all files; never broken vectors.",
    )


def space_assets(settings: Settings) -> list[dg.AssetsDefinition]:
    """The assets of the embedding spaces."""
    spec = dg.AssetSpec(
        "candidate_embeddings",
        deps=["keyframes", "transcript"],
        description=(
            "The file's vectors in the spaces that are being built beside the active ones, from its "
            "stored keyframes and words. Searches do not see them before they are promoted."
        ),
        partitions_def=media_partitions,
        group_name=GROUP,
        owners=[OWNER],
        kinds={"torch", "parquet"},
        skippable=True,
    )

    @dg.multi_asset(
        name="build_candidates",
        specs=[spec],
        can_subset=True,
        backfill_policy=dg.BackfillPolicy.multi_run(settings.batch_files),
    )
    def build_candidates(
        context: dg.AssetExecutionContext, config: BuildConfig, library: LibraryResource
    ) -> Iterator[None]:
        with library.open() as tools:
            known = tools.catalogue.by_keys(list(context.partition_keys))
            ids = [one.media_id for one in known.values()]
            finished = [
                one
                for record in _candidates(tools, config.space)
                for one in _build(context, tools, record, ids)
            ]
        _tell_troubles(context, finished)
        yield from ()

    return [build_candidates, candidate_space, active_space]


@dg.asset(
    group_name=GROUP,
    owners=[OWNER],
    kinds={"numpy"},
    deps=["candidate_embeddings"],
    check_specs=[
        dg.AssetCheckSpec(
            CHECK,
            asset="candidate_space",
            blocking=True,
            description=(
                "Covers all files, has finite vectors of length 1, and finds as much as the active "
                "space."
            ),
        )
    ],
)
def candidate_space(
    context: dg.AssetExecutionContext, config: CandidateConfig, library: LibraryResource
) -> dg.MaterializeResult:
    """A space that was built in the shadow, compared with the active one on the same queries.

    How many answers both share, how many labelled pairs each finds, how many files it covers.
    """
    with library.open() as tools:
        record = named_candidate(tools, config.space)
        if record.status is Status.ACTIVE:
            raise ConfigurationError(f"{record.name} is the active space already.")
        found = compare(tools, record, config.queries, config.k)
        against = faults(found) if config.force else refusals(found, tools.settings)
    document = found.to_json() | {"refusals": "\n".join(found.refusals)}
    metadata = {name: value for name, value in document.items() if value not in (None, "")}
    return dg.MaterializeResult(
        metadata=metadata,
        check_results=[
            dg.AssetCheckResult(
                check_name=CHECK, passed=not against, metadata={"refusals": "\n".join(against)}
            )
        ],
    )


@dg.asset(group_name=GROUP, owners=[OWNER], deps=["candidate_space"])
def active_space(
    context: dg.AssetExecutionContext, config: CandidateConfig, library: LibraryResource
) -> dg.MaterializeResult:
    """The space that searches, tags and the graph use; the one before can be returned to.

    Switched in one step: nothing is computed, and no search sees some files in one space and some
    in the other.
    """
    with library.open() as tools:
        record = named_candidate(tools, config.space)
        found = Comparison.from_json(record.comparison)
        before = promote(tools, record, found, force=config.force)
        told = tell_of_switch(context.instance, tools, record)
    return dg.MaterializeResult(
        metadata={
            "space": record.name,
            "model": record.model,
            "before": before.name,
            "files": told,
        }
    )


def named_candidate(tools: Toolbox, name: str) -> SpaceRecord:
    """The space of a name, or the only candidate when it is empty; raises ConfigurationError."""
    if name:
        return named_space(tools, name)
    found = _candidates(tools, "")
    if len(found) != 1:
        names = ", ".join(one.name for one in found) or "none"
        raise ConfigurationError(f"Say which space is meant; candidates: {names}.")
    return found[0]


def tell_of_switch(instance: dg.DagsterInstance, tools: Toolbox, record: SpaceRecord) -> int:
    """Tell Dagster that the results of a stage are those of another space now; returns how many."""
    media = tools.catalogue.all_media()
    rows = tools.catalogue.states.of([one.media_id for one in media])
    newest = instance.event_log_storage.get_maximum_record_id() or -1
    events = [
        dg.AssetMaterialization(
            record.stage,
            partition=one.partition_key,
            metadata=describe(finished, tools),
            tags=version_tags(finished) | pointer_tags(record.stage, newest),
        )
        for one in media
        if (row := rows[one.media_id].get(record.stage)) and row.state in (State.DONE, State.EMPTY)
        if (finished := Finished(one, record.stage, row, fresh=True))
    ]
    for at in range(0, len(events), EVENTS_AT_ONCE):
        report_without_run(instance, events[at : at + EVENTS_AT_ONCE])
    return len(events)


def _candidates(tools: Toolbox, name: str) -> list[SpaceRecord]:
    if name:
        found = find_space(tools, name) or named_space(tools, name)
        return [found] if found.status is not Status.ACTIVE else []
    return [one for one in tools.catalogue.spaces.all() if one.status is Status.CANDIDATE]


def _build(
    context: dg.AssetExecutionContext, tools: Toolbox, record: SpaceRecord, ids: Sequence[str]
) -> list[Finished]:
    def report(finished: Sequence[Finished]) -> None:
        made = [one for one in finished if one.state in (State.DONE, State.EMPTY)]
        events = [
            dg.AssetMaterialization(
                "candidate_embeddings",
                partition=one.media.partition_key,
                metadata=_metadata(record, one),
            )
            for one in made
        ]
        report_in_run(context, events)

    return build_space(tools, record, ids, context.run.run_id, report)


def _metadata(record: SpaceRecord, one: Finished) -> Mapping[str, str | int]:
    return {
        "space": record.name,
        "state": one.state.value,
        "vectors": one.stored.rows if one.stored else 0,
    }


def _tell_troubles(context: dg.AssetExecutionContext, finished: Sequence[Finished]) -> None:
    """Log what waits, and raise one Failure that names each file that has failed."""
    for one in finished:
        if one.waits:
            context.log.warning(f"{one.media.partition_key} {one.waits}")
    lines = [
        f"{one.media.partition_key} at {one.stage}: {one.row.reason}"
        for one in finished
        if one.row and one.state in (State.FAILED, State.BLOCKED)
    ]
    if lines:
        raise dg.Failure(description="\n".join(lines), allow_retries=False)
