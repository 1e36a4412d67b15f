"""Consolidated segments: the same rows as in the files, whatever changed, went or broke."""

import multiprocessing
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from dam_pipeline import schemas
from dam_pipeline.catalogue.catalogue import open_catalogue
from dam_pipeline.records import State
from dam_pipeline.stores import segments as module
from dam_pipeline.stores.segment_files import StageSegments
from dam_pipeline.stores.segments import SegmentedFiles, Segments
from dam_pipeline_tests.handmade import PICTURES, Clip, Handmade, axis

STAGE = "clip_embeddings"
SCHEMA = schemas.clip_embeddings(8)


@pytest.fixture
def library(tmp_path: Path) -> Iterator[Handmade]:
    with open_catalogue(tmp_path) as catalogue:
        yield Handmade(tmp_path, catalogue)


def clip(name: str, *axes: int) -> Clip:
    return Clip(name, [(at, at + 1, axis(number)) for at, number in enumerate(axes)])


def refreshed(library: Handmade, stage: str = STAGE) -> StageSegments:
    stamps = library.catalogue.states.stamps([stage])[stage]
    known = {one.media_id: stamps.get(one.media_id, "") for one in library.catalogue.all_media()}
    return Segments(library.derived).refresh(stage, known)


def axes_of(found: StageSegments) -> dict[str, list[int]]:
    """The axes that each media's vectors point along."""
    rows = found.rows(SCHEMA, found.media_with(SCHEMA))
    vectors = np.array(rows.table["vector"].to_pylist())
    shown: dict[str, list[int]] = {media_id: [] for media_id in rows.media_ids}
    for media, item, vector in zip(rows.media, rows.items, vectors, strict=True):
        own = shown[rows.media_ids[media]]
        assert item == len(own)
        own.append(int(vector.argmax()))
    return shown


def segment_files(library: Handmade) -> list[Path]:
    return sorted((library.settings.home / "segments" / STAGE).glob("*.arrow"))


def test_rows_of_all_media_are_those_of_their_files(library: Handmade) -> None:
    a, b, empty = clip("a", 0, 1), clip("b", 2), Clip("empty")
    library.add(a, b, empty)
    found = refreshed(library)
    assert axes_of(found) == {a.media_id: [0, 1], b.media_id: [2]}
    assert found.entries[a.media_id].space == PICTURES.name
    outcome = found.outcome(empty.media_id)
    assert outcome is not None
    assert outcome.state is State.EMPTY
    assert outcome == library.derived.outcome(empty.media_id, STAGE)
    assert found.table(a.media_id).equals(
        library.derived.table(a.media_id, STAGE).replace_schema_metadata(None)
    )


def test_only_what_changed_is_read_again(library: Handmade) -> None:
    a, b = clip("a", 0, 1), clip("b", 2, 3, 4)
    library.add(a, b)
    refreshed(library)
    (library.derived.folder(b.media_id) / f"{STAGE}.parquet").unlink()
    library.write(Clip("a", [(0, 1, axis(5))], media_id=a.media_id))
    c = clip("c", 3)
    library.add(c)
    assert axes_of(refreshed(library)) == {
        a.media_id: [5],
        b.media_id: [2, 3, 4],
        c.media_id: [3],
    }
    assert len(segment_files(library)) == 2


def test_superseded_media_leave_and_come_back(library: Handmade) -> None:
    a, b = clip("a", 0), clip("b", 1)
    library.add(a, b)
    refreshed(library)
    library.catalogue.supersede(a.media_id, b.media_id)
    assert axes_of(refreshed(library)) == {b.media_id: [1]}
    library.catalogue.restore(a.media_id)
    assert axes_of(refreshed(library)) == {a.media_id: [0], b.media_id: [1]}


