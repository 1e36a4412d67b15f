"""The journal: what people typed, append-only, one JSON object an entry, never rewritten.

State is what replaying a journal gives; models never write here. Where workers share a storage,
each entry is an object of its own, `journal/<name>/<when>-<random>.json`, so that two people who
write at once lose nothing; else it is a line of `DAM_HOME/journal/<name>.jsonl`. A storage may hold
such a file as well, from before it was shared: its entries come first.
"""

import fcntl
import json
import os
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path

from dam_pipeline.errors import SchemaMismatch
from dam_pipeline.records import Json
from dam_pipeline.settings import Settings
from dam_pipeline.stores.derived import replaced
from dam_pipeline.stores.objects import Objects, open_objects

FOLDER = "journal"
WHEN = "%Y%m%dT%H%M%S.%fZ"
LATEST = timedelta(hours=1)  # so much later than its time an entry may still come to be listed
FETCHED_AT_ONCE = 16
_ENTRY = re.compile(r"(\d{8}T\d{6}\.\d{6}Z)-[0-9a-f]+\.json")

Entry = dict[str, Json]


class Journal:
    """One journal of a library, such as `sources`."""

    def __init__(self, settings: Settings, name: str) -> None:
        self._file = _File(settings.home / FOLDER / f"{name}.jsonl")
        objects = open_objects(settings)
        self._objects = _Entries(objects, settings.home / FOLDER, name) if objects else None

    def append(self, entry: Mapping[str, Json]) -> None:
        """Add an entry and wait until it is safe; several writers do not disturb each other.

        Raises StoreUnavailable.
        """
        self.append_all([entry])

    def append_all(self, entries: Sequence[Mapping[str, Json]]) -> None:
        """Add entries in their order, with one wait for all of them; as `append`."""
        if entries:
            (self._objects or self._file).append_all(entries)

    def entries(self) -> Iterator[Entry]:
        """All entries in order; a last line cut short by a crash is passed over.

        Raises SchemaMismatch for a damaged entry elsewhere, StoreUnavailable.
        """
        return (self._objects or self._file).entries()


class _File:
    """A journal in a file, a line an entry."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def append_all(self, entries: Sequence[Mapping[str, Json]]) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with open(self._path, "ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            # A line that a crash cut short must not swallow the next one.
            cut_short = file.tell() > 0 and not self._ends_with_newline()
            lines = b"".join(json.dumps(one, sort_keys=True).encode() + b"\n" for one in entries)
            file.write(b"\n" + lines if cut_short else lines)
            file.flush()
            os.fsync(file.fileno())

    def entries(self) -> Iterator[Entry]:
        if self._path.exists():
            yield from _entries_of(self._path.read_bytes(), str(self._path))

    def _ends_with_newline(self) -> bool:
        with open(self._path, "rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) == b"\n"


class _Entries:
    """A journal in a storage, an object an entry; what was read once is kept in a file here."""

    def __init__(self, objects: Objects, folder: Path, name: str) -> None:
        self._objects = objects
        self._start = f"{FOLDER}/{name}/"
        self._older = f"{FOLDER}/{name}.jsonl"
        self._kept = folder / f"{name}.known.json"

    def append_all(self, entries: Sequence[Mapping[str, Json]]) -> None:
        # Clocks of workers differ, and the last word counts: no entry is older than one before it.
        newest = max(self._known(), default="")
        when = datetime.now(UTC)
        if found := _ENTRY.fullmatch(newest):
            last = datetime.strptime(found[1], WHEN).replace(tzinfo=UTC)
            when = max(when, last + timedelta(microseconds=1))
        # One after the other: of entries that a crash cuts short, the first ones are there.
        for at, entry in enumerate(entries):
            moment = (when + timedelta(microseconds=at)).strftime(WHEN)
            name = f"{moment}-{secrets.token_hex(4)}.json"
            self._objects.put(self._start + name, json.dumps(entry, sort_keys=True).encode())

    def entries(self) -> Iterator[Entry]:
        older = self._objects.get(self._older)
        first = _entries_of(older[0], self._older) if older else iter(())
        known = self._known()
        return chain(first, (known[name] for name in sorted(known)))

    def _known(self) -> dict[str, Entry]:
        """All entries by name; only those not read before are fetched, entries never change."""
        known = self._read()
        new = [
            one.name.removeprefix(self._start)
            for one in self._objects.list(self._start, self._settled(known))
        ]
        new = [name for name in new if name not in known and _ENTRY.fullmatch(name)]
        if new:
            with ThreadPoolExecutor(FETCHED_AT_ONCE) as threads:
                known.update(zip(new, threads.map(self._fetched, new), strict=True))
            with replaced(self._kept) as temporary:
                document = {"address": self._objects.address, "entries": known}
                temporary.write_text(json.dumps(document))
        return known

    def _settled(self, known: Mapping[str, Entry]) -> str:
        """The name up to which everything is known; empty when that is nothing."""
        found = _ENTRY.fullmatch(max(known, default=""))
        if found is None:
            return ""
        return self._start + (datetime.strptime(found[1], WHEN) - LATEST).strftime(WHEN)

    def _fetched(self, name: str) -> Entry:
        found = self._objects.get(self._start + name)
        try:
            entry: Entry = json.loads(found[0] if found else b"")
        except ValueError as error:
            raise SchemaMismatch(
                f"{self._objects.address}/{self._start}{name} is damaged: {error}. Mend or delete "
                "that object."
            ) from error
        return entry

    def _read(self) -> dict[str, Entry]:
        try:
            document = json.loads(self._kept.read_bytes())
            if document["address"] == self._objects.address:
                known: dict[str, Entry] = document["entries"]
                return known
        except (FileNotFoundError, ValueError, KeyError):
            pass
        return {}


def _entries_of(content: bytes, where: str) -> Iterator[Entry]:
    lines = content.split(b"\n")
    for number, line in enumerate(lines, start=1):
        if not line:
            continue
        try:
            yield json.loads(line)
        except ValueError as error:
            if number >= len(lines) - 1 or line[-1:] != b"}":
                continue
            raise SchemaMismatch(
                f"{where} line {number} is damaged: {error}. Mend or delete that line."
            ) from error
