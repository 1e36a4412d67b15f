"""What stands in one cell of a sheet: values as people write and spreadsheets mangle them, and back.

Each `Kind` writes a value of a record into a cell and reads it again; what it writes it reads back the
same. Files, headings and records are elsewhere.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any

from dam_pipeline.records import Json

Cell = Any
"""What a spreadsheet has in a cell: a text, a number, a bool, a date, NoValue, or None for nothing."""

_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NEWLINE = re.compile(r"\r\n?")
_TOKEN = re.compile(r'\s*(?:"((?:[^"]|"")*)"\s*(?=[,;\n]|$)|([^,;\n]*))(?:[,;\n]|$)')
_NUMERIC_DATE = re.compile(
    r"(\d{1,4})([./-])(\d{1,2})\2(\d{1,4})(?:[ T](\d{1,2}):(\d{2})(?::(\d{2}))?\s*([AaPp][Mm])?)?"
)
_ISO_DATE = re.compile(r"\d{4}(-\d{2}(-\d{2})?)?|\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}.*")
_FLAGS = {
    **dict.fromkeys(("yes", "y", "true", "1", "ja", "wahr", "oui", "vrai", "sí"), True),
    **dict.fromkeys(("no", "n", "false", "0", "nein", "falsch", "non", "faux"), False),
}


@dataclass(frozen=True, slots=True)
class NoValue:
    """A cell that is neither empty nor has a value: what a person sees there, and what to do."""

    shows: str
    advice: str

    def __str__(self) -> str:
        return self.shows


@dataclass(frozen=True, slots=True)
class Kind:
    """How values of one kind are written into a cell and read from it.

    `read` raises ValueError with what is wrong and what to write instead. `empty` is the value that
    says nothing; `is_shown` tells whether a cell is what a spreadsheet makes of a value by itself.
    """

    write: Callable[[Json], Cell]
    read: Callable[[Cell], Json]
    empty: Json = ""
    is_shown: Callable[[Cell, Json], bool] = lambda _cell, _value: False


def text_of(cell: Cell) -> str:
    """A cell as a text; raises ValueError for a date, whose text was thrown away, and for NoValue."""
    if cell is None:
        return ""
    if isinstance(cell, NoValue):
        raise ValueError(cell.advice)
    if isinstance(cell, bool):
        return str(cell).upper()
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    if isinstance(cell, date | time):
        raise ValueError(
            f"the spreadsheet made the date {cell} of what was typed; give the column the format "
            "Text and type it again"
        )
    return _NEWLINE.sub("\n", _NO_XML.sub("", str(cell))).strip()


def shown(cell: Cell) -> str:
    """A cell as a person sees it, also where it cannot be taken for a text."""
    try:
        return text_of(cell)
    except ValueError:
        return str(cell)


def list_of(cell: Cell) -> list[str]:
    """The parts of a cell, between commas, semicolons or lines; one in quotes may hold them itself."""
    parts = (
        plain if quoted is None else quoted.replace('""', '"')
        for quoted, plain in (found.groups() for found in _TOKEN.finditer(text_of(cell)))
    )
    return [part for one in parts if (part := one.strip())]


def listed(parts: Iterable[str]) -> str:
    """The cell of which `list_of` makes these parts."""
    return ", ".join(
        '"' + one.replace('"', '""') + '"'
        if one.startswith('"') or re.search("[,;\n]", one)
        else one
        for one in map(text_of, parts)
        if one
    )


def _usage(cell: Cell) -> str:
    text = text_of(cell).casefold()
    if text not in ("", "commercial", "editorial"):
        raise ValueError(f"{text!r} is no usage; write commercial or editorial")
    return text


def _whole(cell: Cell) -> int | None:
    text = text_of(cell)
    if text and not text.isdecimal():
        raise ValueError(f"{text!r} is no number of people; write 0, 1, 2, …")
    return int(text) if text else None


def _price(cell: Cell) -> float | None:
    text = text_of(cell).removeprefix("$").strip()
    if re.fullmatch(r"\d+,\d{1,2}", text):
        text = text.replace(",", ".")
    if text and not re.fullmatch(r"\d+(\.\d*)?([eE][-+]?\d+)?", text):
        raise ValueError(f"{text!r} is no price in US dollars; write it as 79 or 79.50")
    return float(text) if text else None


def _amount(value: Json) -> Cell:
    return None if value is None else round(value, 2)


def _flag(cell: Cell) -> bool | None:
    text = text_of(cell).casefold()
    if text and text not in _FLAGS:
        raise ValueError(f"{text!r} is neither yes nor no")
    return _FLAGS.get(text)


def _yes_no(value: Json) -> str:
    return "" if value is None else "yes" if value else "no"


def _date(cell: Cell) -> str:
    if isinstance(cell, datetime):
        return cell.isoformat() if cell.time() != time() else cell.date().isoformat()
    if isinstance(cell, date):
        return cell.isoformat()
    text = text_of(cell)
    if not text or _ISO_DATE.fullmatch(text):
        return text
    readings = _readings(text)
    if len(readings) != 1:
        trouble = "can be two dates" if readings else "is no date"
        raise ValueError(f"{text!r} {trouble}; write it as 2026-03-01 or 2026-03-01T18:30")
    found = readings.pop()
    return found.isoformat() if ":" in text else found.date().isoformat()


def _is_same_date(cell: Cell, value: Json) -> bool:
    """Whether a cell is this date in the form of some country, maybe without its seconds."""
    try:
        known = datetime.fromisoformat(str(value)).replace(tzinfo=None, microsecond=0)
        text = text_of(cell)
    except ValueError:
        return False
    return bool({known, known.replace(second=0)} & _readings(text))


def _readings(text: str) -> set[datetime]:
    """What a date in numbers may mean: the day or the month first; with dots the day."""
    found = _NUMERIC_DATE.fullmatch(text)
    if found is None:
        return set()
    first, joint, second, third, hour, minute, seconds, half = found.groups()
    if len(first) == 4:
        orders = [(first, second, third)]
    else:
        orders = [(third, second, first)]
        if joint != ".":
            orders.append((third, first, second))
    at = int(hour or 0) % (12 if half else 24) + (12 if half and half.lower() == "pm" else 0)
    readings = set()
    for year, month, day in orders:
        try:
            readings.add(
                datetime(int(year), int(month), int(day), at, int(minute or 0), int(seconds or 0))
            )
        except ValueError:
            continue
    return {one for one in readings if one.year > 999}


TEXT = Kind(lambda value: text_of(value), text_of)
LIST = Kind(listed, list_of, empty=[])
USAGE = Kind(lambda value: value, _usage)
DATE = Kind(lambda value: value, _date, is_shown=_is_same_date)
COUNT = Kind(lambda value: value, _whole, empty=None)
PRICE = Kind(_amount, _price, empty=None)
FLAG = Kind(_yes_no, _flag, empty=None)
