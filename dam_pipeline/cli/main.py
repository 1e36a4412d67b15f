"""The command `dam` and its sub-commands."""

import importlib

import typer

from dam_pipeline import __version__

COMMANDS = (
    "init",
    "doctor",
    "ingest",
    "ui",
    "status",
    "show",
    "search",
    "related",
    "retry",
    "rebuild",
)
GROUPS = ("source", "models", "tag")

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
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version."
    ),
) -> None:
    """Set up nothing: each command opens what it needs."""


for _name in COMMANDS:
    _module = importlib.import_module(f"dam_pipeline.cli.{_name}")
    app.command(_name)(_module.run)
for _name in GROUPS:
    app.add_typer(importlib.import_module(f"dam_pipeline.cli.{_name}").app, name=_name)


def main() -> None:
    """Entry point of the console script."""
    app()
