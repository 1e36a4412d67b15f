"""The ledger of deliveries: the journal `deliveries`, append-only; the last word on each counts.

What came of it at the agency is only ever said by a person or an import (`stock.results`): a server
that has all bytes makes a delivery `verified`, never `accepted`.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import PurePath
from typing import Self

from dam_pipeline.errors import SchemaMismatch
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

SENT = (DeliveryState.UPLOADING, *THERE, DeliveryState.REJECTED, DeliveryState.WITHDRAWN)
"""States in which the agency has seen at least a part of it: people can say what came of it."""

ENDED = (DeliveryState.REJECTED, DeliveryState.WITHDRAWN)
"""States in which the agency had these very bytes, and does not offer them."""

STANDING = (*THERE, *ENDED)
"""States that stand until the agency has or had something else of it."""

UNSENT = (DeliveryState.PLANNED, DeliveryState.APPROVED, DeliveryState.UPLOADING)
"""States in which it is not there, or not all of it."""

WANTED = (DeliveryState.APPROVED, DeliveryState.UPLOADING)
"""States in which a person wants it to be sent, or it is being sent."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One file on its way to one agency, at one destination.

    `destination` is the address without any login, `user` the account's name; `package` the folder
    of the package, `file` the deliverable's path in it, `sha256` and `size_bytes` of its bytes.
    `verified` says by what the bytes were compared: `size`, `sha256`, or empty. `reason` is why it
    was rejected, or is not there; `by` who said the word: `publish`, `person` or `import`. Releases
    and tables that are sent along have no media and no asset.
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
    user: str = ""

    @property
    def subject(self) -> str:
        """What is delivered, whatever its bytes are: the asset; without one the bytes by name."""
        return self.asset_id or f"{self.sha256}/{PurePath(self.file).name}"

    @property
    def key(self) -> tuple[str, str, str]:
        """What a later word on the same delivery has in common with it."""
        return self.agency, self.subject, self.destination

    def now(self, state: DeliveryState, **changes: Json) -> Self:
        """The delivery in another state."""
        return replace(self, state=state, **changes)

    def to_json(self) -> dict[str, Json]:
        """All fields as JSON values."""
        return asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Json]) -> Self:
        """The record of what `to_json` gave; raises SchemaMismatch for anything else."""
        try:
            return cls(**{**document, "state": DeliveryState(document["state"])})
        except (KeyError, TypeError, ValueError) as error:
            raise SchemaMismatch(
                f"The journal {JOURNAL} holds an entry that this version does not read ({error}). "
                "Update dam_pipeline."
            ) from error


Key = tuple[str, str, str]


class Latest(dict[Key, Delivery]):
    """The last word on each delivery, by its key, in the order in which they were said.

    To plan it once more, or to take such a plan back, leaves what the agency has or had. `words` are
    all that count, as they were said: of each delivery the last of what the agency has or had, and
    the last of what is wanted.
    """

    def __init__(self, history: Iterable[Delivery]) -> None:
        super().__init__()
        words: dict[tuple[Key, bool], Delivery] = {}
        for one in history:
            place = one.key, one.state in STANDING
            words.pop(place, None)
            words[place] = one
            self.pop(one.key, None)
            is_plan = one.state is DeliveryState.PLANNED
            self[one.key] = words.get((one.key, True), one) if is_plan else one
        self.words = tuple(words.values())

    @property
    def standing(self) -> dict[Key, Delivery]:
        """What the agency has or had, whether or not it is wanted once more."""
        return {one.key: one for one in self.words if one.state in STANDING}


class Deliveries:
    """The ledger of a library."""

    def __init__(self, settings: Settings) -> None:
        self._journal = Journal(settings, JOURNAL)

    def record(self, *deliveries: Delivery) -> list[Delivery]:
        """Add words to the ledger, with the time, and wait until they are safe.

        Raises StoreUnavailable.
        """
        when = datetime.now(UTC).isoformat(timespec="seconds")
        words = [replace(one, when=when) for one in deliveries]
        self._journal.append_all([one.to_json() for one in words])
        return words

    def history(self) -> list[Delivery]:
        """Every word, the oldest first; raises SchemaMismatch for a damaged journal."""
        return [Delivery.from_json(entry) for entry in self._journal.entries()]

    def latest(self) -> Latest:
        """The last word on each delivery."""
        return Latest(self.history())

    def of_assets(self, asset_ids: Iterable[str]) -> dict[str, list[Delivery]]:
        """The last words on these assets' deliveries, by asset id, the oldest first."""
        found: dict[str, list[Delivery]] = {asset_id: [] for asset_id in asset_ids}
        for one in self.latest().values():
            if one.asset_id in found:
                found[one.asset_id].append(one)
        return found


def there_already(latest: Latest, agency: str, asset_ids: Iterable[str]) -> dict[str, Delivery]:
    """The deliveries by which an agency has these assets, at whatever destination, by asset id."""
    wanted = set(asset_ids)
    return {
        one.asset_id: one
        for one in latest.words
        if one.agency == agency and one.asset_id in wanted and one.state in THERE
    }


def no_longer_to_send(latest: Latest, wanted: Sequence[Delivery]) -> dict[str, Delivery]:
    """For each subject that is not to be sent (again), the delivery that says why not.

    The agency has it; or it had these very bytes, and they were rejected or withdrawn.
    """
    so_far: dict[tuple[str, str], list[Delivery]] = defaultdict(list)
    for one in latest.words:
        so_far[one.agency, one.subject].append(one)
    found: dict[str, Delivery] = {}
    for new in wanted:
        for old in so_far[new.agency, new.subject]:
            if old.state in THERE or (old.state in ENDED and old.sha256 == new.sha256):
                found[new.subject] = old
            elif old.key == new.key and old.state in WANTED:
                found.pop(new.subject, None)  # it was wanted in spite of what was said before
    return found
