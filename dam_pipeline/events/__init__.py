"""Telling other programs what happened: kinds of events, and the sinks that they are sent to.

One sink a sibling file; no vendor's library is imported before a sink opens. Events wait in the
catalogue's outbox until a sink has taken them, so that they are told at least once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol, cast

from dam_pipeline.events.kinds import KINDS, Event, RunFailed
from dam_pipeline.settings import Settings

__all__ = ["SINKS", "Sink", "open_sink", "sinks_of", "wanted_by"]


class Sink(Protocol):
    """Where events are sent."""

    def __init__(self, settings: Settings) -> None: ...

    def send(self, events: Sequence[Event]) -> list[str]:
        """Send events in order; returns the ids of those that were taken, which may be fewer.

        Raises EventsUndelivered when the receiver cannot be reached or refuses everything.
        """


@dataclass(frozen=True, slots=True)
class _Kind:
    """A sink's module and class, the setting that turns it on, and the types that it is told.

    `at_once` events are handed to it together: what a slow receiver takes in a minute or two.
    """

    module: str
    cls: str
    setting: str
    types: frozenset[str]
    at_once: int


SINKS = {
    "nats": _Kind(
        "dam_pipeline.events.nats_stream", "NatsStream", "nats_url", frozenset(KINDS), 500
    ),
    "webhook": _Kind(
        "dam_pipeline.events.webhook", "Webhook", "webhook_url", frozenset({RunFailed.TYPE}), 10
    ),
}


def sinks_of(settings: Settings) -> tuple[str, ...]:
    """Names of the sinks that the settings turn on."""
    return tuple(name for name, kind in SINKS.items() if getattr(settings, kind.setting))


def wanted_by(type_: str, sinks: Sequence[str]) -> list[str]:
    """Those of the sinks that are told events of a type."""
    return [name for name in sinks if type_ in SINKS[name].types]


def open_sink(settings: Settings, name: str) -> Sink:
    """A sink by its name in `SINKS`; it connects when it sends."""
    kind = SINKS[name]
    return cast(type[Sink], getattr(import_module(kind.module), kind.cls))(settings)
