"""Packages that a person has approved, which the schedule publishes until each file is there.

Also what people carried to a portal by hand, so that it is not sent once more.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from dam_pipeline.packaging.manifest import read_manifest
from dam_pipeline.publishing import Destination, parse_destination
from dam_pipeline.publishing.plan import Plan, plan_delivery
from dam_pipeline.publishing.turns import turn_at
from dam_pipeline.settings import Settings
from dam_pipeline.stock.deliveries import Deliveries, Delivery, DeliveryState


@dataclass(frozen=True, slots=True)
class ApprovedPackage:
    """What of a package is approved and not there yet; `to` has the user and never a password."""

    folder: Path
    agency: str
    to: str
    files: int
    size_bytes: int

    @property
    def destination(self) -> Destination:
        """Where it goes."""
        return parse_destination(self.to)


def approve(
    settings: Settings, folder: Path, destination: Destination, *, again: bool = False
) -> tuple[Plan, list[Delivery]]:
    """Approve that what is due of a package is sent by the schedule; the plan, and what is approved.

    Raises PackageInvalid for a package that is not what its manifest says, DeliveryFailed while
    something is published to its agency.
    """
    with turn_at(settings, read_manifest(folder).agency):
        plan = plan_delivery(settings, folder, destination, again=again)
        due = (one.delivery for one in plan.outgoing)
        return plan, Deliveries(settings).record(*_as(DeliveryState.APPROVED, due))


def take_back(settings: Settings, folder: Path, destination: Destination) -> list[Delivery]:
    """Take an approval back, also of what was broken off; the deliveries that stay unsent.

    Raises DeliveryFailed while something is published to the package's agency.
    """
    ledger = Deliveries(settings)
    with turn_at(settings, read_manifest(folder).agency):
        taken = [
            one
            for one in _approved(ledger.history()).values()
            if one.package == str(folder) and one.destination == destination.address
        ]
        return ledger.record(*_as(DeliveryState.PLANNED, taken))


def carried_by_hand(settings: Settings, folder: Path) -> tuple[Plan, list[Delivery]]:
    """Note that a person has uploaded a package in the agency's portal; the plan, and what is noted.

    What was approved of it is no longer to be sent. Raises as `approve`.
    """
    agency, ledger = read_manifest(folder).agency, Deliveries(settings)
    with turn_at(settings, agency):
        plan = plan_delivery(settings, folder, Destination("portal", agency))
        due = [one.delivery for one in plan.outgoing]
        subjects = {one.subject for one in due}
        waiting = [
            one
            for one in _approved(ledger.history()).values()
            if one.agency == agency and (one.subject in subjects or one.package == str(folder))
        ]
        words = ledger.record(
            *_as(DeliveryState.PLANNED, waiting), *_as(DeliveryState.DELIVERED, due)
        )
    return plan, words[len(waiting) :]


def approved_packages(settings: Settings) -> list[ApprovedPackage]:
    """Packages with files that are approved and not there, those first that have waited longest."""
    found: dict[tuple[str, str, str], list[Delivery]] = {}
    for one in _approved(Deliveries(settings).history()).values():
        found.setdefault((one.package, one.agency, _url(one)), []).append(one)
    return [
        ApprovedPackage(Path(package), agency, to, len(of), sum(one.size_bytes for one in of))
        for (package, agency, to), of in found.items()
    ]


def _approved(history: Iterable[Delivery]) -> dict[tuple[str, str, str], Delivery]:
    """The last words on what is approved: an upload that was broken off stays so."""
    approved: dict[tuple[str, str, str], Delivery] = {}
    for word in history:
        is_going_on = word.state is DeliveryState.UPLOADING and word.key in approved
        if word.state is DeliveryState.APPROVED or is_going_on:
            approved[word.key] = word
        else:
            approved.pop(word.key, None)
    return approved


def _as(state: DeliveryState, deliveries: Iterable[Delivery]) -> list[Delivery]:
    return [one.now(state, by="person", reason="") for one in deliveries]


def _url(delivery: Delivery) -> str:
    return replace(parse_destination(delivery.destination), user=delivery.user).url
