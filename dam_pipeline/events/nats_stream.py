"""Events published to a JetStream stream of a NATS server, which keeps them for whoever listens.

The subject is the event's type below the prefix of the settings, `media.indexed`. The server says of
each event that it has it; an event that is sent twice has the same `Nats-Msg-Id`, and the server
drops the second within its window.
"""

import asyncio
from collections.abc import Sequence

import nats
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import PubAck, StreamConfig
from nats.js.errors import NotFoundError, ServiceUnavailableError

from dam_pipeline.errors import ConfigurationError, EventsUndelivered
from dam_pipeline.events.kinds import CONTENT_TYPE, KINDS, Event
from dam_pipeline.settings import Settings

CONNECT_S = 5
ANSWER_S = 10
MESSAGE_ID = "Nats-Msg-Id"


class NatsStream:
    """The stream of the settings `nats_url`, `nats_stream` and `nats_prefix`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def send(self, events: Sequence[Event]) -> list[str]:
        """Publish events; returns the ids of those that the server has acknowledged."""
        return asyncio.run(self._send(events))

    async def _send(self, events: Sequence[Event]) -> list[str]:
        client = await self._connected()
        try:
            stream = client.jetstream(timeout=ANSWER_S)
            await self._make_stream(stream)
            answers = [await self._published(stream, one) for one in events]
            await asyncio.wait(answers, timeout=ANSWER_S)
            return _taken(events, answers)
        except (NatsError, OSError, TimeoutError) as error:
            raise EventsUndelivered(
                f"The NATS server did not take events ({error or type(error).__name__}). What "
                "waits is sent later; `dam events send` tries now."
            ) from error
        finally:
            await client.close()

    async def _connected(self) -> Client:
        async def hear(_error: Exception) -> None:
            """The error is raised too: the library's own log is not needed."""

        options = {"user_credentials": str(creds)} if (creds := self._settings.nats_creds) else {}
        try:
            return await nats.connect(
                self._settings.nats_url,
                connect_timeout=CONNECT_S,
                allow_reconnect=False,
                max_reconnect_attempts=1,  # of the first connection too: else it tries for 2 minutes
                reconnect_time_wait=0.2,
                error_cb=hear,
                **options,
            )
        except ValueError as error:
            raise ConfigurationError(
                "DAM_NATS_URL is no address. Give one like nats://host:4222."
            ) from error
        except (NatsError, OSError, TimeoutError) as error:
            raise EventsUndelivered(
                f"The NATS server cannot be reached ({type(error).__name__}). Check DAM_NATS_URL, "
                "the login in it and the network; what waits is sent later."
            ) from error

    async def _make_stream(self, stream: JetStreamContext) -> None:
        name = self._settings.nats_stream
        try:
            await stream.stream_info(name)
        except NotFoundError:
            families = sorted({kind.partition(".")[0] for kind in KINDS})
            subjects = [f"{self._subject(family)}.>" for family in families]
            await stream.add_stream(StreamConfig(name=name, subjects=subjects))
        except ServiceUnavailableError as error:
            raise EventsUndelivered(
                "The NATS server has no JetStream, which keeps events until they are read. Start "
                "it with -js."
            ) from error

    async def _published(self, stream: JetStreamContext, event: Event) -> "asyncio.Future[PubAck]":
        """What the server will answer: waiting for each answer would cost a round trip an event."""
        answer: asyncio.Future[PubAck] = await stream.publish_async(
            self._subject(event.type),
            event.body.encode(),
            stream=self._settings.nats_stream,
            headers={MESSAGE_ID: event.event_id, "Content-Type": CONTENT_TYPE},
        )
        return answer

    def _subject(self, type_: str) -> str:
        prefix = self._settings.nats_prefix
        return f"{prefix}.{type_}" if prefix else type_


def _taken(events: Sequence[Event], answers: Sequence["asyncio.Future[PubAck]"]) -> list[str]:
    """Ids of the acknowledged events; raises the first refusal when there is none."""
    taken = []
    refusals = []
    for event, answer in zip(events, answers, strict=True):
        error = answer.exception() if answer.done() else TimeoutError("no answer")
        if error:
            refusals.append(error)
        else:
            taken.append(event.event_id)
    if refusals and not taken:
        raise refusals[0]
    return taken
