"""All commands with their help, for the generated reference page and the tests of the house."""

from collections.abc import Iterator
from dataclasses import dataclass

import typer

from dam_pipeline.cli.main import app


@dataclass(frozen=True, slots=True)
class Parameter:
    """An argument or option: how it is written, and what it is for."""

    names: tuple[str, ...]
    help: str
    is_argument: bool
    is_required: bool
    default: str


@dataclass(frozen=True, slots=True)
class CommandHelp:
    """A command: `name` with its group, such as `dam models fetch`; `help` is its docstring."""

    name: str
    usage: str
    help: str
    parameters: tuple[Parameter, ...]


def commands() -> Iterator[CommandHelp]:
    """Every command in the order of `dam --help`, those of groups after their group's name."""
    yield from _below(typer.main.get_command(app), "dam")


def _below(command, name: str) -> Iterator[CommandHelp]:  # type: ignore[no-untyped-def]  # noqa: ANN001
    context = typer.Context(command, info_name=name)
    if hasattr(command, "commands"):
        for child, one in command.commands.items():
            yield from _below(one, f"{name} {child}")
        return
    yield CommandHelp(
        name=name,
        usage=" ".join(command.collect_usage_pieces(context)),
        help=command.help or "",
        parameters=tuple(_parameter(one) for one in command.params if one.name != "help"),
    )


def _parameter(one) -> Parameter:  # type: ignore[no-untyped-def]  # noqa: ANN001
    is_argument = one.param_type_name == "argument"
    default = one.default
    shown = "" if default in (None, False, "") or callable(default) else str(default)
    return Parameter(
        names=(one.metavar or one.name.upper(),)
        if is_argument
        else (*one.opts, *one.secondary_opts),
        help=one.help or "",
        is_argument=is_argument,
        is_required=one.required,
        default=shown,
    )
