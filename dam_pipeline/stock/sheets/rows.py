"""One row of a sheet held against its record: what a person changed, and what somebody else did.

`_version` has a digest of every cell that was not empty when the sheet was made.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from dam_pipeline.errors import ConfigurationError
from dam_pipeline.records import Json, Media
from dam_pipeline.stock.fields import checked
from dam_pipeline.stock.record import Item, StockRecord
from dam_pipeline.stock.sheets.cells import Cell, shown
from dam_pipeline.stock.sheets.columns import (
    VERSION,
    Column,
    as_kept,
    changes_of,
    column_named,
)

Resolution = Literal["skip", "sheet", "library"]
_FORM = "v1"


@dataclass(frozen=True, slots=True)
class CellChange:
    """A field before and after, as cells show it; of a conflict, in the library and in the sheet."""

    field: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class RowChange:
    """What a row of a sheet asks for. A row with problems, or conflicts nobody decided, is left.

    `edit` is what `people.edit_record` is told.
    """

    row: int
    reference: str
    media: Media | None = None
    changes: tuple[CellChange, ...] = ()
    conflicts: tuple[CellChange, ...] = ()
    problems: tuple[str, ...] = ()
    edit: Mapping[str, Json] = field(default_factory=dict)
    is_decided: bool = True

    @property
    def state(self) -> str:
        """`failed`, `conflict`, `changed` or `unchanged`."""
        if self.problems:
            return "failed"
        if not self.is_decided:
            return "conflict"
        return "changed" if self.changes else "unchanged"


class RowReader:
    """One row beside the record that it is about."""

    def __init__(
        self,
        item: Item,
        cells: Mapping[str, Cell],
        folder: Path,
        clear_empty: bool,
        resolution: Resolution,
    ) -> None:
        self._item = item
        self._cells = cells
        self._folder = folder
        self._clear_empty = clear_empty
        self._resolution = resolution
        self._base = _parsed_version(cells.get(VERSION))
        self._values: dict[str, Json] = {}
        self._changes: list[CellChange] = []
        self._conflicts: list[CellChange] = []
        self._problems: list[str] = []

    def compared(self, number: int, reference: str) -> RowChange:
        """What the row asks for."""
        for name, cell in self._cells.items():
            if column := column_named(name):
                self._compare(column, cell)
        edit: dict[str, Json] = {}
        if self._values and not self._problems:
            edit = changes_of(self._item.record, self._values)
            self._problems += _problems_of(edit)
        return RowChange(
            number,
            reference,
            self._item.media,
            tuple(self._changes),
            tuple(self._conflicts),
            tuple(self._problems),
            edit,
            is_decided=not self._conflicts or self._resolution != "skip",
        )

    def _compare(self, column: Column, cell: Cell) -> None:
        now = _in_sheet(column, self._item.record)
        try:
            value = self._asked(column, cell, now)
        except (ValueError, ConfigurationError) as error:
            self._problems.append(f"{column.name}: {error}")
            return
        if value == now:
            return
        before, after = (shown(column.kind.write(one)) for one in (now, value))
        change = CellChange(column.name, before, after)
        was = self._base.get(column.name, "") if self._base is not None else _digest(column, now)
        if was != _digest(column, now):
            self._conflicts.append(change)
            if self._resolution != "sheet":
                return
        self._changes.append(change)
        self._values[column.name] = value

    def _asked(self, column: Column, cell: Cell, now: Json) -> Json:
        """The value a cell asks for, which is the present one where it asks for nothing."""
        if column.kind.is_shown(cell, now) or shown(cell) == shown(column.kind.write(now)):
            return now
        if not shown(cell) and not self._clear_empty:
            return now
        value = _read(column, cell)
        if self._base is not None and _digest(column, value) == self._base.get(column.name, ""):
            return now  # as it was when the sheet was made: the record went on since
        return as_kept(column, self._item.record, column.kind.read(cell), self._folder)


def _problems_of(edit: Mapping[str, Json]) -> list[str]:
    try:
        checked(edit)
    except ConfigurationError as error:
        return [str(error)]
    return []


def _in_sheet(column: Column, record: StockRecord) -> Json:
    """The value of a column as it would be read from the cell that it is written to."""
    return _read(column, column.kind.write(column.value(record)))


def _read(column: Column, cell: Cell) -> Json:
    """The value of a cell; of one that has none, such as a date by half, its text."""
    try:
        return column.kind.read(cell)
    except ValueError:
        return shown(cell)


def _digest(column: Column, value: Json) -> str:
    """Eight hex digits of a value; none of an empty one."""
    if value in (column.kind.empty, ""):
        return ""
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:8]


def version_of(columns: Sequence[Column], record: StockRecord) -> str:
    """What to keep in a row of what its cells are now; see `RowReader`."""
    digests = {one.name: _digest(one, _in_sheet(one, record)) for one in columns}
    return "|".join([_FORM, *(f"{name}:{found}" for name, found in digests.items() if found)])


def _parsed_version(cell: Cell) -> dict[str, str] | None:
    """By column what a row was; None where the sheet does not tell."""
    form, *entries = shown(cell).split("|")
    if form != _FORM:
        return None
    return {name: found for name, _, found in (one.rpartition(":") for one in entries)}
