"""The one partitioning of the library, and how a set of keys becomes ranged runs.

A run takes a contiguous range of keys in the order in which Dagster lists them, so ranges are
formed from that order as it stands, never from the order in which someone meant to add keys: with
two writers at once their keys may lie between each other.
"""

from collections.abc import Iterable, Mapping, Sequence

import dagster as dg
import sqlalchemy as sa
from dagster._core.storage.tags import (
    ASSET_PARTITION_RANGE_END_TAG,
    ASSET_PARTITION_RANGE_START_TAG,
    PARTITION_NAME_TAG,
)

PARTITIONS = "media"
RANGE_START = ASSET_PARTITION_RANGE_START_TAG
RANGE_END = ASSET_PARTITION_RANGE_END_TAG
ONE_KEY = PARTITION_NAME_TAG
MEGABYTE = 1_000_000
ADD_TRIES = 5

media_partitions = dg.DynamicPartitionsDefinition(name=PARTITIONS)


def range_tags(keys: Sequence[str]) -> dict[str, str]:
    """The run tags that select `keys`, which must be one contiguous range in partition order."""
    return {RANGE_START: keys[0], RANGE_END: keys[-1]}


def keys_in_runs(all_keys: Sequence[str], tags: Iterable[Mapping[str, str]]) -> set[str]:
    """The keys that runs with these tags are about, single ones and ranges.

    `all_keys` are all partition keys in Dagster's order.
    """
    at = {key: number for number, key in enumerate(all_keys)}
    found: set[str] = set()
    for of_one in tags:
        first = of_one.get(RANGE_START, of_one.get(ONE_KEY, ""))
        last = of_one.get(RANGE_END, first)
        if first in at and last in at:
            found.update(all_keys[at[first] : at[last] + 1])
    return found


def contiguous_ranges(all_keys: Sequence[str], wanted: Iterable[str]) -> list[list[str]]:
    """`wanted` as the fewest ranges without a gap in `all_keys`, in its order.

    Wanted keys that are not in `all_keys` are left out: they are no partitions (yet).
    """
    chosen = set(wanted)
    ranges: list[list[str]] = []
    last = None
    for at, key in enumerate(all_keys):
        if key not in chosen:
            continue
        if last is None or at != last + 1:
            ranges.append([])
        ranges[-1].append(key)
        last = at
    return ranges


def run_ranges(
    all_keys: Sequence[str],
    size_bytes: Mapping[str, int],
    batch_files: int,
    batch_mb: int,
) -> list[list[str]]:
    """The keys of `size_bytes` as ranges that fit one run each, by count and by megabytes (10⁶).

    A file larger than `batch_mb` is a run of its own.
    """
    return [
        batch
        for keys in contiguous_ranges(all_keys, size_bytes)
        for batch in batches(keys, size_bytes, batch_files, batch_mb)
    ]


def batches(
    keys: Sequence[str], size_bytes: Mapping[str, int], batch_files: int, batch_mb: int
) -> list[list[str]]:
    """Keys in their order, as many at a time as fit one run by count and by megabytes (10⁶).

    A file larger than `batch_mb` is a batch of its own.
    """
    found: list[list[str]] = []
    room = 0
    for key in keys:
        is_full = not found or len(found[-1]) == batch_files or size_bytes[key] > room
        if is_full:
            found.append([])
            room = batch_mb * MEGABYTE
        found[-1].append(key)
        room -= size_bytes[key]
    return found


def add_keys(instance: dg.DagsterInstance, keys: Sequence[str]) -> list[str]:
    """Add the keys that are no partitions yet; returns all keys in Dagster's order afterwards."""
    for trial in range(ADD_TRIES if keys else 0):
        try:
            instance.add_dynamic_partitions(PARTITIONS, list(keys))
            break
        except sa.exc.IntegrityError:
            # Another writer added one of them between Dagster's look and its insert.
            if trial == ADD_TRIES - 1:
                raise
    return list(instance.get_dynamic_partitions(PARTITIONS))
