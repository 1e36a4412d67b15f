"""A set of files as few runs: ranges of partitions where they lie together, else sets of keys."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import dagster as dg

from dam_pipeline.ops.process_files import run_config
from dam_pipeline.partitions import batches, range_tags, run_ranges
from dam_pipeline.run_tags import JOB_TAG
from dam_pipeline.settings import Settings
from dam_pipeline.stages.queues import queue_tags

CONTIGUOUS, SCATTERED = "ingest", "process_files"


@dataclass(frozen=True, slots=True)
class RunParts:
    """What a run of these keys is made of. No `selection` means all assets of the job."""

    job: str
    keys: tuple[str, ...]
    tags: Mapping[str, str]
    config: Mapping[str, object] = field(default_factory=dict)
    selection: frozenset[dg.AssetKey] = frozenset()


def few_runs(
    all_keys: Sequence[str],
    size_bytes: Mapping[str, int],
    settings: Settings,
    stages: Iterable[str] | None = None,
) -> list[RunParts]:
    """The fewest runs for the keys of `size_bytes`, in the order of `all_keys`; no stages: all."""
    names = list(stages or ())
    limits = settings.batch_files, settings.batch_mb
    queue = queue_tags(settings, names)
    ranges = run_ranges(all_keys, size_bytes, *limits)
    sets = batches([key for keys in ranges for key in keys], size_bytes, *limits)
    if len(sets) < len(ranges):
        return [
            RunParts(SCATTERED, tuple(keys), {**queue, JOB_TAG: SCATTERED}, run_config(keys, names))
            for keys in sets
        ]
    selection = frozenset(dg.AssetKey(name) for name in names)
    return [
        RunParts(
            CONTIGUOUS,
            tuple(keys),
            {**queue, **range_tags(keys), JOB_TAG: CONTIGUOUS},
            selection=selection,
        )
        for keys in ranges
    ]
