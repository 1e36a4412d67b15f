"""How commands write times, places and relations for people."""

from urllib.parse import unquote_to_bytes


def clock(seconds: float) -> str:
    """`m:ss`, or `h:mm:ss` from an hour on; fractions are dropped."""
    whole = max(0, int(seconds))
    hours, rest = divmod(whole, 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"


def span(start_s: float, end_s: float) -> str:
    """`m:ss–m:ss`; nothing for a photograph, which has no time."""
    return f"{clock(start_s)}–{clock(end_s)}" if end_s > start_s else ""


def place(uri: str | None) -> str:
    """An address as a person reads it: the path of a local file, printable in every case."""
    if uri is None:
        return "nowhere"
    raw = unquote_to_bytes(uri.removeprefix("file://")) if uri.startswith("file://") else None
    text = uri if raw is None else raw.decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
