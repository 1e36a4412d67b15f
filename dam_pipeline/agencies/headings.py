"""Reading the headings of a table that a person downloaded, however it was written.

CSV and text in the encodings and with the separators that spreadsheets write, and XLSX. The first
row with anything in it holds the headings.
"""

import codecs
import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dam_pipeline.errors import ConfigurationError

DELIMITERS = (",", ";", "\t", "|")
MOST_BYTES = 20 << 20  # a template is small: this is another file

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_ZIP, _OLD_EXCEL = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"
_SEPARATOR_LINE = re.compile(r'\s*"?sep=(.)"?\s*[\r\n]+', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Headings:
    """Headings word for word; `delimiter` and `encoding` are empty where the file does not tell."""

    names: tuple[str, ...]
    delimiter: str = ""
    encoding: str = ""


def read_headings(path: Path) -> Headings:
    """The headings of a CSV, text or XLSX file; raises ConfigurationError where there are none."""
    try:
        if path.stat().st_size > MOST_BYTES:
            raise ConfigurationError(f"{path} is too large for the template of a table.")
        content = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error}.") from error
    if content.startswith(_OLD_EXCEL):
        raise ConfigurationError(f"{path} is of an old Excel. Save it as XLSX or CSV.")
    found = _of_workbook(path) if content.startswith(_ZIP) else _of_text(path, content)
    if not any(name.strip() for name in found.names):
        raise ConfigurationError(f"{path} has no headings: it is empty.")
    return found


def plain(heading: str) -> str:
    """A heading as it is compared: only letters and digits count, and not their case."""
    return "".join(letter for letter in heading.casefold() if letter.isalnum())


def _of_workbook(path: Path) -> Headings:
    from openpyxl import load_workbook

    try:
        book = load_workbook(path, read_only=True, data_only=True)
        sheet = book.worksheets[0]
        sheet.reset_dimensions()  # some programs write wrong ones
        rows = sheet.iter_rows(values_only=True)
        row = next((one for one in rows if any(cell is not None for cell in one)), ())
        book.close()
    except Exception as error:  # openpyxl and zipfile raise errors of all kinds
        raise ConfigurationError(f"{path} is no XLSX that can be read ({error}).") from error
    names = ["" if cell is None else str(cell) for cell in row]
    while names and not names[-1]:
        names.pop()
    return Headings(tuple(names))


def _of_text(path: Path, content: bytes) -> Headings:
    text, encoding = _decoded(path, content)
    if told := _SEPARATOR_LINE.match(text):
        text = text[told.end() :]
        return Headings(_first_row(text, told[1]), told[1], encoding)
    rows = [(_first_row(text, delimiter), delimiter) for delimiter in DELIMITERS]
    names, delimiter = max(rows, key=lambda row: len(row[0]))
    return Headings(names, delimiter if len(names) > 1 else "", encoding)


def _decoded(path: Path, content: bytes) -> tuple[str, str]:
    """The text, and its encoding as Python calls it; empty for plain ASCII."""
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return content.decode(encoding, errors="replace"), encoding
    if content.isascii() and b"\0" not in content:
        return content.decode("ascii"), ""
    for encoding in _likely(content):
        try:
            return content.decode(encoding), encoding
        except UnicodeDecodeError:
            continue
    raise ConfigurationError(f"{path} is no text in a known encoding. Save it as CSV UTF-8.")


def _likely(content: bytes) -> Sequence[str]:
    if b"\0" not in content:
        return ("utf-8", "cp1252")
    return ("utf-16-le",) if content[1:2] == b"\0" else ("utf-16-be",)


def _first_row(text: str, delimiter: str) -> tuple[str, ...]:
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    blank = "".join((*DELIMITERS, " \r\n"))  # other separators are none of a heading's letters
    try:
        return tuple(next((row for row in rows if any(cell.strip(blank) for cell in row)), ()))
    except csv.Error:
        return ()
