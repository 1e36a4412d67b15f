"""The ledger of deliveries: the journal `deliveries`, append-only; the last word on each counts.

What came of it at the agency is only ever said by a person or an import: a server that has all bytes
makes a delivery `verified`, never `accepted`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Self

from dam_pipeline.records import Json
from dam_pipeline.settings import Settings
from dam_pipeline.stores.journal import Journal

JOURNAL = "deliveries"


class DeliveryState(StrEnum):
    """How far a file is on its way to an agency."""

    PLANNED = "planned"
    APPROVED = "approved"
    UPLOADING = "uploading"
    DELIVERED = "delivered"  # all bytes sent, the server tells too little to compare
    VERIFIED = "verified"  # size or hash compared over there
    ACCEPTED = "accepted"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


THERE = (DeliveryState.DELIVERED, DeliveryState.VERIFIED, DeliveryState.ACCEPTED)
"""States in which the agency has the file: it is not sent again by accident."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One media on its way to one agency, at one destination.

    `destination` is the address without any login; `package` the folder of the package, `file` the
    deliverable's path in it, `sha256` and `size_bytes` of its bytes. `verified` says by what the
    bytes were compared: `size`, `sha256`, or empty. `reason` is why it was rejected, or failed.
    """

    agency: str
    media_id: str
    asset_id: str
    destination: str
    package: str
    file: str
    sha256: str
    size_bytes: int
    master_sha256: str
    state: DeliveryState
    remote: str = ""
    verified: str = ""
    reason: str = ""
    when: str = ""
    by: str = ""

    @property
    def key(self) -> tuple[str, str, str]:
        """What a later word on the same delivery has in common with it."""
        return self.agency, self.asset_id, self.destination

    def now(self, state: DeliveryState, **changes: Json) -> Self:
        """The delivery in another state."""
        return replace(self, state=state, **changes)

    def to_json(self) -> dict[str, Json]:
        """All fields as JSON values."""
        return asdict(self)


class Deliveries:
    """The ledger of a library."""

    def __init__(self, settings: Settings) -> None:
        self._journal = Journal(settings, JOURNAL)

    def record(self, delivery: Delivery) -> None:
        """Add a word to the ledger and wait until it is safe; raises StoreUnavailable."""
        when = datetime.now(UTC).isoformat(timespec="seconds")
        self._journal.append(replace(delivery, when=when).to_json())

    def history(self) -> list[Delivery]:
        """Every word, the oldest first; raises SchemaMismatch for a damaged journal."""
        return [
            Delivery(**{**entry, "state": DeliveryState(entry["state"])})
            for entry in self._journal.entries()
        ]

    def latest(self) -> dict[tuple[str, str, str], Delivery]:
        """The last word on each delivery, by its key."""
        return {one.key: one for one in self.history()}


def there_already(
    latest: Mapping[tuple[str, str, str], Delivery], agency: str, asset_ids: Iterable[str]
) -> dict[str, Delivery]:
    """The deliveries by which an agency has these assets, at whatever destination, by asset id."""
    wanted = set(asset_ids)
    return {
        one.asset_id: one
        for one in latest.values()
        if one.agency == agency and one.asset_id in wanted and one.state in THERE
    }
