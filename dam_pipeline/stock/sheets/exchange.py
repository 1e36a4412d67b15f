"""Stock records as a sheet for people who work in spreadsheets, and the sheet read back as edits.

Each row has in `_version` what every cell was when the sheet was made. So an import knows which cells
a person changed since, and whether somebody else changed the same field of the record meanwhile.
How cells are read is in `cells`, how files are in `files`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dam_pipeline.errors import ConfigurationError
from dam_pipeline.records import Media
from dam_pipeline.settings import Settings
from dam_pipeline.stages.work import Toolbox
from dam_pipeline.stock.deliveries import Deliveries, DeliveryState
from dam_pipeline.stock.items import load_items
from dam_pipeline.stock.people import Edit, edit_records
from dam_pipeline.stock.record import Item
from dam_pipeline.stock.sheets.cells import Cell, shown, text_of
from dam_pipeline.stock.sheets.columns import (
    KEY,
    SUGGESTED,
    VERSION,
    column_named,
    columns_for,
    reading_cells,
)
from dam_pipeline.stock.sheets.files import Row, read_sheet
from dam_pipeline.stock.sheets.rows import Resolution, RowChange, RowReader, version_of


@dataclass(frozen=True, slots=True)
class SheetChange:
    """What a whole sheet asks for; `problems` are of its columns."""

    rows: tuple[RowChange, ...]
    problems: tuple[str, ...] = ()

    @property
    def is_well(self) -> bool:
        """Whether nothing is left out."""
        return not self.problems and all(x.state in ("changed", "unchanged") for x in self.rows)


def rejections(settings: Settings) -> dict[str, str]:
    """By asset id, why agencies rejected what was sent to them and has not gone there again."""
    found: dict[str, list[str]] = {}
    for one in Deliveries(settings).latest().values():
        if one.state is DeliveryState.REJECTED and one.asset_id:
            why = f"{one.agency}: {one.reason or 'no reason given'}"
            found.setdefault(one.asset_id, []).append(why)
    return {asset_id: "; ".join(why) for asset_id, why in found.items()}


def sheet_rows(items: Sequence[Item], rejected: Mapping[str, str] | None = None) -> list[Row]:
    """The rows of a sheet of these items, headings first; with what `rejections` tells of them."""
    columns = columns_for([one.record for one in items])
    headings = [KEY, "_file", *(["_rejected"] if rejected else [])]
    for column in columns:
        headings += [column.name]
        headings += [f"_suggested_{column.name}"] if column.name in SUGGESTED else []
    headings += ["_said_by", VERSION]
    rows: list[Row] = [headings]
    for item in items:
        cells = {column.name: column.kind.write(column.value(item.record)) for column in columns}
        cells |= reading_cells(item)
        cells |= {KEY: item.media.partition_key, VERSION: version_of(columns, item.record)}
        cells["_rejected"] = (rejected or {}).get(item.media.asset_id, "")
        rows.append([cells[name] for name in headings])
    return rows


def compare_sheet(
    tools: Toolbox,
    path: Path,
    *,
    encoding: str = "",
    clear_empty: bool = False,
    resolution: Resolution = "skip",
) -> SheetChange:
    """What a sheet asks for beyond what the records say now; nothing is changed.

    An empty cell asks for nothing, unless `clear_empty`. Where both the sheet and the record were
    changed since the sheet was made, `resolution` says whose word counts, or that the row is left.
    Raises ConfigurationError where the sheet cannot be read.
    """
    rows = list(read_sheet(path, KEY, encoding))
    found = [_found(tools, number, cells) for number, cells in rows]
    media = [one for one in found if isinstance(one, Media)]
    items = {one.media.media_id: one for one in load_items(tools, media)}
    headings = dict.fromkeys(name for _, cells in rows for name in cells)
    compared, seen = [], dict[str, int]()
    for (number, cells), one in zip(rows, found, strict=True):
        reference = shown(cells[KEY])
        if isinstance(one, Media) and seen.setdefault(one.asset_id, number) != number:
            one = f"row {seen[one.asset_id]} is about the same file; keep one of them"
        if isinstance(one, str):
            compared.append(RowChange(number, reference, problems=(one,)))
            continue
        item = items[one.media_id]
        row = RowReader(item, cells, path.resolve().parent, clear_empty, resolution)
        compared.append(row.compared(number, reference))
    return SheetChange(tuple(compared), tuple(_unknown_columns(headings)))


def apply_sheet(settings: Settings, sheet: SheetChange) -> int:
    """Make the edits of all rows that can be made, in one entry of the journal; gives how many."""
    return edit_records(
        settings,
        [
            Edit([one.media.asset_id], one.edit)
            for one in sheet.rows
            if one.media and one.edit and one.state == "changed"
        ],
    )


def _found(tools: Toolbox, number: int, cells: Mapping[str, Cell]) -> Media | str:
    """The media of a row, or what is wrong with it."""
    try:
        reference = text_of(cells[KEY])
        if not reference:
            return f"no cell under {KEY!r} says which file this row is about"
        if "" in cells:
            return f"{shown(cells[''])!r} stands beyond the last heading"
        return tools.catalogue.find(reference)
    except (ConfigurationError, ValueError) as error:
        return str(error)


def _unknown_columns(headings: Mapping[str, None]) -> list[str]:
    return [
        f"the column {name!r} is not known and was left; headings are those of `dam stock export`"
        for name in headings
        if name and name != KEY and not name.startswith("_") and column_named(name) is None
    ]
