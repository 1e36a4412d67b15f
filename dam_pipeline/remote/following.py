"""Following launched runs to their end, and saying when nobody will ever start them."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dam_pipeline.errors import RemoteUnavailable
from dam_pipeline.remote import queries
from dam_pipeline.remote.server import RemoteRun, Server
from dam_pipeline.run_tags import REQUESTED_BY_TAG

LOOK_EVERY_S = 1.0
NO_ANSWER_FOR_S = 60.0
"""How long a webserver may be silent, as when it is started anew, before following it ends."""

QUEUED_FOR_S = 10.0
"""How long nothing may leave the queue before the daemon is looked after."""

HEARTBEAT_WITHIN_S = 90.0  # Dagster's daemon beats every 30 s
QUEUE_DAEMON = "QUEUED_RUN_COORDINATOR"

Tell = Callable[[Sequence[RemoteRun]], None]


@dataclass(slots=True)
class Patience:
    """When to stop waiting; tests are less patient."""

    look_every_s: float = LOOK_EVERY_S
    no_answer_for_s: float = NO_ANSWER_FOR_S
    queued_for_s: float = QUEUED_FOR_S


def follow(
    server: Server,
    run_id: str,
    tell: Tell = lambda _runs: None,
    patience: Patience | None = None,
) -> list[RemoteRun]:
    """Wait for one run; returns it, with the retries that Dagster made of it, the newest first.

    Raises RemoteUnavailable when the webserver is silent for long, or no daemon starts the run.
    """
    return _wait(server, lambda: server.runs(run_ids=[run_id]), tell, patience or Patience())


def follow_requested(
    server: Server,
    asked_by: str,
    tell: Tell = lambda _runs: None,
    patience: Patience | None = None,
) -> list[RemoteRun]:
    """Wait for all runs that the run `asked_by` has requested; raises as `follow` does."""
    tags = {REQUESTED_BY_TAG: asked_by}
    return _wait(server, lambda: server.runs(tags=tags), tell, patience or Patience())


def _wait(
    server: Server, look: Callable[[], list[RemoteRun]], tell: Tell, patience: Patience
) -> list[RemoteRun]:
    answered_s = moved_s = time.monotonic()
    while True:
        try:
            runs = look()
            answered_s = time.monotonic()
        except RemoteUnavailable:
            if time.monotonic() - answered_s > patience.no_answer_for_s:
                raise
            time.sleep(patience.look_every_s)
            continue
        tell(runs)
        left = [one for one in runs if not one.has_ended]
        if not left:
            return runs
        if not all(one.waits for one in left):
            moved_s = time.monotonic()
        elif time.monotonic() - moved_s > patience.queued_for_s:
            check_daemon(server, left[-1])
            moved_s = time.monotonic()
        time.sleep(patience.look_every_s)


def check_daemon(server: Server, waiting: RemoteRun) -> None:
    """Raise RemoteUnavailable when the daemon that empties the queue has been silent for long."""
    told = server.endpoint.ask(queries.HEALTH)
    statuses = told.data["instance"]["daemonHealth"]["allDaemonStatuses"]
    beats = {one["daemonType"]: one["lastHeartbeatTime"] for one in statuses if one["required"]}
    if QUEUE_DAEMON not in beats:
        return  # without a queue, runs start without a daemon
    last_s = beats[QUEUE_DAEMON]
    silent_s = (told.at_s or time.time()) - last_s if last_s else None
    if silent_s is not None and silent_s < HEARTBEAT_WITHIN_S:
        return
    since = f"for {silent_s / 60:.0f} minutes" if silent_s else "since it was set up"
    raise RemoteUnavailable(
        f"Run {server.run_url(waiting.run_id)} waits in the queue, and no daemon has been heard of "
        f"{since}. Start one there (`dam ui`, or dagster-daemon run): the run then begins by itself."
    )
