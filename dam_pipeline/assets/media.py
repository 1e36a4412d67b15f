"""The per-file assets: every stage of every media file, run in batches as one step.

One multi-asset holds all stages, so that one bad file of fifty costs that file alone (see
docs/adr). A file's failure is told in the run's one Failure; its reason also stands in the
catalogue, on the preview page and in `dam status`.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from itertools import groupby

import dagster as dg
from dagster._core.storage.tags import BACKFILL_ID_TAG

from dam_pipeline.assets.estimates import estimated
from dam_pipeline.assets.metadata import (
    OWNER,
    describe,
    inputs_in_dagster,
    pointer_tags,
    version_tags,
)
from dam_pipeline.event_log.batches import Running, report_in_run
from dam_pipeline.partitions import media_partitions
from dam_pipeline.records import State
from dam_pipeline.settings import Settings
from dam_pipeline.stages import STAGES
from dam_pipeline.stages.engine import BatchReport, Finished, run_stages
from dam_pipeline.stages.freshness import StageVersion, stage_versions
from dam_pipeline.stages.work import Toolbox
from resources.library import LibraryResource

GROUPS = {"L0": "L0_file", "L1": "L1_shots", "L2": "L2_scenes"}
ORIGINAL = dg.AssetKey("original")

original = dg.AssetSpec(
    ORIGINAL,
    description=(
        "The file a camera, a recorder or a person made. Only read, never written. Observed when "
        "its sidecars change."
    ),
    partitions_def=media_partitions,
    group_name="L0_file",
    owners=[OWNER],
    kinds={"file"},
)


def media_assets(settings: Settings) -> dg.AssetsDefinition:
    """The multi-asset of all stages, with code versions as the settings and weights are now."""
    versions = stage_versions(settings)

    @dg.multi_asset(
        name="media",
        specs=[_spec(name, versions[name]) for name in STAGES],
        can_subset=True,
        backfill_policy=dg.BackfillPolicy.multi_run(settings.batch_files),
    )
    def media(context: dg.AssetExecutionContext, library: LibraryResource) -> Iterator[None]:
        keys = list(context.partition_keys)
        stages = [key.path[-1] for key in context.selected_asset_keys]
        with library.open() as tools:
            with estimated(context, tools, keys, stages) as course:
                report = process(context, tools, keys, stages)
                course.is_whole = not report.of(State.BLOCKED)
            tell_failures(tools, report.of(State.FAILED))
        yield from ()

    return media


def _spec(name: str, version: StageVersion) -> dg.AssetSpec:
    stage = STAGES[name]
    return dg.AssetSpec(
        name,
        deps=inputs_in_dagster(name),
        description=stage.description,
        partitions_def=media_partitions,
        group_name=GROUPS[stage.level],
        code_version=version.code_version,
        owners=[OWNER],
        kinds=set(stage.kinds),
        skippable=True,
    )


def process(
    context: Running,
    tools: Toolbox,
    keys: Sequence[str],
    stages: Sequence[str],
    planned: Collection[tuple[str, str]] | None = None,
) -> BatchReport:
    """Bring stages of these partitions up to date, with an event for each result.

    `planned` are the (stage, key) that Dagster was told of before; None: all of them.
    """
    known = tools.catalogue.by_keys(keys)
    if unknown := [key for key in keys if key not in known]:
        context.log.warning(
            f"{len(unknown)} partitions are not in the catalogue ({unknown[0]} …). Run "
            "`dam rebuild`, or delete these partitions."
        )
    context.log.info(f"{len(known)} files, {len(stages)} stages")

    reporter = _Reporter(context, tools)
    ids = [known[key].media_id for key in keys if key in known]
    report = run_stages(tools, ids, stages, context.run.run_id, reporter.report_new)
    counts = Counter("unchanged" if one.fresh else one.state.value for one in report.finished)
    context.log.info(", ".join(f"{count} {state}" for state, count in sorted(counts.items())))
    _log_unchanged(context, reporter, report, planned)
    _tell_blocked(context, report)
    return report


class _Reporter:
    """Logs materialisations, each with the place in the event log where its inputs stood."""

    def __init__(self, context: Running, tools: Toolbox) -> None:
        self._context = context
        self._tools = tools

    def report_new(self, finished: Sequence[Finished]) -> None:
        """Log those that the run made."""
        made = (State.DONE, State.EMPTY)
        self.report([one for one in finished if one.stored and one.state in made])

    def report(self, finished: Sequence[Finished]) -> None:
        """Log results, which come stage by stage: a result's inputs must be in the log before it."""
        storage = self._context.instance.event_log_storage
        for stage, group in groupby(finished, key=lambda one: one.stage):
            pointers = pointer_tags(stage, storage.get_maximum_record_id() or -1)
            events = [
                dg.AssetMaterialization(
                    stage,
                    partition=one.media.partition_key,
                    metadata=describe(one, self._tools),
                    tags=version_tags(one) | pointers,
                )
                for one in group
            ]
            report_in_run(self._context, events)


def _log_unchanged(
    context: Running,
    reporter: _Reporter,
    report: BatchReport,
    planned: Collection[tuple[str, str]] | None,
) -> None:
    """Report fresh results again where the run would otherwise paint them missing or failed.

    Dagster counts a planned partition of a failed run as failed, whatever it held before and however
    later runs end, until it is made again; a backfill counts one that was not made as failed; and a
    process killed between the state row and the event left a result that Dagster never heard of.
    """
    fresh = [one for one in report.finished if one.fresh]
    run_fails = bool(report.of(State.FAILED))
    is_asked_for = BACKFILL_ID_TAG in context.run.tags
    for stage in dict.fromkeys(one.stage for one in fresh):
        heard = _materialized(context, stage) - _shown_as_failed(context, stage)
        if (run_fails and planned is None) or is_asked_for:
            heard = set()
        heard -= {key for name, key in planned or () if name == stage}
        reporter.report(
            [one for one in fresh if one.stage == stage and one.media.partition_key not in heard]
        )


def _materialized(context: Running, stage: str) -> set[str]:
    return set(context.instance.get_materialized_partitions(dg.AssetKey(stage)))


def _shown_as_failed(context: Running, stage: str) -> set[str]:
    """The partitions that the UI paints as failed, from the cache that it paints from."""
    records = context.instance.get_asset_records([dg.AssetKey(stage)])
    cached = records[0].asset_entry.cached_status if records else None
    if cached is None:
        return set()
    failed = cached.deserialize_failed_partition_subsets(media_partitions)
    return set(failed.get_partition_keys())


def _tell_blocked(context: Running, report: BatchReport) -> None:
    reasons = Counter((one.stage, one.row.reason) for one in report.of(State.BLOCKED) if one.row)
    for (stage, reason), count in reasons.items():
        context.log.warning(f"{stage} waits on {count} files: {reason}")


def tell_failures(tools: Toolbox, failed: Sequence[Finished]) -> None:
    """Raise one Failure that names each failed file, its stage, the reason and what to do."""
    if not failed:
        return
    lines = [
        f"{one.media.partition_key} at {one.stage}: {one.row.reason}" for one in failed if one.row
    ]
    address = tools.settings.preview_address
    pages = {
        one.media.partition_key: dg.MetadataValue.url(f"{address}/media/{one.media.partition_key}")
        for one in failed
    }
    raise dg.Failure(description="\n".join(lines), metadata=pages, allow_retries=False)
