"""What library and sidecar said when they were last brought together: the journal `sidecars`, the last word counts.

Losing it loses nobody's word: without a base nothing counts as taken away, and texts that differ are
conflicts. A sidecar is known by its address: a moved one is a new one.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from dam_pipeline.identity import path_to_uri
from dam_pipeline.records import Json
from dam_pipeline.settings import Settings
from dam_pipeline.sidecars.fields import KEYWORDS, Value, Values
from dam_pipeline.stores.journal import Journal

JOURNAL = "sidecars"
AT_ONCE = 200  # sidecars an entry


class Synced:
    """The journal's state, and what is to be added to it: with `flush`, some at once."""

    def __init__(self, settings: Settings) -> None:
        self._journal = Journal(settings, JOURNAL)
        self._waiting: list[dict[str, Json]] = []
        self._known: dict[tuple[str, str], dict[str, Value]] = {
            (one["asset_id"], one["sidecar"]): _values(one["said"])
            for entry in self._journal.entries()
            for one in entry["synced"]
        }

    def base(self, asset_id: str, path: Path) -> dict[str, Value] | None:
        """What both said last, None where they were never brought together."""
        return self._known.get((asset_id, path_to_uri(path)))

    def note(self, asset_id: str, path: Path, said: Values) -> None:
        """Note what both say now; it is safe after `flush`."""
        uri = path_to_uri(path)
        if self._known.get((asset_id, uri)) != dict(said):
            self._known[asset_id, uri] = dict(said)
            self._waiting.append({"asset_id": asset_id, "sidecar": uri, "said": dict(said)})
        if len(self._waiting) >= AT_ONCE:
            self.flush()

    def flush(self) -> None:
        """Write what was noted; raises StoreUnavailable."""
        if self._waiting:
            when = datetime.now(UTC).isoformat(timespec="seconds")
            self._journal.append({"synced": self._waiting, "when": when})
            self._waiting = []


def _values(said: Mapping[str, Json]) -> dict[str, Value]:
    return {name: tuple(one) if name == KEYWORDS else one for name, one in said.items()}