def test_many_segments_are_merged_and_readers_keep_theirs(
    library: Handmade, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_SEGMENTS", 3)
    clips = [clip(f"c{number}", number) for number in range(8)]
    expected: dict[str, list[int]] = {}
    opened: list[tuple[StageSegments, dict[str, list[int]]]] = []
    for number, one in enumerate(clips):
        library.add(one)
        expected[one.media_id] = [number]
        found = refreshed(library)
        opened.append((found, dict(sorted(expected.items()))))
        assert len(segment_files(library)) <= 3
    for found, then in opened:
        assert axes_of(found) == then


def test_rows_that_nobody_owns_any_more_are_dropped(library: Handmade) -> None:
    a, b = clip("a", *range(8)), clip("b", 1)
    library.add(a, b)
    refreshed(library)
    library.catalogue.supersede(a.media_id, b.media_id)
    refreshed(library)
    (file,) = segment_files(library)
    assert pa.ipc.open_file(pa.memory_map(str(file))).read_all().num_rows == 1


@pytest.mark.parametrize("damage", ["index", "segment", "missing segment", "deleted"])
def test_damaged_segments_are_made_again_from_the_files(library: Handmade, damage: str) -> None:
    a, b = clip("a", 0), clip("b", 1)
    library.add(a, b)
    refreshed(library)
    folder = library.settings.home / "segments" / STAGE
    if damage == "index":
        (folder / "index.parquet").write_bytes(b"PAR1 half")
    elif damage == "segment":
        segment_files(library)[0].write_bytes(b"ARROW1")
    elif damage == "missing segment":
        segment_files(library)[0].unlink()
    else:
        Segments(library.derived).forget()
    assert axes_of(refreshed(library)) == {a.media_id: [0], b.media_id: [1]}


def test_a_file_that_cannot_be_read_is_named_and_tried_again(library: Handmade) -> None:
    a, b = clip("a", 0), clip("b", 1)
    library.add(a, b)
    path = library.derived.folder(a.media_id) / f"{STAGE}.parquet"
    whole = path.read_bytes()
    path.write_bytes(b"PAR1 damaged")
    segments = Segments(library.derived)
    stamps = library.catalogue.states.stamps([STAGE])[STAGE]
    assert axes_of(segments.refresh(STAGE, stamps)) == {b.media_id: [1]}
    assert a.media_id in segments.warnings[0]
    assert "dam retry" in segments.warnings[0]
    path.write_bytes(whole)
    assert axes_of(refreshed(library)) == {a.media_id: [0], b.media_id: [1]}


def test_rows_of_another_form_lie_beside_and_are_told_apart(library: Handmade) -> None:
    a = clip("a", 0)
    wide = Clip("wide", [(0, 1, axis(0, 16))], space="wide@1")
    library.add(a, wide)
    found = refreshed(library)
    assert found.media_with(SCHEMA) == {a.media_id}
    assert found.media_with(schemas.clip_embeddings(16)) == {wide.media_id}
    spans = pa.schema([field for field in SCHEMA if field.name == "time_s"])
    assert found.media_with(spans) == {a.media_id, wide.media_id}


def test_derived_files_can_be_read_through_them(library: Handmade) -> None:
    a, b = clip("a", 0), clip("b", 1)
    library.add(a)
    found = refreshed(library)
    library.add(b)
    files = SegmentedFiles(library.derived, {STAGE: found})
    for one in (a, b):
        assert files.outcome(one.media_id, STAGE) == library.derived.outcome(one.media_id, STAGE)
        table = library.derived.table(one.media_id, STAGE)
        assert files.table(one.media_id, STAGE).to_pylist() == table.to_pylist()
    assert files.outcome(a.media_id, "probe") == library.derived.outcome(a.media_id, "probe")


def _refresh_until_killed(home: Path) -> None:
    def die(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    module.write_index = die
    with open_catalogue(home) as catalogue:
        refreshed(Handmade(home, catalogue))


def test_a_writer_that_is_killed_leaves_the_segments_before(library: Handmade) -> None:
    a, b = clip("a", 0), clip("b", 1)
    library.add(a)
    before = refreshed(library)
    library.add(b)
    home = library.settings.home
    writer = multiprocessing.get_context("spawn").Process(
        target=_refresh_until_killed, args=(home,)
    )
    writer.start()
    writer.join(60)
    assert writer.exitcode == -signal.SIGKILL
    assert len(segment_files(library)) == 2
    assert axes_of(before) == {a.media_id: [0]}
    assert axes_of(refreshed(library)) == {a.media_id: [0], b.media_id: [1]}
    assert len(segment_files(library)) == 2
