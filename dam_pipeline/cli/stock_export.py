"""`dam stock export`: stock records as a sheet, for people who work in spreadsheets."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from dam_pipeline.cli.options import AsJson, MediaOrShortlist
from dam_pipeline.cli.output import Exit, bar, command, print_json, say
from dam_pipeline.errors import ConfigurationError
from dam_pipeline.records import Media
from dam_pipeline.settings import load_settings

if TYPE_CHECKING:
    from dam_pipeline.stages.work import Toolbox


@command
def run(
    media: MediaOrShortlist = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The sheet to write: its suffix is .xlsx or .csv."),
    ] = None,
    bom: Annotated[
        bool,
        typer.Option("--bom", help="Begin a .csv with a mark by which Excel knows it for UTF-8."),
    ] = False,
    rejected: Annotated[
        bool,
        typer.Option("--rejected", help="What agencies rejected, with the reasons, and not else."),
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a sheet that is there already.")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Write stock records into a sheet: a row a file, a column a field, suggestions beside them.

    Columns that begin with _ are for reading. `dam stock import` reads the sheet back and takes over
    what was changed in it. A sheet that is there already is not replaced.

    Examples: dam stock export --out records.xlsx · dam stock export reel-4e2c3 --out reel.csv --bom ·
    dam stock export --rejected --out to-mend.xlsx
    """
    if out is None:
        raise ConfigurationError("Say where: --out records.xlsx, or --out records.csv.")
    from dam_pipeline.stages.work import Toolbox
    from dam_pipeline.stock.items import load_items
    from dam_pipeline.stock.sheets.exchange import rejections, sheet_rows
    from dam_pipeline.stock.sheets.files import check_suffix, write_sheet

    check_suffix(out)
    if out.exists() and not overwrite:
        raise ConfigurationError(
            f"{out} is there already, maybe with somebody's work. Import it, choose another name, "
            "or say --overwrite."
        )
    with Toolbox.open(load_settings()) as tools:
        reasons = rejections(tools.settings)
        wanted = _wanted(tools, media or (), reasons if rejected else None)
        with bar("reading", len(wanted)) as tell:
            items = load_items(tools, wanted, progress=tell)
        rows = sheet_rows(items, reasons)
    write_sheet(out, rows, bom=bom)
    document = {"file": str(out.absolute()), "rows": len(rows) - 1, "columns": list(rows[0])}
    if as_json:
        print_json(document)
    else:
        say(f"{document['rows']} records are in {out}. Edit them, then: dam stock import {out}")
    return Exit.OK


def _wanted(
    tools: "Toolbox", references: Sequence[str], reasons: Mapping[str, str] | None
) -> list[Media]:
    """The media that are named, else what was rejected where that is asked for, else the shortlist."""
    from dam_pipeline.stock.shortlist import chosen

    if reasons is None:
        return chosen(tools, references)
    named = {one.asset_id for one in chosen(tools, references)} if references else set(reasons)
    known = tools.catalogue.of_assets([one for one in reasons if one in named])
    if not known:
        raise ConfigurationError(
            "The ledger knows of nothing that was rejected: `dam stock deliveries import FILE`."
        )
    return list(known.values())
