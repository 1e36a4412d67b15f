"""One process at a time sends to an agency: two that publish at once would deliver twice."""

import fcntl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from urllib.parse import quote

from dam_pipeline.catalogue.database import this_process
from dam_pipeline.catalogue.turns import held_by_nobody_else
from dam_pipeline.errors import DeliveryFailed
from dam_pipeline.settings import Settings

FOLDER = "publishing"


@contextmanager
def turn_at(settings: Settings, agency: str) -> Iterator[None]:
    """Nobody else of the library publishes to an agency meanwhile; a dead process holds nobody up.

    Raises DeliveryFailed while somebody does.
    """
    folder = settings.home / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as held:
        file = held.enter_context((folder / f"{quote(agency, safe='')}.lock").open("a+"))
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # ends with the process
        except BlockingIOError as error:
            file.seek(0)
            raise _busy(agency, f" ({file.read().strip()})") from error
        file.truncate(0)
        file.write(this_process())
        file.flush()
        if settings.postgres_url and not held.enter_context(
            held_by_nobody_else(settings.home, settings.postgres_url, f"publish {agency}")
        ):
            raise _busy(agency, " on another machine")
        yield


def _busy(agency: str, who: str) -> DeliveryFailed:
    return DeliveryFailed(
        f"Another process{who} is publishing to {agency}. Try again when it has ended: what it "
        "delivered is then left out."
    )
