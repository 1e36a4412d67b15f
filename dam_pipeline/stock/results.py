"""What became of deliveries at an agency, as people say it: one by one, or from a file of theirs."""

import csv
import io
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from dam_pipeline.errors import ConfigurationError
from dam_pipeline.records import Json
from dam_pipeline.settings import Settings
from dam_pipeline.stock.deliveries import (
    ENDED,
    SENT,
    Deliveries,
    Delivery,
    DeliveryState,
    Key,
    Latest,
)

WORDS = {
    DeliveryState.ACCEPTED: (
        *("accepted", "approved", "online", "live", "active", "published"),
        *("for sale", "on sale", "available"),
    ),
    DeliveryState.REJECTED: (
        *("rejected", "declined", "refused", "not accepted", "not approved", "failed review"),
    ),
    DeliveryState.WITHDRAWN: ("withdrawn", "removed", "deleted", "inactive", "deactivated"),
}
"""How agencies call a result."""

PENDING = (
    *("pending", "in review", "under review", "submitted", "not submitted", "processing"),
    *("uploaded", "new", "draft", "waiting", ""),
)
"""How they call that there is none yet."""

COLUMNS = {
    "name": ("file name", "file", "original file name", "media", "media id", "name"),
    "status": ("status", "state", "result", "review status"),
    "reason": (
        *("reason", "rejection reason", "reject reason", "reasons", "rejection reasons"),
        *("comment", "comments", "note", "notes", "details"),
    ),
}
"""Headings of the columns, in the order in which they are looked for."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of an agency's file: its line there, and what the three columns say."""

    number: int
    name: str
    status: str
    reason: str


@dataclass(frozen=True, slots=True)
class Unknown:
    """A row that says nothing of a delivery, and why."""

    row: int
    name: str
    why: str


@dataclass(frozen=True, slots=True)
class Results:
    """What a file of results says: new words, how many said so already or are undecided, the rest."""

    changes: tuple[Delivery, ...]
    unchanged: int
    pending: int
    unknown: tuple[Unknown, ...]

    def to_json(self) -> dict[str, Json]:
        """The documented form."""
        return {
            "changes": [one.to_json() for one in self.changes],
            "unchanged": self.unchanged,
            "pending": self.pending,
            "unknown": [{"row": one.row, "name": one.name, "why": one.why} for one in self.unknown],
        }


def results_of(
    settings: Settings, agency: str, names: dict[str, str], state: DeliveryState, reason: str = ""
) -> list[Delivery]:
    """The words to record for what a person says of assets (asset id → how the person called it).

    Each counts for all deliveries to the agency. Raises ConfigurationError, naming them, for assets
    of which nothing was sent there.
    """
    so_far = _sent(settings, agency)
    if missing := [name for asset_id, name in names.items() if asset_id not in so_far]:
        raise ConfigurationError(
            f"Nothing of {', '.join(missing)} was sent to {agency}. `dam stock deliveries list` "
            "shows what was."
        )
    return [
        one.now(state, reason=reason, by="person") for asset_id in names for one in so_far[asset_id]
    ]


def read_results(path: Path) -> list[Row]:
    """The rows of a CSV with columns for file name or media, status and reason.

    Raises ConfigurationError where it cannot be read, or has no such columns.
    """
    try:
        text = _text(path.read_bytes())
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}.") from error
    try:
        return list(_rows(path, text))
    except csv.Error as error:
        raise ConfigurationError(f"{path} is no CSV ({error}). Save it again as CSV.") from error


def _rows(path: Path, text: str) -> Iterator[Row]:
    first = text.lstrip().partition("\n")[0]
    reader = csv.reader(io.StringIO(text), delimiter=max(",;\t", key=first.count))
    headings = next((one for one in reader if any(cell.strip() for cell in one)), [])
    at = {name: _column(headings, known) for name, known in COLUMNS.items()}
    if at["name"] is None or at["status"] is None:
        raise ConfigurationError(
            f"{path} needs a column for the file or media and one for the status, such as "
            f"{COLUMNS['name'][0]!r}, {COLUMNS['status'][0]!r} and {COLUMNS['reason'][0]!r}; it has "
            f"{', '.join(map(repr, headings)) or 'none'}."
        )
    for cells in reader:
        if any(cell.strip() for cell in cells):
            yield Row(reader.line_num, *(_cell(cells, at[name]) for name in COLUMNS))


