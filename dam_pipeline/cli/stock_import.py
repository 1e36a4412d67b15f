"""`dam stock import`: take over what people changed in a sheet."""

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dam_pipeline.cli.options import AsJson
from dam_pipeline.cli.output import OUT, Exit, command, print_json, say
from dam_pipeline.records import Json
from dam_pipeline.settings import load_settings

if TYPE_CHECKING:
    from dam_pipeline.stock.sheets.exchange import SheetChange
    from dam_pipeline.stock.sheets.rows import CellChange, RowChange

SHOWN = 70  # characters of a cell


class Conflicts(StrEnum):
    """Whose word counts where sheet and record were both changed since the export."""

    SKIP = "skip"
    SHEET = "sheet"
    LIBRARY = "library"


@command
def run(
    sheet: Annotated[
        Path,
        typer.Argument(metavar="FILE", help="A .csv or .xlsx, as `dam stock export` makes it."),
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would change.")
    ] = False,
    clear_empty: Annotated[
        bool,
        typer.Option(
            "--clear-empty", help="An empty cell empties its field, else it says nothing."
        ),
    ] = False,
    conflicts: Annotated[
        Conflicts,
        typer.Option(help="Where sheet and record were both changed: leave the row, or who wins."),
    ] = Conflicts.SKIP,
    encoding: Annotated[
        str,
        typer.Option(metavar="NAME", help="What a .csv is in, if not UTF-8 or UTF-16: cp1252, …"),
    ] = "",
    as_json: AsJson = False,
) -> int:
    """Take over what was changed in a sheet: field by field, before and after.

    Cells that nobody changed since the export do nothing, whatever became of the record meanwhile. A
    row with a value that cannot be, or with a conflict, is named and left whole; the others are taken.
    Exit code 3 when something was left.

    Examples: dam stock import records.xlsx --dry-run · dam stock import records.csv --conflicts sheet
    """
    from dam_pipeline.stages.work import Toolbox
    from dam_pipeline.stock.sheets.exchange import apply_sheet, compare_sheet

    settings = load_settings()
    with Toolbox.open(settings) as tools:
        found = compare_sheet(
            tools,
            sheet,
            encoding=encoding,
            clear_empty=clear_empty,
            resolution=conflicts.value,
        )
        if not dry_run:
            apply_sheet(tools.settings, found)
    if as_json:
        print_json(_document(sheet, found, dry_run))
    else:
        _tell(found, dry_run)
    return Exit.OK if found.is_well else Exit.SOME_FAILED


def _document(path: Path, found: "SheetChange", dry_run: bool) -> dict[str, Json]:
    return {
        "file": str(path.absolute()),
        "dry_run": dry_run,
        **{state: _count(found, state) for state in ("changed", "unchanged", "conflict", "failed")},
        "problems": list(found.problems),
        "rows": [_row(one) for one in found.rows if one.state != "unchanged" or one.conflicts],
    }


def _row(one: "RowChange") -> dict[str, Json]:
    return {
        "row": one.row,
        "media": one.reference,
        "media_id": one.media.media_id if one.media else None,
        "state": one.state,
        "changes": [_change(change) for change in one.changes],
        "conflicts": [_change(change) for change in one.conflicts],
        "problems": list(one.problems),
    }


def _change(one: "CellChange") -> dict[str, Json]:
    return {"field": one.field, "before": one.before, "after": one.after}


def _count(found: "SheetChange", state: str) -> int:
    return sum(one.state == state for one in found.rows)


def _tell(found: "SheetChange", dry_run: bool) -> None:
    for problem in found.problems:
        say(problem)
    for one in found.rows:
        lines = [*_lines(one)]
        if lines:
            OUT.print(f"row {one.row}: {one.reference}", style="bold", markup=False)
        for style, line in lines:
            OUT.print(f"  {line}", style=style, markup=False)
    changed, left = _count(found, "changed"), _count(found, "conflict") + _count(found, "failed")
    say(f"{changed} of {len(found.rows)} records {'would be' if dry_run else 'were'} changed.")
    if left:
        say(f"{left} rows were left as they are: see above.")
    if _count(found, "conflict"):
        say("Export anew, or say whose word counts: --conflicts sheet, or --conflicts library.")


def _lines(one: "RowChange") -> list[tuple[str, str]]:
    """What to say of a row, each line with its style."""
    conflicts = [
        ("yellow", f"{x.field}: the library has {_short(x.before)}, the sheet {_short(x.after)}")
        for x in one.conflicts
    ]
    changes = [
        ("green", f"{x.field}: {_short(x.before)} → {_short(x.after)}")
        for x in one.changes
        if not one.problems and (x not in one.conflicts or one.is_decided)
    ]
    return [("red", problem) for problem in one.problems] + conflicts + changes


def _short(cell: str) -> str:
    text = " ".join(cell.split())
    return f"“{text[:SHOWN]}…”" if len(text) > SHOWN else f"“{text}”" if text else "nothing"
