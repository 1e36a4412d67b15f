"""Dagster brought to what the catalogue says: partitions, materialisations, observations.

Used by `dam rebuild` and `dam doctor`, and after a run was killed. Only what Dagster does not know is
reported, so repeating costs a few reads. Nothing here runs a stage.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, islice

import dagster as dg

from dam_pipeline.assets.lineage import ORIGINAL_VERSION, observe_sidecars
from dam_pipeline.assets.media import ORIGINAL
from dam_pipeline.assets.metadata import describe, pointer_tags, version_tags
from dam_pipeline.catalogue.catalogue import Catalogue
from dam_pipeline.catalogue.database import is_alive
from dam_pipeline.event_log.batches import report_without_run
from dam_pipeline.launch import UNFINISHED
from dam_pipeline.partitions import PARTITIONS, add_keys
from dam_pipeline.records import Media, StageRow, State
from dam_pipeline.run_tags import PROCESS_TAG
from dam_pipeline.stages import STAGES
from dam_pipeline.stages.engine import Finished
from dam_pipeline.stages.freshness import inputs_of
from dam_pipeline.stages.work import Toolbox

DATA_VERSION = "dagster/data_version"
BEFORE_ALL = -1  # points before every event: any event of the input is newer
EVENTS_AT_ONCE = 200
WITH_RESULT = (State.DONE, State.EMPTY)

Tell = Callable[[int, str], None]


@dataclass(frozen=True, slots=True)
class Unheard:
    """A result of a stage that Dagster does not know, or knows in an older form.

    `is_made_from_present` says of each input whether the result was made from it as it is now.
    """

    media: Media
    row: StageRow
    is_made_from_present: Mapping[str, bool]


def missing_keys(instance: dg.DagsterInstance, catalogue: Catalogue) -> list[str]:
    """Partition keys that Dagster lacks, in the order in which their files were first seen."""
    known = set(instance.get_dynamic_partitions(PARTITIONS))
    return [one.partition_key for one in by_age(catalogue) if one.partition_key not in known]


def by_age(catalogue: Catalogue) -> list[Media]:
    """Present media in the order in which they were first seen anywhere, then of their keys."""
    media = catalogue.all_media()
    places = catalogue.locations_of([one.media_id for one in media])

    def age(one: Media) -> tuple[str, str]:
        seen = [place.first_seen for place in places[one.media_id]]
        return min(seen, default=""), one.partition_key

    return sorted(media, key=age)


def restore_cut_off(instance: dg.DagsterInstance, tools: Toolbox, run_ids: Sequence[str]) -> None:
    """Report what runs had recorded, but not told Dagster, when their processes died."""
    touched = tools.catalogue.states.media_of(run_ids)
    restore_results(instance, tools, unheard_results(instance, tools.catalogue, touched))
    for run_id in run_ids:
        tools.catalogue.beats.give_up(run_id)


def unheard_results(
    instance: dg.DagsterInstance, catalogue: Catalogue, media_ids: Collection[str] | None = None
) -> list[Unheard]:
    """Results that Dagster has not heard of in their present form, stage by stage.

    Only of keys that are partitions, or will be once `missing_keys` are added, and of `media_ids`
    if given.
    """
    media = [one for one in by_age(catalogue) if media_ids is None or one.media_id in media_ids]
    rows = catalogue.states.of([one.media_id for one in media])
    found = []
    for stage in STAGES:
        heard = _versions(instance, dg.AssetKey(stage), dg.DagsterEventType.ASSET_MATERIALIZATION)
        for one in media:
            row = rows[one.media_id].get(stage)
            if row is None or row.state not in WITH_RESULT:
                continue
            if heard.get(one.partition_key) != row.data_version:
                found.append(Unheard(one, row, _present_inputs(one, rows[one.media_id], stage)))
    return found


def restore_partitions(instance: dg.DagsterInstance, catalogue: Catalogue) -> int:
    """Add the partitions that Dagster lacks; returns how many."""
    keys = missing_keys(instance, catalogue)
    add_keys(instance, keys)
    return len(keys)


def restore_results(
    instance: dg.DagsterInstance,
    tools: Toolbox,
    unheard: Sequence[Unheard],
    tell: Tell = lambda _done, _note: None,
) -> None:
    """Report results as materialisations of no run, in the order given."""
    number = 0
    for stage, group in groupby(unheard, key=lambda one: one.row.stage):
        newest_event = instance.event_log_storage.get_maximum_record_id() or BEFORE_ALL
        for piece in _pieces(group):
            report_without_run(instance, [_event(one, tools, newest_event) for one in piece])
            number += len(piece)
            tell(number, stage)


def restore_observations(instance: dg.DagsterInstance, catalogue: Catalogue) -> int:
    """Tell Dagster of sidecars that it has not heard of; returns of how many files."""
    heard = _versions(instance, ORIGINAL, dg.DagsterEventType.ASSET_OBSERVATION)
    unheard = [
        one
        for one in catalogue.all_media()
        if heard.get(one.partition_key, ORIGINAL_VERSION)
        != (one.sidecar_version or ORIGINAL_VERSION)
    ]
    observe_sidecars(instance, unheard)
    return len(unheard)


def lost_runs(instance: dg.DagsterInstance) -> Iterator[str]:
    """Ids of unfinished runs whose command-line process no longer lives."""
    for record in instance.get_run_records(dg.RunsFilter(statuses=UNFINISHED)):
        owner = record.dagster_run.tags.get(PROCESS_TAG)
        if owner and not is_alive(owner):
            yield record.dagster_run.run_id


def _pieces(group: Iterable[Unheard]) -> Iterator[list[Unheard]]:
    remaining = iter(group)
    while piece := list(islice(remaining, EVENTS_AT_ONCE)):
        yield piece


def _event(one: Unheard, tools: Toolbox, newest_event: int) -> dg.AssetMaterialization:
    finished = Finished(one.media, one.row.stage, one.row, fresh=True)
    return dg.AssetMaterialization(
        one.row.stage,
        partition=one.media.partition_key,
        metadata=describe(finished, tools),
        tags=version_tags(finished) | _pointer_tags(one, newest_event),
    )


def _present_inputs(media: Media, rows: Mapping[str, StageRow], stage: str) -> dict[str, bool]:
    now = inputs_of(STAGES[stage], media, rows)
    return {name: now.get(name) == version for name, version in rows[stage].inputs.items()}


def _pointer_tags(one: Unheard, newest_event: int) -> dict[str, str]:
    """As `pointer_tags`, but an input that has changed since has only newer events."""
    tags = pointer_tags(one.row.stage, newest_event)
    changed = tuple(f"/{name}" for name, fits in one.is_made_from_present.items() if not fits)
    return {
        tag: str(BEFORE_ALL) if tag.endswith(changed) else pointer for tag, pointer in tags.items()
    }


def _versions(
    instance: dg.DagsterInstance, asset: dg.AssetKey, event: dg.DagsterEventType
) -> dict[str, str]:
    """Data version of the newest event of each partition: the one tag that Dagster indexes."""
    tags = instance.event_log_storage.get_latest_tags_by_partition(asset, event, [DATA_VERSION])
    return {key: found.get(DATA_VERSION, "") for key, found in tags.items()}
