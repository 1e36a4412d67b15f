"""The command `dam` and its sub-commands."""

import importlib

import typer

from dam_pipeline import __version__
from dam_pipeline.cli.output import say
from dam_pipeline.errors import ConfigurationError
from dam_pipeline.settings import load_settings

COMMANDS = (
    "init",
    "doctor",
    "ingest",
    "ui",
    "worker",
    "status",
    "show",
    "search",
    "related",
    "retry",
    "rebuild",
    "plan",
    "verify",
)
GROUPS = ("source", "models", "tag", "events", "space", "stock", "sidecar")

AT_THE_WEBSERVER = ("ingest", "retry", "status")
"""Commands that work on the library of `DAM_DAGSTER_URL` where that is set."""

WITHOUT_LIBRARY = ("init", "models", "ui")

app = typer.Typer(
    name="dam",
    help="Point it at media; get every file probed, cut, described, searchable and linked.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"dam {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    context: typer.Context,
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version."
    ),
) -> None:
    """Set up nothing: each command opens what it needs."""
    if context.invoked_subcommand not in (*AT_THE_WEBSERVER, *WITHOUT_LIBRARY):
        _tell_which_library()


def _tell_which_library() -> None:
    """Say that a command does not ask the webserver that others are pointed at."""
    try:
        settings = load_settings()
    except ConfigurationError:
        return  # the command tells of it
    if settings.dagster_url:
        here = "the database of DAM_POSTGRES_URL" if settings.postgres_url else settings.home
        say(f"note: this command works on {here}, not through DAM_DAGSTER_URL.")


for _name in COMMANDS:
    _module = importlib.import_module(f"dam_pipeline.cli.{_name}")
    app.command(_name)(_module.run)
for _name in GROUPS:
    app.add_typer(importlib.import_module(f"dam_pipeline.cli.{_name}").app, name=_name)


def main() -> None:
    """Entry point of the console script."""
    app()
