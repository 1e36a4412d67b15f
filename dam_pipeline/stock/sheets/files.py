"""Sheets as files, CSV and XLSX: rows of cells in, the same rows out, whatever program saved them.

A text that a spreadsheet would take for a formula (`=`, `+`, `-`, `@` at its start) goes into CSV with
an apostrophe before it, which reading takes away again from a sheet that has our `_version`; in XLSX
its cell is of type text. What the cells mean is not known here.
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from itertools import islice, zip_longest
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError
from zipfile import BadZipFile

from dam_pipeline.errors import ConfigurationError
from dam_pipeline.stock.sheets.cells import Cell, NoValue
from dam_pipeline.stores.derived import replaced

SUFFIXES = (".csv", ".xlsx")
AS_CSV = (".csv", ".tsv", ".txt")  # Excel calls its Unicode text .txt
LONGEST_CELL = 32_767  # characters, of Excel's specifications and limits
DELIMITERS = ",;\t|"
HEADING_WITHIN = 10  # rows
HIDDEN = "_version"
WIDTHS = {"media": 28, "title": 44, "description": 60, "keywords": 60}  # in characters; else 14

# At the start, and where a spreadsheet that expects another delimiter would begin a cell.
_FORMULA = r"(?:[^\S\t\n]|')*[=+\-@\t\r＝＋－＠]"
_WRITTEN = re.compile(rf"(?:^|(?<=[;\t\n]))({_FORMULA})")
_READ = re.compile(rf"(?:^|(?<=[;\t\n]))'({_FORMULA})")
_ESCAPE = re.compile(r"_(?=x[0-9A-Fa-f]{4}_)")  # ECMA-376, 22.4.2.4: _x005F_ is an underscore
_ESCAPED = re.compile(r"_x005[Ff]_(?=x[0-9A-Fa-f]{4}_)|_x000[Dd]_")

Row = Sequence[Cell]


def check_suffix(path: Path, known: Sequence[str] = SUFFIXES) -> None:
    """Raise ConfigurationError for a file that by its name is no sheet."""
    if path.suffix.lower() not in known:
        raise ConfigurationError(
            f"{path.name} is no sheet that is known here. Save it as .xlsx, or as .csv in UTF-8."
        )


def write_sheet(path: Path, rows: Sequence[Row], *, bom: bool = False) -> None:
    """Write rows, the first of which has the headings; the suffix decides between CSV and XLSX.

    `bom` puts a byte order mark before CSV, by which Excel takes it for UTF-8. Raises
    ConfigurationError for another suffix, for a text that is too long for XLSX, and where nothing
    can be written; DiskFull.
    """
    check_suffix(path)
    if not path.parent.is_dir():
        raise ConfigurationError(f"There is no folder {path.parent}. Make it, or name another one.")
    try:
        with replaced(path) as temporary:
            if path.suffix.lower() == ".csv":
                _write_csv(temporary, rows, "utf-8-sig" if bom else "utf-8")
            else:
                _write_xlsx(temporary, rows)
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be written ({error.strerror}). Name another place."
        ) from error


def read_sheet(path: Path, key: str, encoding: str = "") -> Iterator[tuple[int, dict[str, Cell]]]:
    """Rows of a sheet as (number, cells by heading); the headings are on the row that has `key`.

    Headings are lower case. Raises ConfigurationError where the file cannot be read, has no such
    row, or its encoding is neither UTF-8 nor UTF-16 and not given.
    """
    check_suffix(path, (*SUFFIXES, *AS_CSV))
    is_csv = path.suffix.lower() in AS_CSV
    rows = _read_csv(path, key, encoding) if is_csv else _read_xlsx(path, key)
    headings: list[str] = []
    is_guarded = False
    for number, cells in rows:
        if not headings:
            headings = _headings(cells) if key in _headings(cells) else []
            _check_headings(path, headings)
            is_guarded = is_csv and HIDDEN in headings  # else people typed the apostrophes
        elif any(cell not in (None, "") for cell in cells):
            yield number, _by_heading(headings, _unguarded(cells) if is_guarded else cells)
    if not headings:
        raise ConfigurationError(
            f"{path.name} has no column {key!r}. Its cells say which file a row is about; "
            "`dam stock export` makes a sheet that has it."
        )


def _headings(cells: Row) -> list[str]:
    return [str(cell or "").strip().casefold() for cell in cells]


def _check_headings(path: Path, headings: Sequence[str]) -> None:
    named = [one for one in headings if one]
    twice = sorted({one for one in named if named.count(one) > 1})
    if twice:
        raise ConfigurationError(
            f"{path.name} has more than one column {twice[0]!r}. Delete or rename one."
        )


def _by_heading(headings: Sequence[str], cells: Row) -> dict[str, Cell]:
    row = {name: cell for name, cell in zip_longest(headings, cells[: len(headings)]) if name}
    surplus = [cell for cell in cells[len(headings) :] if cell not in (None, "")]
    return row | ({"": surplus[0]} if surplus else {})


def _write_csv(path: Path, rows: Sequence[Row], encoding: str) -> None:
    with open(path, "w", encoding=encoding, errors="replace", newline="") as file:
        csv.writer(file).writerows([_harmless(cell) for cell in row] for row in rows)


def _harmless(cell: Cell) -> Cell:
    return _WRITTEN.sub(r"'\1", cell) if isinstance(cell, str) else cell


def _unguarded(cells: Row) -> Row:
    return [_READ.sub(r"\1", cell) for cell in cells]


def _read_csv(path: Path, key: str, encoding: str) -> Iterator[tuple[int, Row]]:
    text = _decoded(path, encoding)
    csv.field_size_limit(1 << 30)
    delimiter = _delimiter(text, key)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        yield from enumerate(reader, start=1)
    except csv.Error as error:
        raise ConfigurationError(
            f"{path.name} line {reader.line_num} is no CSV ({error}). Save the sheet again as CSV."
        ) from error


def _decoded(path: Path, encoding: str) -> str:
    """The text of a file by its byte order mark, as given, or else UTF-8."""
    raw = _bytes(path)
    if raw.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = "utf-16"
    elif raw.startswith(b"\xef\xbb\xbf"):
        encoding = "utf-8-sig"
    try:
        text = raw.decode(encoding or "utf-8")
        if "\0" not in text:
            return text
    except LookupError as error:
        raise ConfigurationError(
            f"{encoding!r} is no encoding. Those of Excel are utf-8, cp1252 and mac-roman."
        ) from error
    except UnicodeDecodeError:
        pass
    raise ConfigurationError(
        f"{path.name} is not in {encoding or 'UTF-8'}. Save it as “CSV UTF-8” or as .xlsx, or say "
        "what it is in, such as --encoding cp1252 (Excel on Windows in western Europe) or mac-roman."
    )


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}.") from error


def _delimiter(text: str, key: str) -> str:
    """The delimiter by which one of the first rows has the key's heading and the most cells."""
    if told := re.match(r"sep=([^\r\n])", text, re.IGNORECASE):  # as Excel understands it
        return told[1]

    def fits(delimiter: str) -> int:
        rows = islice(
            csv.reader(io.StringIO(text, newline=""), delimiter=delimiter), HEADING_WITHIN
        )
        found = (row for row in rows if key in _headings(row))
        return len(next(found, ()))

    return max(DELIMITERS, key=fits)


