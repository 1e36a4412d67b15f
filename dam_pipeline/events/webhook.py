"""Events posted to a web address, one request each, in the form that chat programs show.

The body is the event's envelope with a `text` beside it, which Slack, Mattermost and the like take
as the message; others read `data`.
"""

import json
from collections.abc import Sequence

import requests

from dam_pipeline.errors import EventsUndelivered
from dam_pipeline.events.kinds import CONTENT_TYPE, Event
from dam_pipeline.settings import Settings

PATIENCE_S = 10
COME_BACK = (408, 425, 429)  # refusals that a later try may mend


class Webhook:
    """The address of the setting `webhook_url`."""

    def __init__(self, settings: Settings) -> None:
        self._url = settings.webhook_url

    def send(self, events: Sequence[Event]) -> list[str]:
        """Post events one by one, until the first that was not taken."""
        taken: list[str] = []
        for event in events:
            try:
                self._post(event)
            except EventsUndelivered:
                if not taken:
                    raise
                return taken
            taken.append(event.event_id)
        return taken

    def _post(self, event: Event) -> None:
        document = json.loads(event.body)
        document["text"] = document["data"].get("text", document["type"])
        try:
            reply = requests.post(
                self._url,
                data=json.dumps(document),
                headers={"Content-Type": CONTENT_TYPE},
                timeout=PATIENCE_S,
                allow_redirects=False,
            )
        except requests.RequestException as error:
            # The address may hold a secret, and the library's errors repeat it.
            raise EventsUndelivered(
                f"The webhook does not answer ({type(error).__name__}). Check DAM_WEBHOOK_URL and "
                "the network; what waits is sent later."
            ) from None
        if not reply.ok or reply.is_redirect:
            when = "at once" if reply.status_code in COME_BACK else "after you have mended it"
            raise EventsUndelivered(
                f"The webhook answers {reply.status_code} {reply.reason}. Check DAM_WEBHOOK_URL; "
                f"what waits is sent {when}."
            )
