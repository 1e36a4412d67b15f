"""Ranges of partition keys: no gap, no other writer's key, no run larger than was asked for."""

import threading
from collections.abc import Iterator

import dagster as dg
import pytest

from dam_pipeline.partitions import (
    add_keys,
    contiguous_ranges,
    keys_in_runs,
    range_tags,
    run_ranges,
)


@pytest.fixture
def instance(tmp_path) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as opened:
        yield opened


@pytest.mark.parametrize(
    ("wanted", "ranges"),
    [
        ("", []),
        ("abcdef", ["abcdef"]),
        ("acd", ["a", "cd"]),
        ("fa", ["a", "f"]),
        ("bbx", ["b"]),
    ],
)
def test_wanted_keys_become_ranges_without_gaps(wanted: str, ranges: list[str]) -> None:
    assert contiguous_ranges("abcdef", wanted) == [list(one) for one in ranges]


def test_a_range_is_cut_by_count() -> None:
    assert run_ranges("abcde", dict.fromkeys("abcde", 1), 2, 1000) == [
        ["a", "b"],
        ["c", "d"],
        ["e"],
    ]


def test_a_range_is_cut_by_megabytes_and_a_huge_file_runs_alone() -> None:
    sizes = {"a": 600_000, "b": 400_000, "c": 1, "d": 9_000_000, "e": 5}
    assert run_ranges("abcde", sizes, 50, 1) == [["a", "b"], ["c"], ["d"], ["e"]]


def test_tags_say_which_keys_a_run_is_about() -> None:
    tags = [range_tags(["b", "c"]), {"dagster/partition": "e"}, {"dam/job": "graph"}]
    assert keys_in_runs("abcdef", tags) == {"b", "c", "e"}


def test_a_run_over_a_key_that_was_deleted_is_about_nothing() -> None:
    assert keys_in_runs("abc", [range_tags(["a", "z"])]) == set()


def test_keys_are_added_once_and_listed_in_the_order_of_their_arrival(
    instance: dg.DagsterInstance,
) -> None:
    assert add_keys(instance, ["b", "a"]) == ["b", "a"]
    assert add_keys(instance, ["c", "a"]) == ["b", "a", "c"]
    assert add_keys(instance, []) == ["b", "a", "c"]


def test_two_writers_at_once_do_not_end_in_each_others_runs(instance: dg.DagsterInstance) -> None:
    start = threading.Barrier(2)
    runs: dict[str, list[list[str]]] = {"x": [], "y": []}

    def write(name: str) -> None:
        start.wait(10)
        for number in range(20):
            keys = [f"{name}-{number}-{part}" for part in range(3)] + [f"shared-{number}"]
            all_keys = add_keys(instance, keys)
            runs[name] += run_ranges(all_keys, dict.fromkeys(keys, 1), 50, 50)

    writers = [threading.Thread(target=write, args=(name,)) for name in runs]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    finally_there = add_keys(instance, [])
    for name, ranges in runs.items():
        keys = [key for keys in ranges for key in keys]
        assert len(keys) == 80
        for one in ranges:
            in_range = finally_there[finally_there.index(one[0]) : finally_there.index(one[-1]) + 1]
            assert in_range == one
            assert all(key.startswith((f"{name}-", "shared-")) for key in in_range)
