"""`dam stock`: choose, describe, check, package and publish media for stock agencies.

Each sub-command stands in `cli.stock_<name>`, with a function `run`, or an `app` of its own.
"""

import importlib

import typer

COMMANDS: tuple[str, ...] = (
    "edit",
    "show",
    "check",
    "package",
    "publish",
    "login",
    "approve",
    "export",
    "import",
)
GROUPS: tuple[str, ...] = (
    "shortlist",
    "deliveries",
    "agencies",
)

app = typer.Typer(
    help="Stock: choose, describe, check, package and publish media for agencies.",
    no_args_is_help=True,
)

for _name in COMMANDS:
    app.command(_name)(importlib.import_module(f"dam_pipeline.cli.stock_{_name}").run)
for _name in GROUPS:
    app.add_typer(importlib.import_module(f"dam_pipeline.cli.stock_{_name}").app, name=_name)
