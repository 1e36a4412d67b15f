"""The table that goes with a package: CSV or XML, exactly as the agency's specification has it.

Texts are written as they are, never mended: what a table cannot hold is refused, named by file. So
the table, the copies and the manifest say the same. Only XML leaves out control characters, which it
has no way to write. A cell that begins with `=` stays so: agencies read these files with programs of
their own, and a mark that keeps spreadsheets from calculating would become part of a title.
"""

import csv
import io
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from dam_pipeline.agencies.agency import Agency, TableRules
from dam_pipeline.agencies.templates import require_template
from dam_pipeline.errors import PackageInvalid
from dam_pipeline.packaging.cells import Cell, cells, joined
from dam_pipeline.stock.record import Submission
from dam_pipeline.stores.derived import replaced

LINE_ENDS = {"crlf": "\r\n", "lf": "\n"}

_NOT_IN_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write_table(agency: Agency, submissions: Sequence[Submission], path: Path) -> tuple[Path, ...]:
    """Write an agency's table of what is submitted, and give its files: none where it takes none.

    They are `path` and, over the agency's limits, `<stem>-2.csv` and so on. Raises PackageInvalid
    naming the file whose text the table cannot hold, ConfigurationError without a needed template.
    """
    require_template(agency)
    if agency.table is None:
        return ()
    parts = list(_parts(agency, agency.table, submissions))
    return tuple(_written(_numbered(path, n), content) for n, content in enumerate(parts, start=1))


def _parts(agency: Agency, table: TableRules, submissions: Sequence[Submission]) -> Iterator[bytes]:
    """The contents of the files: one, or as many as the agency's limits ask for."""
    head, tail = _head_and_tail(table)
    around = len(f"{head}{tail}".encode(table.encoding))
    rows, size_bytes = [head], around
    for one in submissions:
        row, row_bytes = _row(agency, table, one)
        if table.max_bytes and around + row_bytes > table.max_bytes:
            raise PackageInvalid(
                f"{one.file_name}: its row alone is larger than the {table.max_bytes:,} bytes that "
                f"{agency.name} takes. Shorten its texts."
            )
        is_over = table.max_bytes and size_bytes + row_bytes > table.max_bytes
        if is_over or (table.max_rows and len(rows) > table.max_rows):
            _raise_if_one_table(agency, table, len(rows) - 1)
            yield "".join([*rows, tail]).encode(table.encoding)
            rows, size_bytes = [head], around
        rows.append(row)
        size_bytes += row_bytes
    yield "".join([*rows, tail]).encode(table.encoding)


def _raise_if_one_table(agency: Agency, table: TableRules, taken: int) -> None:
    if table.too_long == "refuse":
        raise PackageInvalid(
            f"{agency.name} takes one table, and {taken} items fill it. Package fewer at once."
        )


def _row(agency: Agency, table: TableRules, submission: Submission) -> tuple[str, int]:
    """One item's row as text, and its size in bytes; raises PackageInvalid naming the item."""
    values = cells(agency, table, submission)
    texts = [values[one.value] if one.value else one.text for one in table.columns]
    try:
        row = _csv_row(table, texts) if table.format == "csv" else _xml_row(table, texts)
        return row, len(row.encode(table.encoding)) - len("".encode(table.encoding))
    except PackageInvalid as error:
        raise PackageInvalid(f"{submission.file_name}: {error}") from error
    except UnicodeEncodeError as error:
        raise PackageInvalid(
            f"{submission.file_name}: the table is written as {table.encoding}, which has no "
            f"{error.object[error.start]!r}. Write its texts without."
        ) from error


def _head_and_tail(table: TableRules) -> tuple[str, str]:
    """What stands before and after all rows."""
    if table.format == "csv":
        return _csv_line(table, [one.heading for one in table.columns]), ""
    encoding = table.encoding.removesuffix("-sig").upper()
    return f'<?xml version="1.0" encoding="{encoding}"?>\n<{table.root}>\n', f"</{table.root}>\n"


def _csv_row(table: TableRules, row: Sequence[Cell]) -> str:
    pairs = zip(table.columns, row, strict=True)
    return _csv_line(table, [joined(table, column, entries) for column, entries in pairs])


def _csv_line(table: TableRules, texts: Sequence[str]) -> str:
    # The writer always ends lines with CR LF: only then does it quote both within a cell.
    line = io.StringIO(newline="")
    quoting: Literal[0, 1] = csv.QUOTE_ALL if table.quoting == "all" else csv.QUOTE_MINIMAL
    csv.writer(line, delimiter=table.delimiter, quoting=quoting).writerow(texts)
    return line.getvalue().removesuffix("\r\n") + LINE_ENDS[table.line_end]


def _xml_row(table: TableRules, row: Sequence[Cell]) -> str:
    element = ET.Element(table.row)
    for column, entries in zip(table.columns, row, strict=True):
        of_column = ET.SubElement(element, column.heading)
        if column.entry and not isinstance(entries, str):
            for entry in entries:
                ET.SubElement(of_column, column.entry).text = _NOT_IN_XML.sub("", entry)
        else:
            of_column.text = _NOT_IN_XML.sub("", joined(table, column, entries))
    # A carriage return as it is would be read back as a line feed.
    return ET.tostring(element, encoding="unicode").replace("\r", "&#13;") + "\n"


def _numbered(path: Path, number: int) -> Path:
    return path if number == 1 else path.with_name(f"{path.stem}-{number}{path.suffix}")


def _written(path: Path, content: bytes) -> Path:
    with replaced(path) as temporary:
        temporary.write_bytes(content)
    return path
