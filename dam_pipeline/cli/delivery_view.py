"""How deliveries are shown to people and scripts."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from dam_pipeline.cli.output import table
from dam_pipeline.records import Json

if TYPE_CHECKING:
    from dam_pipeline.stock.deliveries import Delivery

_UNITS = ("B", "kB", "MB", "GB", "TB")
_STATES = {"delivered": "delivered", "verified": "delivered, bytes verified"}


def entry(delivery: "Delivery") -> dict[str, Json]:
    """The documented form of an entry of `dam stock publish --json`."""
    return {
        "media_id": delivery.media_id,
        "file": delivery.file,
        "state": delivery.state.value,
        "bytes": delivery.size_bytes,
        "verified": delivery.verified,
        "remote": delivery.remote,
        "reason": delivery.reason,
    }


def package_table(deliveries: Iterable["Delivery"]) -> None:
    """A table of the files of a package, by their names over there."""
    table(
        ("over there", "size", "state", "why"),
        [
            (one.remote, told_size(one.size_bytes), told(one.state.value), one.reason)
            for one in deliveries
        ],
    )


def deliveries_table(deliveries: Iterable["Delivery"]) -> None:
    """A table of words of the ledger."""
    table(
        ("over there", "agency", "state", "since", "why"),
        [
            (one.remote, one.agency, told(one.state.value), one.when[:10], one.reason)
            for one in deliveries
        ],
    )


def told(state: str) -> str:
    """A state of the ledger in words; what a server compared is not what an agency says."""
    return _STATES.get(state, state)


def told_size(size_bytes: float) -> str:
    """A size with three digits: `1.25 GB`."""
    at = 0
    while size_bytes >= 1000 and at < len(_UNITS) - 1:
        size_bytes, at = size_bytes / 1000, at + 1
    return (
        f"{size_bytes:.3g} {_UNITS[at]}" if size_bytes < 999.5 else f"{size_bytes:.0f} {_UNITS[at]}"
    )