def compare_results(settings: Settings, agency: str, rows: Sequence[Row]) -> Results:
    """What rows say of the deliveries to an agency; nothing is recorded."""
    by_name, before = _by_name(_sent(settings, agency)), _said_before(settings, agency)
    words = {word: state for state, known in WORDS.items() for word in known}
    changes: dict[Key, Delivery] = {}
    unchanged = pending = 0
    unknown: list[Unknown] = []
    for row in rows:
        status, new = _plain(row.status), dict[Key, Delivery]()
        found = by_name.get(row.name.strip().casefold(), {})
        (concerned,) = found.values() if len(found) == 1 else ([],)
        if status in PENDING:
            pending += 1
        elif status not in words:
            unknown.append(Unknown(row.number, row.name, f"no known status: {row.status!r}"))
            continue
        elif not concerned:
            why = "several media were sent under it" if found else "nothing was sent under it"
            unknown.append(Unknown(row.number, row.name, why))
        else:
            said = words[status], row.reason.strip()
            concerned = [one for one in concerned if said not in before[one.key]]
            new = _changed(concerned, *said)
            unchanged += not new
        for one in concerned:  # the last row on a file counts
            changes.pop(one.key, None)
        changes |= new
    return Results(tuple(changes.values()), unchanged, pending, tuple(unknown))


def _changed(deliveries: Iterable[Delivery], state: DeliveryState, why: str) -> dict[Key, Delivery]:
    return {
        one.key: one.now(state, reason=why, by="import")
        for one in deliveries
        if (one.state, one.reason) != (state, why)
    }


def _said_before(settings: Settings, agency: str) -> dict[Key, set[tuple[DeliveryState, str]]]:
    """By delivery, what was said of its asset before it was sent: files of results repeat it."""
    said: dict[str, set[tuple[DeliveryState, str]]] = defaultdict(set)
    before: dict[Key, set[tuple[DeliveryState, str]]] = {}
    for one in Deliveries(settings).history():
        if one.agency == agency and one.state in WORDS:
            said[one.asset_id].add((one.state, one.reason))
        elif one.agency == agency and one.state in SENT:
            before[one.key] = set(said[one.asset_id])
    return defaultdict(set, before)


def _sent(settings: Settings, agency: str) -> dict[str, list[Delivery]]:
    """The last words on what an agency was sent, by asset id; what broke off only where nothing came."""
    found: dict[str, list[Delivery]] = defaultdict(list)
    latest = Deliveries(settings).latest()
    sent = [one for one in _last_sent(latest) if one.state in SENT]
    for one in sent:
        if one.agency == agency and one.asset_id:
            found[one.asset_id].append(one)
    if not found:
        there = sorted({one.agency for one in sent})
        raise ConfigurationError(
            f"Nothing was sent to {agency}"
            + (f", only to {', '.join(there)}." if there else " or to anybody else.")
        )
    return {
        asset_id: [one for one in sent if one.state is not DeliveryState.UPLOADING] or sent
        for asset_id, sent in found.items()
    }


def _last_sent(latest: Latest) -> Iterator[Delivery]:
    """What of each delivery people speak of: what the agency has, also where it is wanted again."""
    standing = latest.standing
    for one in latest.values():
        stood = standing.get(one.key, one)
        is_new = one.state is DeliveryState.UPLOADING and stood.state in ENDED
        yield one if is_new else stood


def _by_name(sent: dict[str, list[Delivery]]) -> dict[str, dict[str, list[Delivery]]]:
    """By each name that an agency may call it: asset id → deliveries."""
    found: dict[str, dict[str, list[Delivery]]] = defaultdict(dict)
    for asset_id, deliveries in sent.items():
        for name in {name.casefold() for one in deliveries for name in _names(one)}:
            found[name][asset_id] = deliveries
    return found


def _names(delivery: Delivery) -> Iterator[str]:
    path = PurePath(delivery.file)
    yield from (path.name, path.stem, delivery.media_id, delivery.asset_id)


def _text(content: bytes) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", errors="replace")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252", errors="replace")


def _column(headings: Sequence[str], known: Iterable[str]) -> int | None:
    plain = [_plain(one).replace(" ", "") for one in headings]
    return next(
        (plain.index(k) for k in (one.replace(" ", "") for one in known) if k in plain), None
    )


def _plain(text: str) -> str:
    return re.sub(r"[\W_]+", " ", text.casefold()).strip()


def _cell(cells: Sequence[str], at: int | None) -> str:
    return cells[at] if at is not None and at < len(cells) else ""
