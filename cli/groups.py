"""Commands with commands of their own, such as `likes incidents resolve`."""

from __future__ import annotations

from typing import Any

from typer.core import TyperGroup


class ListFirst(TyperGroup):
    """Without a command of its own, or with options alone, it lists."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Let `list` stand for no command."""
        if not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names):
            args = ["list", *args]
        return super().parse_args(ctx, args)
