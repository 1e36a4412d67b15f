"""The sensors that tell other programs what happened: failed runs, and whatever waits to be sent."""

import dagster as dg

from dam_pipeline.events import open_sink, sinks_of
from dam_pipeline.events.kinds import RunFailed
from dam_pipeline.settings import Settings
from resources.library import LibraryResource

INTERVAL_S = 10
SEND_S = (
    60.0  # to each receiver in a tick, which Dagster ends after 300 s; the rest is sent by the next
)
MOST_TEXT = 20_000  # characters of a failure: a webhook's receiver refuses very long ones


def build_send_events(settings: Settings) -> dg.SensorDefinition:
    """The sensor `send_events`; it runs by itself where the settings name somebody to tell."""

    @dg.sensor(
        name="send_events",
        minimum_interval_seconds=INTERVAL_S,
        default_status=_status(settings),
        description=(
            "Sends the events that wait in the catalogue's outbox to NATS and the webhook; what they "
            "do not take waits on."
        ),
    )
    def send_events(context: dg.SensorEvaluationContext, library: LibraryResource) -> dg.SkipReason:
        with library.open() as tools:
            delivery = tools.catalogue.outbox.deliver(
                lambda name: open_sink(tools.settings, name), SEND_S
            )
        for trouble in delivery.troubles.values():
            context.log.warning(trouble)
        counts = [f"{count} events to {name}" for name, count in delivery.sent.items() if count]
        words = [", ".join(counts), *delivery.troubles.values()]
        return dg.SkipReason(" ".join(word for word in words if word) or "No event waits.")

    return send_events


def build_tell_failures(settings: Settings) -> dg.SensorDefinition:
    """The sensor `tell_failures`; it writes to the outbox, which outlasts a receiver that is away."""

    @dg.run_failure_sensor(
        name="tell_failures",
        minimum_interval_seconds=INTERVAL_S,
        default_status=_status(settings),
        description="Notes each failed run as an event, with every failed file and its reason.",
    )
    def tell_failures(context: dg.RunFailureSensorContext, library: LibraryResource) -> None:
        run = context.dagster_run
        address = settings.ui_address
        told = RunFailed(run.run_id, run.job_name, _words(context), f"{address}/runs/{run.run_id}")
        with library.open() as tools:
            tools.catalogue.outbox.tell_now([told])

    return tell_failures


def _status(settings: Settings) -> dg.DefaultSensorStatus:
    is_wanted = bool(sinks_of(settings))
    return dg.DefaultSensorStatus.RUNNING if is_wanted else dg.DefaultSensorStatus.STOPPED


def _words(context: dg.RunFailureSensorContext) -> str:
    """What the run's failures say of their files, or why it broke off."""
    texts = [
        failure.description or ""
        for event in context.get_step_failure_events()
        if (failure := event.step_failure_data.user_failure_data)
    ]
    return ("\n".join(filter(None, texts)) or context.failure_event.message or "")[:MOST_TEXT]
