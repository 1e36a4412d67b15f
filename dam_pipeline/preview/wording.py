"""How the pages write times, sizes, places and names; plain functions, used as template filters."""

from urllib.parse import unquote_to_bytes

UNITS = ("B", "kB", "MB", "GB", "TB")


def clock(seconds: float) -> str:
    """`m:ss`, or `h:mm:ss` from an hour on; fractions are dropped."""
    whole = max(0, int(seconds))
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"


def size(size_bytes: int) -> str:
    """A size in powers of 1,000, with one decimal from kilobytes on."""
    value, unit = float(size_bytes), 0
    while value >= 1000 and unit < len(UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:.1f} {UNITS[unit]}" if unit else f"{size_bytes} B"


def place(uri: str) -> str:
    """An address as a person reads it: the path of a local file, printable in every case."""
    raw = unquote_to_bytes(uri.removeprefix("file://")) if uri.startswith("file://") else None
    text = uri if raw is None else raw.decode("utf-8", "backslashreplace")
    return printable(text).replace("\n", "\\n")


def printable(text: str) -> str:
    """The text with control characters and undecodable bytes as escapes; line ends stay."""
    return "".join(c if c.isprintable() or c == "\n" else _escape(c) for c in text)


def shown(value: object) -> object:
    """What a template puts on the page: nothing for None, otherwise text that can be encoded."""
    if value is None:
        return ""
    return printable(value) if type(value) is str else value


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode()
