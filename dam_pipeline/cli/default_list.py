"""Groups of commands whose bare name lists: `dam stock deliveries --json`."""

from typing import Any

from typer.core import TyperGroup


class ListByDefault(TyperGroup):
    """Takes what does not begin with one of its commands as words for `list`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put `list` before such words."""
        if not args or (args[0] not in self.commands and args[0] != "--help"):
            args = ["list", *args]
        return super().parse_args(ctx, args)