def _write_xlsx(path: Path, rows: Sequence[Row]) -> None:
    import openpyxl

    book = openpyxl.Workbook()
    sheet = book.active
    headings = [str(one) for one in rows[0]]
    for number, row in enumerate(rows, start=1):
        for at, value in enumerate(row, start=1):
            cell = sheet.cell(number, at)
            if isinstance(value, str):
                cell.number_format = "@"  # Excel leaves what is typed into it alone
                if value:
                    cell.value = _fitting(value, headings[at - 1], row[0])
                    cell.data_type = "s"  # also where it looks like a formula or an error
            else:
                cell.value = value
    _dress(sheet, headings)
    made = io.BytesIO()  # a file that openpyxl cannot finish is never closed
    book.save(made)
    path.write_bytes(made.getvalue())


def _dress(sheet: Any, headings: Sequence[str]) -> None:
    """Headings that stay in sight, columns one can read, those for reading in grey."""
    from openpyxl.styles import Font
    from openpyxl.utils import get_column_letter

    bold, grey = Font(bold=True), Font(color="FF808080")
    sheet.freeze_panes = "B2"
    for at, name in enumerate(headings, start=1):
        column = sheet.column_dimensions[get_column_letter(at)]
        column.width = WIDTHS.get(name.removeprefix("_suggested_"), 14)
        column.hidden = name == HIDDEN
        sheet.cell(1, at).font = bold
        for number in range(2, sheet.max_row + 1) if name.startswith("_") else ():
            sheet.cell(number, at).font = grey


