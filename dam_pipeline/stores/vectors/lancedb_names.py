"""Names of LanceDB's tables: an embedding space's kind and name, written so that they can be read back."""

import re

from dam_pipeline.records import Space


def table_name(space: Space) -> str:
    """Name of a space's table: its kind and name, other characters than a–z, 0–9, `_`, `-` as `.hex`."""
    return f"{_quoted(space.kind)}..{_quoted(space.name)}"


def space_of(name: str) -> tuple[str, str]:
    """Kind and name of the space of a table."""
    kind, _, space = name.partition("..")
    return _unquoted(kind), _unquoted(space)


def _quoted(text: str) -> str:
    return "".join(
        c if re.fullmatch(r"[a-z0-9_-]", c) else "".join(f".{b:02x}" for b in c.encode())
        for c in text
    )


def _unquoted(text: str) -> str:
    raw = re.sub(rb"\.([0-9a-f]{2})", lambda m: bytes.fromhex(m[1].decode()), text.encode())
    return raw.decode()
