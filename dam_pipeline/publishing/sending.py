"""Publishing a package: what is due is sent, and the ledger told before and after each file.

The ledger follows what happened: a process that is killed leaves `uploading` there, and the next one
goes on. A file that came to its place just before a kill is found there with the same bytes, and
recorded without being sent again. What lies over there is `verified` or `delivered`, never accepted.
"""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from dam_pipeline.catalogue.catalogue import open_catalogue
from dam_pipeline.catalogue.outbox import Outbox
from dam_pipeline.events import sinks_of
from dam_pipeline.packaging.manifest import read_manifest
from dam_pipeline.publishing import Destination, Receipt, open_transport
from dam_pipeline.publishing.lines import Lines, Listener, Trying
from dam_pipeline.publishing.plan import Outgoing, Plan, plan_delivery
from dam_pipeline.publishing.rate import Rate
from dam_pipeline.publishing.turns import turn_at
from dam_pipeline.settings import Settings
from dam_pipeline.stock.deliveries import UNSENT, Deliveries, Delivery, DeliveryState

JOBS = 2  # connections at once

Progress = Callable[[int, int, str], None]
"""Called with the bytes that are over there, those of all files, and the file under way."""


@dataclass(frozen=True, slots=True)
class Options:
    """How to send: over how many connections, how many bytes a second, how often again.

    With `again` also what the agency has, or has had, is sent. 0 bytes a second: no limit.
    """

    again: bool = False
    jobs: int = JOBS
    limit_bytes_per_s: int = 0
    trying: Trying = field(default_factory=Trying)


def publish(
    settings: Settings,
    folder: Path,
    destination: Destination,
    options: Options = Options(),
    progress: Progress = lambda _sent, _total, _note: None,
) -> list[Delivery]:
    """Send what is due of a package; every file of it that belongs to an agency, as it stands now.

    Files that are not there in the end are `unfinished` and have a `reason`; one that fails does not
    stop the others. Raises PackageInvalid for a package that is not what its manifest says;
    DeliveryFailed where nothing can be reached, or another process publishes to this agency;
    ConfigurationError for a login that is missing.
    """
    with turn_at(settings, read_manifest(folder).agency):
        plan = plan_delivery(
            settings,
            folder,
            destination,
            again=options.again,
            checked=lambda done, total: progress(done, total, "checking the package"),
        )
        with open_outbox(settings) as outbox:
            sent = _Sending(settings, plan, options, progress, outbox).run()
    return [*plan.left_out, *sent]


def unfinished(deliveries: Iterable[Delivery]) -> list[Delivery]:
    """Those of what `publish` gave that are not over there."""
    return [one for one in deliveries if one.state in UNSENT]


@contextmanager
def open_outbox(settings: Settings) -> Iterator[Outbox | None]:
    """Where events of deliveries go; None where nobody is to hear of any."""
    if not (sinks := sinks_of(settings)):
        yield None
        return
    with open_catalogue(settings.home, settings.postgres_url, sinks) as catalogue:
        yield catalogue.outbox


class _Sending:
    """One sending of a plan; its methods are called from the threads of `Lines`."""

    def __init__(
        self,
        settings: Settings,
        plan: Plan,
        options: Options,
        progress: Progress,
        outbox: Outbox | None,
    ) -> None:
        self._plan, self._options, self._progress = plan, options, progress
        self._outbox = outbox
        self._ledger = Deliveries(settings)
        listener = Listener(self._begins, self._sent, self._ends)
        self._lines = Lines(
            lambda: open_transport(plan.destination, settings), listener, options.trying
        )
        self._rate = Rate(options.limit_bytes_per_s, self._lines.wait)
        self._now = {one.delivery.file: one.delivery for one in plan.outgoing}
        self._there = dict.fromkeys(self._now, 0)  # bytes of each file, for the progress
        self._all_there = 0
        self._lock = threading.Lock()

    def run(self) -> list[Delivery]:
        """Send all; the deliveries in the order of the plan."""
        files = self._plan.outgoing
        self._progress(0, self._plan.size_bytes, "")
        self._lines.send(
            [one for one in files if not one.is_last], self._options.jobs, self._note_planned
        )
        last = [one for one in files if one.is_last]
        if unfinished([self._now[one.delivery.file] for one in files if not one.is_last]):
            for one in last:
                self._ends(one, None, "It is sent when all files that it names are there.")
        else:
            self._lines.send(last, self._options.jobs)
        return list(self._now.values())

    def _note_planned(self) -> None:
        """Not before the destination is reached: an address with a typing error is no plan."""
        files = self._plan.outgoing
        self._ledger.record(*(one.delivery for one in files if not one.is_known))

    def _begins(self, file: Outgoing) -> None:
        self._say(file, DeliveryState.UPLOADING)

    def _sent(self, file: Outgoing, count: int) -> None:
        self._rate.spend(count)
        there = self._there[file.delivery.file] + count
        self._tell(file, min(there, file.delivery.size_bytes))

    def _ends(self, file: Outgoing, receipt: Receipt | None, reason: str) -> None:
        delivery = self._now[file.delivery.file]
        if receipt:
            state = DeliveryState.VERIFIED if receipt.verified else DeliveryState.DELIVERED
            told = (delivery.agency, state.value, receipt.remote, delivery.sha256)
            # Told before the ledger: a crash between them tells it twice, not never. Whoever cannot
            # be told of it: what is there is not sent once more.
            try:
                if self._outbox:
                    self._outbox.tell_delivered(delivery.media_id, *told)
            finally:
                self._say(file, state, remote=receipt.remote, verified=receipt.verified)
        elif delivery.state is DeliveryState.UPLOADING:
            self._say(file, delivery.state, reason=reason)
        else:  # nothing was tried: the ledger stays as it is
            self._now[delivery.file] = delivery.now(delivery.state, reason=reason)
        self._tell(file, file.delivery.size_bytes if receipt else 0)

    def _say(self, file: Outgoing, state: DeliveryState, **changes: str) -> None:
        word = self._now[file.delivery.file].now(state, **changes)
        (self._now[word.file],) = self._ledger.record(word)

    def _tell(self, file: Outgoing, there: int) -> None:
        with self._lock:
            self._all_there += there - self._there[file.delivery.file]
            self._there[file.delivery.file] = there
            self._progress(self._all_there, self._plan.size_bytes, file.name)
