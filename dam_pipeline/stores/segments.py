"""Consolidated segments: what a stage gave for many media in a few large files.

    DAM_HOME/segments/<stage>/index.parquet     a row a media: stamp, outcome, place in the segments
                              0000012.arrow     rows of many media, one media after another

They are an index of the derived files, for whoever reads thousands of media at once; delete the
folder and it is made again. The media's own files stay the truth: a media is read anew when its
stamp (what the catalogue says of its stage) changed, and leaves when nobody names it any more. A new
segment is whole and on the disk before the index that names it takes the place of the old one.

Arrow's own file form and not Parquet, because it is mapped and not decoded: 100,000 vectors of 512
are there after 0.03 s instead of 1.0–1.5 s, at the same size.
"""

import fcntl
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from dam_pipeline.errors import SchemaMismatch
from dam_pipeline.records import Json, State, StoredOutcome
from dam_pipeline.stores.derived import DerivedFiles
from dam_pipeline.stores.segment_files import (
    Entry,
    SegmentWriter,
    StageSegments,
    merged,
    next_number,
    opened,
    write_index,
)

FOLDER = "segments"
LOCK_FILE = ".lock"
BROUGHT_AT_ONCE = 500  # media whose files are fetched together
MOST_SEGMENTS = 12  # more are merged
LEFT_OUT = ("raw",)  # of results: ffprobe's and exiftool's own words, which only `show` tells


class Segments:
    """The segments of one home's derived files."""

    def __init__(self, derived: DerivedFiles) -> None:
        self.root = derived.root.parent / FOLDER
        self.warnings: list[str] = []
        self._derived = derived

    def refresh(self, stage: str, stamps: Mapping[str, str]) -> StageSegments:
        """Bring a stage's segments to these media (id → stamp) and open them; raises DiskFull.

        A media whose files cannot be read is left out with a word in `warnings`, and tried again.
        """
        folder = self.root / stage
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder):
            for unfinished in folder.glob(".*.tmp"):
                unfinished.unlink()  # of a writer that was killed: nobody else writes now
            try:
                found = opened(folder)
                return self._brought_up(folder, stage, found, stamps)
            except (OSError, ValueError, KeyError, pa.ArrowException):
                _empty(folder)  # an index that is damaged is made again
                return self._brought_up(folder, stage, StageSegments({}, {}), stamps)

    def forget(self) -> None:
        """Delete all segments, so that they are made anew from the files."""
        for folder in self.root.glob("*/"):
            with _locked(folder):
                _empty(folder)

    def _brought_up(
        self, folder: Path, stage: str, found: StageSegments, stamps: Mapping[str, str]
    ) -> StageSegments:
        entries = {one: entry for one, entry in found.entries.items() if one in stamps}
        due = sorted(
            one for one in stamps if one not in entries or entries[one].stamp != stamps[one]
        )
        if not due and len(entries) == len(found.entries):
            return found
        writer = SegmentWriter(folder, next_number(folder))
        for at, media_id in enumerate(due):
            if at % BROUGHT_AT_ONCE == 0:
                self._derived.bring(due[at : at + BROUGHT_AT_ONCE], [stage])
            known = entries.pop(media_id, None)
            entry, table = self._read(stage, media_id, stamps[media_id], known)
            if entry and table is not None:
                writer.add(entry, table)
            elif entry:
                entries[media_id] = entry
        entries |= writer.finish()
        if _is_scattered(entries, found, writer):
            entries = merged(folder, entries)
        write_index(folder, entries)
        return opened(folder)

    def _read(
        self, stage: str, media_id: str, stamp: str, known: Entry | None
    ) -> tuple[Entry | None, pa.Table | None]:
        """A media's entry, and its rows where they are not those that are known already."""
        try:
            document = self._derived.document(media_id, stage)
            if document is None:
                return Entry(media_id, stamp), None
            entry = _entry(document, stamp)
            if known and known.outcome and known.data_version == entry.data_version:
                return replace(
                    entry, segment=known.segment, start=known.start, rows=known.rows
                ), None
            if not entry.rows:
                return entry, None
            table = self._derived.table(media_id, stage)
            return entry, table.replace_schema_metadata(None)
        except (SchemaMismatch, OSError, KeyError, TypeError, ValueError) as error:
            path = self._derived.folder(media_id) / f"{stage}.parquet"
            self.warnings.append(
                f"{path} is left out ({error}). Run `dam retry --stage {stage} {media_id}`."
            )
            return None, None


class SegmentedFiles(DerivedFiles):
    """Derived files whose outcomes and tables of some stages are read from segments."""

    def __init__(self, files: DerivedFiles, stages: Mapping[str, StageSegments]) -> None:
        super().__init__(files.root.parent)
        self.stems = files.stems
        self._files = files
        self._stages = stages

    def path(self, media_id: str, name: str) -> Path:
        """A file of a media, wherever the library's files are."""
        return self._files.path(media_id, name)

    def has(self, media_id: str, name: str) -> bool:
        """Whether a media has a file."""
        return self._files.has(media_id, name)

    def outcome(self, media_id: str, stage: str) -> StoredOutcome | None:
        """As of the media's own file; what segments leave out of results is not there."""
        found = self._stages.get(stage)
        if found is None or media_id not in found.entries:
            return super().outcome(media_id, stage)
        return found.outcome(media_id)

    def table(self, media_id: str, stage: str) -> pa.Table:
        """As of the media's own file; raises SchemaMismatch."""
        found = self._stages.get(stage)
        if found is None or not found.entries.get(media_id, Entry("", "")).rows:
            return super().table(media_id, stage)
        return found.table(media_id)


def _entry(document: dict[str, Json], stamp: str) -> Entry:
    result = {name: value for name, value in document["result"].items() if name not in LEFT_OUT}
    has_rows = document["state"] == State.DONE
    return Entry(
        document["media_id"],
        stamp,
        data_version=document["data_version"],
        space=str(result.get("space", "")) if has_rows else "",
        rows=document["rows"] if has_rows else 0,
        outcome=json.dumps(document | {"result": result}),
    )


def _is_scattered(
    entries: Mapping[str, Entry], before: StageSegments, writer: SegmentWriter
) -> bool:
    """Whether there are so many segments, or so many rows that nobody owns, that merging pays."""
    names = {entry.segment for entry in entries.values() if entry.segment}
    if len(names) > MOST_SEGMENTS:
        return True
    tables = before.tables
    kept = sum(entry.rows for entry in entries.values() if entry.segment in tables)
    return 2 * kept < sum(tables[name].num_rows for name in names if name in tables)


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.name != LOCK_FILE:
            path.unlink() if path.is_file() else shutil.rmtree(path)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with open(folder / LOCK_FILE, "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
