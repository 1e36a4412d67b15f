"""The journal: what people typed, append-only, one JSON object a line, never rewritten.

State is what replaying a journal gives; models never write here.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from dam_pipeline.errors import SchemaMismatch
from dam_pipeline.records import Json


class Journal:
    """One journal of a home, such as `sources`."""

    def __init__(self, home: Path, name: str) -> None:
        self.path = home / "journal" / f"{name}.jsonl"

    def append(self, entry: Mapping[str, Json]) -> None:
        """Add an entry and wait until it is on the disk; safe with several writers."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with open(self.path, "ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            # A line that a crash cut short must not swallow the next one.
            cut_short = file.tell() > 0 and not self._ends_with_newline()
            line = json.dumps(entry, sort_keys=True).encode() + b"\n"
            file.write(b"\n" + line if cut_short else line)
            file.flush()
            os.fsync(file.fileno())

    def entries(self) -> Iterator[dict[str, Json]]:
        """All entries in order; a last line cut short by a crash is passed over.

        Raises SchemaMismatch for a damaged line elsewhere.
        """
        if not self.path.exists():
            return
        lines = self.path.read_bytes().split(b"\n")
        for number, line in enumerate(lines, start=1):
            if not line:
                continue
            try:
                yield json.loads(line)
            except ValueError as error:
                if number >= len(lines) - 1 or line[-1:] != b"}":
                    continue
                raise SchemaMismatch(
                    f"{self.path} line {number} is damaged: {error}. Mend or delete that line."
                ) from error

    def _ends_with_newline(self) -> bool:
        with open(self.path, "rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) == b"\n"
