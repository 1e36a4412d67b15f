"""How deliveries are shown to people and scripts."""

from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from dam_pipeline.cli.output import OUT, table
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


def package_table(deliveries: Sequence["Delivery"]) -> None:
    """A table of the files of a package, and below it why some are not where they should be."""
    table(
        ("file", "size", "state"),
        [(_name(one), told_size(one.size_bytes), told(one.state.value)) for one in deliveries],
    )
    _tell_reasons(deliveries)


def deliveries_table(deliveries: Sequence["Delivery"]) -> None:
    """A table of words of the ledger, and below it their reasons."""
    table(
        ("file", "agency", "state", "since", "destination"),
        [
            (_name(one), one.agency, told(one.state.value), one.when[:10], one.destination)
            for one in deliveries
        ],
    )
    _tell_reasons(deliveries)


def _name(delivery: "Delivery") -> str:
    return PurePosixPath(delivery.remote or delivery.file).name


def _tell_reasons(deliveries: Sequence["Delivery"]) -> None:
    """Each reason once, with its files: in a column of its own it would be folded to nothing."""
    files: dict[str, list[str]] = {}
    for one in deliveries:
        if one.reason:
            files.setdefault(one.reason, []).append(_name(one))
    for reason, names in files.items():
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        OUT.print(f"{names[0]}{more}: {reason}", markup=False)


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
