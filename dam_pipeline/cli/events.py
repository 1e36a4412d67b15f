"""`dam events`: what other programs are told, and what of it still waits."""

from dataclasses import asdict
from typing import Annotated

import typer

from dam_pipeline.cli.options import AsJson
from dam_pipeline.cli.output import Exit, command, print_json, say, table
from dam_pipeline.errors import ConfigurationError
from dam_pipeline.settings import load_settings

app = typer.Typer(help="Events for other programs: NATS and a webhook.", no_args_is_help=True)


@app.command()
@command
def waiting(as_json: AsJson = False) -> int:
    """Show how many events wait for each receiver, and since when.

    Example: dam events waiting
    """
    from dam_pipeline.stages.work import Toolbox

    with Toolbox.open(load_settings()) as tools:
        found = tools.catalogue.outbox.waiting()
    if as_json:
        print_json({sink: asdict(one) for sink, one in found.items()})
    elif not found:
        say("No event waits.")
    else:
        table(
            ("receiver", "events", "since"),
            [(sink, str(one.count), one.since) for sink, one in found.items()],
        )
    return Exit.OK


@app.command()
@command
def send(as_json: AsJson = False) -> int:
    """Send what waits now; the sensor `send_events` does it every ten seconds while `dam ui` runs.

    Exit code 3 when a receiver did not take all.

    Example: dam events send
    """
    from dam_pipeline.events import open_sink, sinks_of
    from dam_pipeline.stages.work import Toolbox

    settings = load_settings()
    if not sinks_of(settings):
        raise ConfigurationError("Nobody is to be told: set DAM_NATS_URL or DAM_WEBHOOK_URL.")
    with Toolbox.open(settings) as tools:
        delivery = tools.catalogue.outbox.deliver(lambda name: open_sink(settings, name))
    if as_json:
        print_json(asdict(delivery))
    else:
        for sink, count in delivery.sent.items():
            say(f"{count} events sent to {sink}.")
        for sink, trouble in delivery.troubles.items():
            say(f"{sink}: {trouble}")
    return Exit.SOME_FAILED if delivery.troubles else Exit.OK


@app.command()
@command
def schema(
    type_: Annotated[
        str | None, typer.Argument(metavar="TYPE", help="One type; all when left out.")
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Print the JSON schema of each type of event, or of one.

    Example: dam events schema media.indexed
    """
    from dam_pipeline.events.kinds import KINDS, schema_of

    if type_ and type_ not in KINDS:
        raise ConfigurationError(f"There is no event {type_}. Types: {', '.join(KINDS)}.")
    if as_json or type_:
        print_json(schema_of(type_) if type_ else {name: schema_of(name) for name in KINDS})
    else:
        table(("type", "meaning"), [(name, kind.__doc__ or "") for name, kind in KINDS.items()])
    return Exit.OK
