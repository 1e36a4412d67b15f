"""`dam stock export`: stock records as a sheet, for people who work in spreadsheets."""

from pathlib import Path
from typing import Annotated

import typer

from dam_pipeline.cli.options import AsJson
from dam_pipeline.cli.output import Exit, command, print_json, say
from dam_pipeline.errors import ConfigurationError
from dam_pipeline.settings import load_settings


@command
def run(
    media: Annotated[
        list[str] | None,
        typer.Argument(metavar="MEDIA", help="Ids, keys, paths or prefixes; else the shortlist."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The sheet to write: its suffix is .xlsx or .csv."),
    ] = None,
    bom: Annotated[
        bool,
        typer.Option("--bom", help="Begin a .csv with a mark by which Excel knows it for UTF-8."),
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a sheet that is there already.")
    ] = False,
    as_json: AsJson = False,
) -> int:
    """Write stock records into a sheet: a row a file, a column a field, suggestions beside them.

    Columns that begin with _ are for reading. `dam stock import` reads the sheet back and takes over
    what was changed in it. A sheet that is there already is not replaced.

    Examples: dam stock export --out records.xlsx · dam stock export reel-4e2c3 --out reel.csv --bom
    """
    if out is None:
        raise ConfigurationError("Say where: --out records.xlsx, or --out records.csv.")
    from dam_pipeline.stages.work import Toolbox
    from dam_pipeline.stock.items import load_items
    from dam_pipeline.stock.sheet_files import check_suffix, write_sheet
    from dam_pipeline.stock.sheets import sheet_rows
    from dam_pipeline.stock.shortlist import chosen

    check_suffix(out)
    if out.exists() and not overwrite:
        raise ConfigurationError(
            f"{out} is there already, maybe with somebody's work. Import it, choose another name, "
            "or say --overwrite."
        )
    with Toolbox.open(load_settings()) as tools:
        rows = sheet_rows(load_items(tools, chosen(tools, media or ())))
    write_sheet(out, rows, bom=bom)
    document = {"file": str(out.absolute()), "rows": len(rows) - 1, "columns": list(rows[0])}
    if as_json:
        print_json(document)
    else:
        say(f"{document['rows']} records are in {out}. Edit them, then: dam stock import {out}")
    return Exit.OK