def _fitting(text: str, heading: str, media: Cell) -> str:
    if len(text) > LONGEST_CELL:
        raise ConfigurationError(
            f"The cell of {media} under {heading} would have {len(text)} characters, more than the {LONGEST_CELL} "
            "that a cell of Excel holds. Export to .csv."
        )
    return _ESCAPE.sub("_x005F_", text)


def _read_xlsx(path: Path, key: str) -> Iterator[tuple[int, Row]]:
    import openpyxl
    from openpyxl.formula.tokenizer import TokenizerError
    from openpyxl.formula.translate import TranslatorError
    from openpyxl.utils.exceptions import InvalidFileException

    bad_formula = (TokenizerError, TranslatorError)
    raw = _bytes(path)
    try:
        results, formulas = (
            openpyxl.load_workbook(io.BytesIO(raw), read_only=True, data_only=only).worksheets
            for only in (True, False)
        )
        for sheet, with_formulas in zip(results, formulas, strict=True):
            sheet.reset_dimensions()  # some programs write wrong ones
            with_formulas.reset_dimensions()
            top = sheet.iter_rows(max_row=HEADING_WITHIN, values_only=True)
            if not any(key in _headings(cells) for cells in top):
                continue
            rows = zip(sheet.iter_rows(), with_formulas.iter_rows(), strict=True)
            for number, (cells, behind) in enumerate(rows, start=1):
                yield number, [_value(*both) for both in zip(cells, behind, strict=True)]
            return
    except (
        BadZipFile,
        InvalidFileException,
        KeyError,
        IndexError,
        ParseError,
        *bad_formula,
    ) as error:
        raise ConfigurationError(
            f"{path.name} is no workbook that can be read ({error}). Open it in a spreadsheet "
            "program and save it as .xlsx without a password."
        ) from error


def _value(cell: Any, formula: Any) -> Cell:
    """The value of a cell of openpyxl; `formula` is the same cell as it is typed."""
    if (cell.value, cell.data_type, formula.data_type) == (None, "n", "f"):  # "str": an empty text
        return NoValue(
            str(getattr(formula.value, "text", formula.value)),
            f"{cell.coordinate} holds a formula without its result. Type the value itself, or save "
            "the sheet in a spreadsheet program.",
        )
    if cell.data_type == "e":
        return NoValue(
            str(cell.value),
            f"{cell.coordinate} holds the error {cell.value}. Give the column the format Text and "
            "type the value itself.",
        )
    return _unescaped(cell.value)


def _unescaped(cell: Cell) -> Cell:
    if not isinstance(cell, str):
        return cell
    return _ESCAPED.sub(lambda found: "_" if found[0][4] == "5" else "\r", cell)
